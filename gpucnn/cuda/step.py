"""What a step that is queued ahead reads of itself on the device, and writes down for the host: kernels of step.cu."""

from __future__ import annotations

import functools
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from gpucnn.backend import Array, Device, to_numpy
from gpucnn.cuda.chunks import chunk_table
from gpucnn.cuda.finite import count_nonfinite
from gpucnn.cuda.graph import fetch, pinned
from gpucnn.cuda.launch import launch
from gpucnn.halves import accumulator

ROWS = 512
"""Steps of a page: so many can be queued before the host reads what became of them."""

_STEP, _ROW, _BATCH, _SKIP = range(4)  # as the enumeration StepCounter of step.cu


class Ledger:
    """A page with a row for each of the next steps, and counters that go on from step to step.

    step, batch, skip: int32 (1,): the step of the run, the batch of those that are on the device, and whether a step
    was met whose loss or gradients are not finite: that one and all behind it change nothing. numbers: what the update
    of the step under way takes. dtype: of the images; width: how many numbers a step has.
    """

    def __init__(self, device: Device, dtype: Any, width: int) -> None:
        self._device, xp, acc = device, device.xp, accumulator(dtype)
        self._counters: Array = xp.zeros(4, np.int32)
        self.step, self.batch, self.skip = (self._counters[i : i + 1] for i in (_STEP, _BATCH, _SKIP))
        self._page, self.numbers = xp.zeros((ROWS, width), acc), xp.zeros(width, acc)
        self._losses, self._corrects = xp.zeros(ROWS, acc), xp.zeros(ROWS, np.int32)

    def open(self, step: int, numbers: Sequence[Sequence[float]]) -> None:
        """Begin a page with the numbers of the steps from `step` on; what is queued before it is not disturbed."""
        rows = np.array(numbers, self._page.dtype).reshape(-1, self._page.shape[1])
        self._page[: len(rows)] = self._device.asarray(rows)
        self._counters[: _ROW + 1] = self._device.asarray(np.array([step, 0], np.int32))

    def finish(self, loss: Array, correct: Array, grads: Sequence[Array]) -> None:
        """End the gradients of a step: fill in its row and lay out its numbers, or set `skip`."""
        launch(
            "finish_step", (1,), nonfinite=_nonfinite([loss, *grads]), loss=loss, correct=correct,
            page=self._page, counters=self._counters, numbers=self.numbers, losses=self._losses,
            corrects=self._corrects, width=self._page.shape[1], rows=ROWS,
        )  # fmt: skip

    def losses(self) -> Array:
        """Return the losses of the page's rows, on the host, once they are there."""
        found: Array = to_numpy(self._losses)
        return found

    def read(self, into: Page, stream: Any) -> None:
        """Queue the copies of a page to the host."""
        for array, host in zip((self._counters, self._losses, self._corrects), into.arrays, strict=True):
            fetch(array, host, stream)
        into.read.record(stream)


def _nonfinite(arrays: Sequence[Array]) -> Array:
    """Return how many elements of arrays of any dtypes are not finite, int32 (1,): one launch for each dtype."""
    kinds = {array.dtype: None for array in arrays}
    counts = [count_nonfinite(*(array for array in arrays if array.dtype == kind)) for kind in kinds]
    return functools.reduce(operator.add, counts)


class Page:
    """What the host reads of a page, once `read` has happened."""

    def __init__(self, cuda: Any, dtype: Any) -> None:
        self.arrays = tuple(
            pinned(cuda, *like) for like in (((4,), np.int32), ((ROWS,), accumulator(dtype)), ((ROWS,), np.int32))
        )
        self.read = cuda.Event(disable_timing=True)

    def steps(self, queued: int) -> list[tuple[float, int]]:
        """Wait; return the loss of each step that was taken of those queued, and how many images were right."""
        self.read.synchronize()
        counters, losses, corrects = self.arrays
        taken = int(counters[_ROW]) if counters[_SKIP] else queued
        return [(float(losses[i]), int(corrects[i])) for i in range(taken)]


class Backup:
    """Copies of arrays, by which these are put back: all by one launch, each way."""

    def __init__(self, arrays: Sequence[Array]) -> None:
        self._arrays, self._copies = list(arrays), [array.copy() for array in arrays]

    def keep(self) -> None:
        """Copy the arrays as they are now."""
        self._copy(self._arrays, self._copies, None)

    def put_back(self, where: Array | None = None) -> None:
        """Copy them back; only if where (int32 (1,), on the device) is not 0, where it is given."""
        self._copy(self._copies, self._arrays, where)

    def _copy(self, source: list[Array], target: list[Array], where: Array | None) -> None:
        if source:
            chunks = chunk_table(source, [False] * len(source))
            lists: dict[str, Any] = {"from": source, "to": target}
            launch("copy_arrays", (len(chunks),), **lists, chunks=chunks, where=where)
