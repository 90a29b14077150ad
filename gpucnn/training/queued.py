"""Epochs of steps that are queued ahead: the host reads what became of a page of them while the next is computed."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from contextlib import closing, suppress
from typing import TYPE_CHECKING, NamedTuple

from gpucnn.cuda.step import ROWS, Page
from gpucnn.training.feeds import feed
from gpucnn.training.graph import WARM_UP, GraphStep

if TYPE_CHECKING:
    from gpucnn.training.trainer import Trainer

PAGE_SECONDS = 0.1
"""About so long is a page's work, and so long a signal waits: pages grow and shrink towards it."""

SHORT, UNROLLED = 1e-3, 8
"""Steps shorter than so many seconds are put into one graph, so many of them: a launch costs some microseconds."""


class Done(NamedTuple):
    """A step that was taken: its images, loss, how many were right, learning rate, and how long it took.

    data_seconds: those spent waiting for the batch. settled: whether nothing is queued behind it, so that the network
    is as it was after this step.
    """

    images: int
    loss: float
    correct: int
    lr: float
    seconds: float
    data_seconds: float
    settled: bool = True


class _Queued(NamedTuple):
    page: Page
    steps: int


class Queue:
    """A trainer's steps as graphs, as far as they can be."""

    def __init__(self, trainer: Trainer) -> None:
        self._trainer, self._loader = trainer, trainer.batches
        self._step = GraphStep(trainer.gradients, trainer.optimizer, trainer.experiment.seed, trainer.scaling)
        self._stream = self._step.recorder.stream
        self._feed = feed(trainer.batches, self._step.ledger, self._stream)
        self._step.batch = self._feed.batch
        self._pages = [Page(self._step.recorder.cuda, trainer.model.dtype) for _ in range(2)]
        self._most, self._warm, self._unrolled, self._short = 1, 0, False, False
        self._began = self._waited = 0.0
        self._bad = False
        self.problem = ""

    def steps(self) -> Generator[Done, None, None]:
        """Yield the steps of the rest of the epoch; those that no graph computes are the trainer's own.

        These are the last batch of an epoch where it is smaller, the first steps of all, which warm up, and every one
        where something keeps a step from being recorded.
        """
        p, whole = self._trainer.progress, self._loader.images // self._loader.batch_size
        self._step.recorder.begin()
        while p.batch < whole and not self.problem:
            self._began, self._waited = time.perf_counter(), 0.0
            yield from self._replayed(whole) if self._step.recorded else self._warmed_up()
            if self._bad:
                yield from self._seen_on_the_host()
        yield from self._trainer.eager_steps()

    def _warmed_up(self) -> Generator[Done, None, None]:
        """Take a step without a graph, as the graph will; or, once enough were taken, record it."""
        p = self._trainer.progress
        try:
            if self._warm == WARM_UP:
                self._step.record()
                return
            queued = self._queue(p.step, p.batch, 1)
        except Exception as error:
            where, what = getattr(error, "__notes__", [""])[0], str(error).partition("\n")[0]
            self.problem = f"{where} {type(error).__name__}: {what}".strip()
        if self.problem:  # the error is gone by now, and lets go of the arrays of its step
            self.close()
            self._trainer.observer.message(f"no CUDA graph: {self.problem}")
            return
        self._warm += 1
        yield from self._read(queued, settled=True)

    def close(self) -> None:
        """Give back what only graphs need."""
        self._feed.close()
        self._step.close()

    def _replayed(self, whole: int) -> Iterator[Done]:
        """Queue pages of the epoch's whole batches, each before the one before it is read."""
        p = self._trainer.progress
        step, batch, waiting = p.step, p.batch, None
        while batch < whole and not self._bad:
            self._unroll()
            count = min(self._most, whole - batch, self._to_checkpoint(step))
            queued = self._queue(step, batch, count)
            step, batch = step + count, batch + count
            if waiting:
                yield from self._read(waiting, settled=False)
            waiting = queued
            alone = batch == whole or self._trainer.interrupts.pending or count == self._to_checkpoint(step - count)
            if alone and not self._bad:
                yield from self._read(waiting, settled=True)
                waiting = None

    def _queue(self, step: int, batch: int, count: int) -> _Queued:
        """Queue so many steps and the copy of their page."""
        trainer, ledger = self._trainer, self._step.ledger
        rows = [trainer.optimizer.row(trainer.learning_rate(i), i) for i in range(step, step + count)]
        self._pages.reverse()
        with self._stream:
            ledger.open(step, rows)
            end = batch + count
            while batch < end:
                began = time.perf_counter()
                ready = self._feed.lay_out(trainer.progress.epoch, batch, end - batch)
                self._waited += time.perf_counter() - began
                self._step.queue(ready)
                batch += ready
            ledger.read(self._pages[0], self._stream)
        return _Queued(self._pages[0], count)

    def _read(self, queued: _Queued, settled: bool) -> Iterator[Done]:
        """Wait for a page; yield its steps up to the first that is not finite, which is noted."""
        taken = queued.page.steps(queued.steps)
        now = time.perf_counter()
        seconds, waited = ((spent / queued.steps) for spent in (now - self._began, self._waited))
        self._began, self._waited, self._bad = now, 0.0, len(taken) < queued.steps
        if seconds * queued.steps < PAGE_SECONDS / 2 and queued.steps == self._most:
            self._most = min(ROWS, 2 * self._most)
        elif seconds * queued.steps > 2 * PAGE_SECONDS:
            self._most = max(1, self._most // 2)
        self._short = self._most >= UNROLLED and seconds < SHORT
        for i, (loss, correct) in enumerate(taken, start=1):
            lr, last = self._trainer.learning_rate(self._trainer.progress.step), settled and i == queued.steps
            yield Done(self._loader.batch_size, loss, correct, lr, seconds, min(waited, seconds), last)

    def _unroll(self) -> None:
        """Record several steps as one graph, once they are known to be short."""
        if self._short and not self._unrolled:
            self._unrolled = True
            with suppress(MemoryError):
                self._step.record(UNROLLED)

    def _seen_on_the_host(self) -> Iterator[Done]:
        """Take the step that was not finite again, by the trainer, who says where that began."""
        trainer, p, self._bad = self._trainer, self._trainer.progress, False
        with self._stream:
            self._step.ledger.skip.fill(0)
        self._stream.synchronize()
        with closing(self._loader.batches(p.epoch, p.batch)) as batches:
            x, labels = next(batches)
        lr = trainer.learning_rate(p.step)
        yield Done(len(labels), *trainer.step(x, labels, lr), lr, time.perf_counter() - self._began, 0.0)

    def _to_checkpoint(self, step: int) -> int:
        """Return how many steps are left to the next checkpoint."""
        every = self._trainer.experiment.training.checkpoint_every
        return ROWS + 1 if isinstance(every, int) else every.steps - step % every.steps
