"""A contender of `python -m benchmarks cpu` in a process of its own: some are set up by the environment.

    python -m benchmarks.cpu.worker WHAT CONTENDER THREADS

WHAT is a network, or a case of `passes`. Each line on stdin, `step SECONDS` or another method, is a turn; the answer
is the median of its calls' seconds.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from statistics import median

from benchmarks.machine import use_threads


def main(what: str, name: str, threads: int) -> None:
    """Build the contender, then take turns until stdin ends."""
    use_threads(threads)
    contender = build(what, name, threads)
    print("ready", flush=True)
    for line in sys.stdin:
        method, seconds = line.split()
        print(turn(getattr(contender, method), float(seconds)), flush=True)


def build(what: str, name: str, threads: int) -> object:
    """Return a contender; PyTorch's are compared with ours before."""
    if name != "gpucnn":
        import torch

        torch.set_num_threads(threads)
    from benchmarks.cpu import passes

    if what in passes.CASES:
        return passes.contender(passes.CASES[what], name)
    from benchmarks.cpu.networks import experiment
    from benchmarks.peers.base import Batch
    from benchmarks.peers.gpucnn import Gpucnn

    chosen = experiment(what)
    if name == "gpucnn":
        return Gpucnn(chosen, Batch.random(chosen))
    from benchmarks.contest import contenders

    found = contenders(chosen, compiled="compiled" in name)
    return next(contender for contender in found if contender.name == name)


def turn(call: Callable[[], object], seconds: float) -> float:
    """Return the median time of calls that take `seconds` together, three at least, after one that is not timed."""
    call()
    times: list[float] = []
    while sum(times) < seconds or len(times) < 3:
        started = time.perf_counter()
        call()
        times.append(time.perf_counter() - started)
    return median(times)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
