"""`python -m benchmarks cpu`: a training step and evaluation on the CPU, beside PyTorch at its best."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import time
from statistics import median
from typing import Annotated

import typer

from benchmarks.machine import usable_cpus
from benchmarks.options import Output
from benchmarks.processes import PYTHON, Failed
from benchmarks.report import Report, spread

PASSES = {"training step": "step", "evaluation": "evaluate"}
HEADS = ["network", "pass", "ours", "PyTorch", "ratio", "spread", "goal", "PyTorch's best"]

EAGER = ["PyTorch eager NCHW", "PyTorch eager channels_last"]
COMPILED = ["PyTorch compiled NCHW", "PyTorch compiled channels_last"]
KEPT = {
    "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1:glibc.malloc.mmap_max=0:"
    "glibc.malloc.trim_threshold=100000000000:glibc.malloc.top_pad=268435456"
}
"""Lets the C library keep freed memory, which PyTorch gains a fifth by."""

REST = 0.25
"""Seconds between turns: threads of others' pools spin for a while before they sleep."""


def cpu(
    networks: Annotated[list[str] | None, typer.Argument(help="Which.  [default: all]")] = None,
    rounds: Annotated[int, typer.Option(min=1, help="Turns of each contender.")] = 7,
    seconds: Annotated[float, typer.Option(min=0.0, help="Length of a turn.")] = 0.5,
    threads: Annotated[int | None, typer.Option(min=1, help="For all.  [default: one for each usable CPU]")] = None,
    compiled: Annotated[bool, typer.Option("--compile", help="Measure torch.compile too: minutes to start.")] = False,
    output: Output = None,
) -> None:
    """Time gpucnn and PyTorch by turns, each contender in a process of its own.

    The ratio is our time divided by PyTorch's, below 1 where gpucnn is faster; PyTorch's is what was fastest of eager
    NCHW and channels_last, each with and without settings that let malloc keep memory, and with --compile both
    compiled. Taken in each round: the table shows the median and the spread.
    """
    from benchmarks.cpu_networks import NETWORKS, goal

    if unknown := set(networks or []) - set(NETWORKS):
        raise Failed(f"{min(unknown)} is not one of {', '.join(NETWORKS)}")
    threads, report = threads or usable_cpus(), Report("cpu", output)
    missing = [] if compiled else ["torch.compile (--compile)"]
    peers = [*EAGER, *(COMPILED if compiled else [])]
    if importlib.util.find_spec("torch") is None:
        peers, missing = [], ["PyTorch (not installed)"]
    rows, measured = [], {}
    for network in networks or NETWORKS:
        typer.echo(network, err=True)
        times = _measure(network, peers, threads, rounds, seconds)
        for label, found in times.items():
            rows.append(_row(network, label, found, goal(network, label)))
        measured[network] = times
    document = {"runs": rounds, "threads": threads, "not_measured": missing, "seconds": measured}
    report.finish(document, HEADS, rows, [f"not measured: {', '.join(missing)}"] if missing else [])


def _measure(
    network: str, peers: list[str], threads: int, rounds: int, seconds: float
) -> dict[str, dict[str, list[float]]]:
    """Return for each pass and contender its seconds a call, one figure a round."""
    workers = {"gpucnn": _Worker(network, "gpucnn", threads, {})}
    for peer in peers:
        workers[peer] = _Worker(network, peer, threads, {})
        workers[f"{peer}, kept memory"] = _Worker(network, peer, threads, KEPT)
    try:
        times: dict[str, dict[str, list[float]]] = {label: {name: [] for name in workers} for label in PASSES}
        for label, method in PASSES.items():
            for _ in range(rounds):
                for name, worker in workers.items():
                    times[label][name].append(worker.turn(method, seconds))
                    time.sleep(REST)
        return times
    finally:
        for worker in workers.values():
            worker.close()


class _Worker:
    """A contender in a process of its own."""

    def __init__(self, network: str, name: str, threads: int, environment: dict[str, str]) -> None:
        self.name = name
        command = [PYTHON, "-m", "benchmarks.cpu_worker", network, name, str(threads)]
        pipe, variables = subprocess.PIPE, {**os.environ, **environment}
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=variables)
        self._answer()

    def turn(self, method: str, seconds: float) -> float:
        assert self._process.stdin
        self._process.stdin.write(f"{method} {seconds}\n")
        self._process.stdin.flush()
        return float(self._answer())

    def close(self) -> None:
        self._process.communicate()

    def _answer(self) -> str:
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line:
            self.close()
            raise Failed(f"{self.name} ended with exit code {self._process.returncode}")
        return line


def _row(network: str, label: str, times: dict[str, list[float]], goal: float) -> list[str]:
    ours, peers = times["gpucnn"], [name for name in times if name != "gpucnn"]
    row = [network, label, f"{1000 * median(ours):.1f} ms"]
    if not peers:
        return [*row, "-", "-", "-", f"{goal}", "-"]
    best = min(peers, key=lambda name: median(times[name]))
    ratios = [own / peer for own, peer in zip(ours, times[best], strict=True)]
    name = best.removeprefix("PyTorch ")
    return [*row, f"{1000 * median(times[best]):.1f} ms", f"{median(ratios):.2f}", spread(ratios), f"{goal}", name]
