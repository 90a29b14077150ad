"""A step's gradients: forward, loss and backward over a batch, whole or in parts where it does not fit into memory."""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Callable
from dataclasses import replace
from typing import Literal

import numpy as np

from gpucnn import ops
from gpucnn.backend import Array
from gpucnn.errors import OutOfMemory
from gpucnn.losses.base import Loss
from gpucnn.model import Model
from gpucnn.random import Step


class Gradients:
    """Computes the gradients of a batch's loss.

    micro_batch: the images of one part, whose gradients are added up to the batch's; `auto`: as many as fit, found
    when memory runs out; None: all at once. tell: hears of what `auto` chose. part: that size, as far as it is known.

    The loss, its gradient and dropout's masks are those of the whole batch, but for rounding; only batch_norm sees
    the parts one by one.
    """

    def __init__(
        self, model: Model, loss: Loss, micro_batch: int | Literal["auto"] | None, tell: Callable[[str], None]
    ) -> None:
        self.model, self.loss, self._tell = model, loss, tell
        self._auto = micro_batch == "auto"
        self.part = micro_batch if isinstance(micro_batch, int) else None

    def compute(self, x: Array, labels: Array, step: Step, scale: Array | None = None) -> tuple[float, int]:
        """Leave the gradients in the model; return the loss, and how many images were classified right.

        scale: (1,), what the gradients are multiplied by, see `Model.backward`. Where the loss is not finite there are
        no gradients. Raises OutOfMemory, with the size that fits.
        """
        loss, correct = self._fitting(x, labels, step, scale, waits=True)
        return float(loss), int(correct[0])

    def queued(
        self, x: Array, labels: Array, step: Step, scale: Array | None = None, *, recorded: bool = False
    ) -> tuple[Array, Array]:
        """Leave the gradients of a batch in the model without waiting for the device, but where memory runs out.

        Return the loss, of no dimensions, and how many images were classified right, (1,), both on the device.
        recorded: whether this becomes a graph: then there is one try, by parts that are known to fit.
        """
        if recorded:
            return self._in_parts(x, labels, step, self.part or len(x), scale, waits=False)
        return self._fitting(x, labels, step, scale, waits=False)

    def _fitting(self, x: Array, labels: Array, step: Step, scale: Array | None, waits: bool) -> tuple[Array, Array]:
        """Do what `queued` does, by parts that fit into memory."""
        size = first = min(self.part or len(x), len(x))
        statistics = {name: array.copy() for name, array in self.model.state.items()}
        failure = ""
        while True:
            try:
                result = self._in_parts(x, labels, step, size, scale, waits)
                break
            except OutOfMemory as error:
                failure = failure or str(error)  # only the text: the traceback holds on to the arrays of the pass
            self._undo(statistics)
            if size == 1:
                raise OutOfMemory(f"{failure}; not even one image fits: make the network or the images smaller")
            size = -(-size // 2)
        if size < first and not self._auto:
            self._undo(statistics)
            raise OutOfMemory(
                f"{failure}; {size} images at a time fit: set training.micro_batch to {size} or to auto, which keeps "
                f"the batch, or data.batch_size to {size}"
            )
        if size < first:
            self.part = size
            self._tell(f"{failure}; going on with parts of {size} images, whose gradients are added up{self._caveat()}")
        return result

    def _in_parts(
        self, x: Array, labels: Array, step: Step, size: int, scale: Array | None, waits: bool
    ) -> tuple[Array, Array]:
        """Do it by parts of `size` images. waits: for each one's loss; where it is not finite, nothing more is done."""
        self.model.zero_grad()
        losses: list[Array] = []
        correct: list[Array] = []
        whole = self.loss.weight(labels) if size < len(x) else 1.0
        for start in range(0, len(x), size):
            part = slice(start, start + size)
            scores, saved = self.model.forward(x[part], train=replace(step, first=start))
            loss, saved_loss = self.loss.forward(scores, labels[part])
            dscores = self.loss.backward(saved_loss)
            if size < len(x):
                share = self._share(labels[part], whole, dscores.dtype)
                loss, dscores = loss * share, dscores * share
            losses.append(loss)
            correct.append(ops.count_correct(scores, labels[part]))
            if waits and not math.isfinite(float(loss)):
                break
            self.model.backward(dscores, saved, scale)
        return functools.reduce(operator.add, losses), functools.reduce(operator.add, correct)

    def _share(self, labels: Array, whole: float | Array, dtype: np.dtype) -> Array:
        """Return which share of a batch's loss that of a part is, where its labels are. whole: the batch's weight."""
        share = self.loss.weight(labels) / whole
        typed: Array = dtype.type(share) if isinstance(share, float) else share.astype(dtype)
        return typed

    def _undo(self, statistics: dict[str, Array]) -> None:
        """Put the running statistics back, drop the gradients, and give back what memory is idle."""
        self.model.zero_grad()
        for name, array in self.model.state.items():
            array[...] = statistics[name]
        self.model.device.release()

    def _caveat(self) -> str:
        norms = any(layer.name == "batch_norm" for layer in self.model.layers.walk())
        return "; batch_norm takes each part's statistics, which are not those of the whole batch" if norms else ""
