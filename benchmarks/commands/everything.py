"""`python -m benchmarks all`: every command, one after the other."""

from __future__ import annotations

import subprocess

import typer

from benchmarks.processes import PYTHON, Failed

COMMANDS = [
    ["start"],
    ["digits"],
    ["speed"],
    ["cpu"],
    ["textbook"],
    ["growth"],
    ["memory"],
    ["accuracy", "mnist"],
    ["accuracy", "fashion_mnist"],
    ["accuracy", "cifar10"],
    ["accuracy-time", "lenet5", "0.988"],
    ["accuracy-time", "mnist_fast", "0.99"],
]


def everything() -> None:
    """Run all commands, each in a process of its own. The data sets must be at hand: set GPUCNN_DATA."""
    failed = []
    for command in COMMANDS:
        typer.echo(f"\n== {' '.join(command)}")
        if subprocess.run([PYTHON, "-m", "benchmarks", *command], check=False).returncode:
            failed.append(" ".join(command))
    if failed:
        raise Failed(f"not measured: {', '.join(failed)}")
