"""`python -m benchmarks gpu`: whether gpucnn is right on this GPU, and how fast it is beside PyTorch with cuDNN."""

from __future__ import annotations

import importlib.util
import subprocess
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks.processes import Failed
from benchmarks.report import RESULTS, Report, slug

NAMES = ("tests", "parity", "conv", "steps", "sanitize")


def gpu(
    parts: Annotated[list[str] | None, typer.Argument(help=f"Which parts.  [default: {' '.join(NAMES)}]")] = None,
    rounds: Annotated[int, typer.Option(min=1, help="Turns of each contender.")] = 7,
    seconds: Annotated[float, typer.Option(min=0.0, help="Length of a turn.")] = 0.05,
    limit: Annotated[float, typer.Option(min=1.0, help="Seconds that one process of a part may take.")] = 600.0,
    output: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The JSON file.  [default: benchmarks/results/gpu-GPU.json]")
    ] = None,
) -> None:
    """Test, compare and time gpucnn on the first GPU.

    tests: pytest -m gpu. parity: training against NumPy's, layer by layer. conv: single passes of convolutions beside
    PyTorch's with cuDNN (channels_last, benchmark mode; strict float32, and TF32), as shares of what the device can
    do. steps: whole training steps beside PyTorch's. sanitize: the kernels' tests under compute-sanitizer.

    Each part runs in processes of its own; what fails in one is recorded, and the others go on. The file is written
    after each part; beside it goes a golden file (see `gpucnn parity`) of what the GPU computed for digits.
    """
    from benchmarks.gpu.parts import PARTS, Settings
    from benchmarks.gpu.summary import CONV_HEADS, conv_rows, failed, notes
    from gpucnn.backend import Device
    from gpucnn.cuda import machine

    chosen = parts or list(NAMES)
    if unknown := [part for part in chosen if part not in NAMES]:
        raise Failed(f"{', '.join(unknown)}: no such part; there are {', '.join(NAMES)}")
    device = Device.named("cuda")
    if importlib.util.find_spec("torch") is None:
        typer.echo("PyTorch is not installed: conv and steps, which compare with it, will fail", err=True)
    devices = machine.devices()
    report = Report("gpu", output or RESULTS / f"gpu-{slug(devices[device.index]['name'])}.json")
    settings = Settings(rounds, seconds, limit, report.path.with_suffix(".golden.json"))
    report.path.parent.mkdir(parents=True, exist_ok=True)
    found: dict[str, Any] = {}
    measured = {"cuda": machine.versions(), "devices": devices, "state": _state(), "runs": rounds, "parts": found}
    for part in chosen:
        typer.echo(f"\n== {part}", err=True)
        try:
            found[part] = PARTS[part](settings)
        except Exception as error:
            found[part] = {"crashed": f"{type(error).__name__}: {error}"}
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
