"""The most memory that a training step takes, in a process of its own.

    python -m benchmarks.cpu.memory NETWORK CONTENDER THREADS

prints the bytes: the highest resident memory of three steps less what was resident after the imports. So network,
optimizer and batch are in it, and libraries' own room as far as it is taken while they work. Linux only: the highest
mark is set back by /proc/self/clear_refs when the steps begin.
"""

from __future__ import annotations

import gc
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import typer

from benchmarks.cpu.networks import NETWORKS
from benchmarks.cpu.turns import COMPARED, OURS, Part, Settings, Times, compared, environments
from benchmarks.machine import use_threads
from benchmarks.processes import PYTHON, Failed
from benchmarks.report import mebibytes

GOAL = 1.2
STEPS = 3
PROCESS = Path("/proc/self")


def memory(networks: Sequence[str], settings: Settings) -> Part:
    """Measure networks by name; PyTorch's is the least that any of its forms takes."""
    measured, rows = {}, []
    for network in networks or NETWORKS:
        typer.echo(f"{network}: memory", err=True)
        peaks: Times = {
            name: [float(peak_of_step(network, told, settings.threads, environment))]
            for name, (told, environment) in environments(settings.peers).items()
        }
        measured[network] = {name: round(peak) for name, (peak,) in peaks.items()}
        rows.append([network, "peak memory of a step", *compared(peaks, GOAL, mebibytes)])
    return Part(measured, ["network", "what", *COMPARED], rows)


def peak_of_step(network: str, name: str, threads: int, environment: Mapping[str, str]) -> int:
    """Return the bytes that a contender's step takes at most."""
    command = [PYTHON, "-m", "benchmarks.cpu.memory", network, name, str(threads)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, env={**os.environ, **environment}, check=False)
    if done.returncode:
        raise Failed(f"{name} ended with exit code {done.returncode}")
    return int(done.stdout)


def main(network: str, name: str, threads: int) -> None:
    """Measure one contender."""
    use_threads(threads)
    from benchmarks.cpu.networks import experiment
    from benchmarks.peers.base import Batch
    from benchmarks.peers.gpucnn import Gpucnn
    from gpucnn.cpu import compiled as compiled_loops

    chosen = experiment(network)
    if name != OURS:
        import torch

        from benchmarks.peers.torch_step import Torch
        from gpucnn.backend import Device
        from gpucnn.training.parts import build_model

        torch.set_num_threads(threads)
    else:
        compiled_loops.problem()  # numba is an import too, as torch is
    before = resident("VmRSS")
    batch = Batch.random(chosen)
    contender: Gpucnn | Torch
    if name == OURS:
        contender = Gpucnn(chosen, batch)
    else:
        model = build_model(chosen, batch.x.shape[1:], Device("cpu"))
        last, compiled = name.endswith("channels_last"), "compiled" in name
        contender = Torch(chosen, batch, model, channels_last=last, compiled=compiled)
        del model
    del batch
    gc.collect()
    (PROCESS / "clear_refs").write_text("5")
    for _ in range(STEPS):
        contender.step()
    print(resident("VmHWM") - before)


def resident(mark: str) -> int:
    """Return VmRSS, what is resident now, or VmHWM, what was at the most, in bytes."""
    found = re.search(rf"^{mark}:\s+(\d+) kB$", (PROCESS / "status").read_text(), re.MULTILINE)
    if not found:
        raise Failed(f"the system does not tell {mark}")
    return 1024 * int(found[1])


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
