"""`python -m benchmarks gpu`: whether gpucnn is right on this GPU, and how fast it is beside PyTorch with cuDNN."""

from __future__ import annotations

import importlib.util
import subprocess
import time
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks.processes import Failed
from benchmarks.report import RESULTS, Report, slug

NAMES = ("tests", "tune", "steps", "conv", "parity", "jax", "compiled", "sanitize")


def gpu(
    parts: Annotated[list[str] | None, typer.Argument(help=f"Which parts.  [default: {' '.join(NAMES)}]")] = None,
    minutes: Annotated[float, typer.Option(min=0.0, help="Time for all parts, divided among them.")] = 25.0,
    rounds: Annotated[int, typer.Option(min=1, help="Turns of each contender.")] = 5,
    seconds: Annotated[float, typer.Option(min=0.0, help="Length of a turn.")] = 0.03,
    limit: Annotated[float, typer.Option(min=1.0, help="Seconds that one process of a part may take.")] = 600.0,
    output: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The JSON file.  [default: benchmarks/results/gpu-GPU.json]")
    ] = None,
) -> None:
    """Test, compare and time gpucnn on the first GPU.

    tests: pytest -m gpu. tune: the fastest plans for what follows, kept as `gpucnn tune` keeps them. steps: whole
    training steps, one by one and as a graph, beside PyTorch's, eager and as a graph captured by hand. conv: single
    passes of convolutions beside cuDNN's, in strict float32, bf16 and TF32, as shares of what the device can do.
    parity: training against NumPy's, layer by layer. jax, compiled: the steps of JAX, and of PyTorch compiled with
    max-autotune. sanitize: the kernels' tests under compute-sanitizer.

    Each part runs in processes of its own; what fails in one is recorded, and the others go on. The file is written
    after each part, and what a part knows so far beside it; a golden file (see `gpucnn parity`) of what the GPU
    computed for digits goes there, too.
    """
    from benchmarks.gpu.parts import PARTS, SHARES, Settings
    from benchmarks.gpu.summary import CONV_HEADS, conv_rows, failed, means, merged, notes
    from gpucnn.backend import Device
    from gpucnn.cuda import machine

    chosen = parts or list(NAMES)
    if unknown := [part for part in chosen if part not in NAMES]:
        raise Failed(f"{', '.join(unknown)}: no such part; there are {', '.join(NAMES)}")
    device = Device.named("cuda")
    if importlib.util.find_spec("torch") is None:
        typer.echo("PyTorch is not installed: what is compared with it will fail", err=True)
    devices = machine.devices()
    report = Report("gpu", output or RESULTS / f"gpu-{slug(devices[device.index]['name'])}.json")
    settings, end = Settings(rounds, seconds, limit, report.path), time.monotonic() + 60 * minutes
    report.path.parent.mkdir(parents=True, exist_ok=True)
    found: dict[str, Any] = {}
    measured = {"cuda": machine.versions(), "devices": devices, "state": _state(), "runs": rounds, "parts": found}
    for i, part in enumerate(chosen):
        left = max(0.0, end - time.monotonic())
        share = left * SHARES[part] / sum(SHARES[each] for each in chosen[i:])
        typer.echo(f"\n== {part}: {share:.0f} of {left:.0f} s", err=True)
        try:
            found[part] = PARTS[part](replace(settings, until=time.monotonic() + share))
        except Exception as error:
            found[part] = {"crashed": f"{type(error).__name__}: {error}"}
        measured |= {"means": means(found.get("conv", {})), "steps": merged(found)}
        report.write(measured)
    report.finish(measured, CONV_HEADS, conv_rows(found.get("conv", {})), notes(found))
    if failed(found):
        raise typer.Exit(1)


def _state() -> str | None:
    """Return driver, clocks and temperature as nvidia-smi tells them; None where it does not."""
    fields = "name,driver_version,clocks.sm,clocks.mem,temperature.gpu,power.draw"
    command = ["nvidia-smi", f"--query-gpu={fields}", "--format=csv"]
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None
