"""Blocks of work on all cores: `run(work, count)` calls work(0) .. work(count - 1), some of them at the same time.

NumPy lets other threads run while it computes, so that plain threads are enough. Work is cut by its shapes alone, never
by the number of threads, and every block writes to a place of its own: so the bits of a result do not depend on how
many threads there are. The BLAS library is held to one thread meanwhile, or its threads would compete with these.

Threads are made when they are first needed, sleep when there is nothing to do, and are made anew in a forked process.
"""

from __future__ import annotations

import functools
import itertools
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import Context, copy_context
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from gpucnn.errors import ArgumentError
from gpucnn.setting import Setting

_count: Setting[int | None] = Setting("threads", None)


def using(count: int) -> AbstractContextManager[None]:
    """Compute with so many threads while entered.

    >>> with using(1):
    ...     threads()
    1
    """
    if count < 1:
        raise ArgumentError(f"threads (={count}) must be a whole number from 1")
    return _count.using(count)


@contextmanager
def limited(count: int) -> Iterator[None]:
    """Compute with so many threads while entered, BLAS too where it is called from elsewhere than `run`."""
    before = [library.num_threads for library in _blas()]
    with using(count):
        try:
            for library in _blas():
                library.set_num_threads(count)
            yield
        finally:
            for library, threads_before in zip(_blas(), before, strict=True):
                library.set_num_threads(threads_before)


def threads() -> int:
    """Return how many threads compute: as `using` says, or else OMP_NUM_THREADS, or else one for each usable core."""
    return _count.get() or _given(os.environ.get("OMP_NUM_THREADS", "")) or cores()


@functools.cache
def cores() -> int:
    """Return how many cores this process may keep busy: what its affinity and its control group leave it.

    >>> cores() >= 1
    True
    """
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(usable, _quota() or usable))


def run(work: Callable[[int], object], count: int) -> None:
    """Call work(i) for i = 0 .. count - 1, in any order, and return when all are done; raises what the first raised."""
    with _single_threaded_blas:
        helpers = min(threads(), count) - 1
        if helpers < 1:
            for i in range(count):
                work(i)
            return
        _Task(work, count).run(helpers)


class _Task:
    """One call of `run`. What is left of it lives here, so that one that was interrupted leaves no trace in the next.

    Counting by `next` is atomic, and cheaper than a lock.
    """

    def __init__(self, work: Callable[[int], object], count: int) -> None:
        self.work, self.count, self.error = work, count, None  # type: tuple[Any, int, BaseException | None]
        self.taken, self.finished, self.done = iter(range(count)), itertools.count(1), threading.Lock()
        self.done.acquire()

    def run(self, helpers: int) -> None:
        _wake(self, helpers)
        try:
            self.drain()
        finally:  # at an interrupt too: nobody writes to an array once this has returned
            self.skip_rest()
            self.done.acquire()
        if self.error is not None:
            raise self.error

    def drain(self) -> None:
        """Do what nobody else has taken yet."""
        for i in self.taken:
            try:
                self.work(i)
            except BaseException as error:
                self.error = self.error or error
                self.skip_rest()
            finally:
                self.finish()

    def skip_rest(self) -> None:
        for _ in self.taken:
            self.finish()

    def finish(self) -> None:
        if next(self.finished) == self.count:
            self.done.release()


_tasks: SimpleQueue[tuple[Context, _Task]] = SimpleQueue()
_workers: list[threading.Thread] = []


def _wake(task: _Task, helpers: int) -> None:
    """Let so many threads help with a task, each in a copy of the caller's context: NumPy keeps its errstate there."""
    while len(_workers) < helpers:
        worker = threading.Thread(target=_help, args=(_tasks,), name=f"gpucnn-cpu-{len(_workers) + 1}", daemon=True)
        _workers.append(worker)
        worker.start()
    for _ in range(helpers):
        _tasks.put((copy_context(), task))


def _help(tasks: SimpleQueue[tuple[Context, _Task]]) -> None:
    while True:
        context, task = tasks.get()
        context.run(task.drain)
        del context, task  # or they, and the arrays they hold, would live until the next task


def _forget_threads() -> None:
    """Begin anew in a forked process, which has the memory of all threads but runs the one that forked alone."""
    global _tasks
    _tasks = SimpleQueue()
    _workers.clear()
    _single_threaded_blas.reset()


class _SingleThreadedBlas:
    """While entered, by whichever thread and how often so ever, BLAS computes with one thread."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self._lock, self._entered, self._before = threading.Lock(), 0, [0]

    def __enter__(self) -> None:
        with self._lock:
            if self._entered == 0:
                self._before = [library.num_threads for library in _blas()]
                for library in _blas():
                    library.set_num_threads(1)
            self._entered += 1

    def __exit__(self, *error: object) -> None:
        with self._lock:
            self._entered -= 1
            if self._entered == 0:
                for library, count in zip(_blas(), self._before, strict=True):
                    library.set_num_threads(count)


@functools.cache
def _blas() -> list[Any]:
    """Return the BLAS libraries of this process, which can be told how many threads to use."""
    from threadpoolctl import ThreadpoolController

    return list(ThreadpoolController().select(user_api="blas").lib_controllers)


_single_threaded_blas = _SingleThreadedBlas()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_threads)


def _given(text: str) -> int | None:
    """Return the first number of OMP_NUM_THREADS, which may be a list, one for each level; None where there is none."""
    first = text.partition(",")[0].strip()
    return int(first) if first.isdecimal() and int(first) else None


def _quota(root: Path = Path("/sys/fs/cgroup")) -> int | None:
    """Return how many cores the control group may keep busy, rounded up; None where there is no limit."""
    try:
        if (root / "cpu.max").exists():
            quota, period = (root / "cpu.max").read_text().split()
        else:
            quota, period = ((root / "cpu" / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period"))
        return -(-int(quota) // int(period)) if int(quota) > 0 else None
    except (OSError, ValueError):
        return None
