"""The scale of the loss while training in float16: kept on the device, changed there, and told now and then.

It starts at 2^16, is halved, and the step skipped, whenever a gradient is not finite, and doubled after 2000 good
steps. A scale of a power of two changes no bit of a gradient that float16 can hold both ways.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from gpucnn import ops
from gpucnn.backend import Array, Device, to_numpy
from gpucnn.config.experiment import Experiment
from gpucnn.errors import CheckpointError
from gpucnn.layers.base import Parameter
from gpucnn.ops.loss_scale import adapt_loss_scale
from gpucnn.optimizers.base import Optimizer
from gpucnn.problems import plural

START = 2.0**16
GROWTH = 2000
"""Good steps in a row after which the scale is doubled."""


def loss_scale(experiment: Experiment, device: Device) -> LossScale | None:
    """Return the scale of an experiment's loss; None where its precision needs none."""
    return LossScale(device) if experiment.precision == "fp16" else None


class LossScale:
    """What the gradient of the loss is multiplied by.

    scale: float32 (1,). counts: int32 (2,), good steps since it was last changed and steps skipped in all. Both are
    arrays of the device, so that no step waits for the host.
    """

    def __init__(self, device: Device) -> None:
        self.scale, self.counts = device.asarray([START], np.float32), device.asarray([0, 0], np.int32)
        self._device, self._told = device, 0

    def update(
        self, optimizer: Optimizer, params: Mapping[str, Parameter], stopped: Array | None = None, **options: Any
    ) -> None:
        """Update the parameters from their scaled gradients, unless one is not finite; then change the scale.

        stopped: int32 (1,), on the device: nothing is changed where it is not 0. options: of `Optimizer.update`.
        """
        found = ops.count_nonfinite(*(p.grad for p in params.values() if p.grad is not None))
        skip = found if stopped is None else found + stopped
        optimizer.update(params, skip=skip, unscale=self.scale, **options)
        adapt_loss_scale(self.scale, self.counts, found, GROWTH, stopped)

    @property
    def lost(self) -> bool:
        """Whether gradients are not finite even where they are not scaled."""
        return float(self.scale[0]) < 1

    @property
    def skipped(self) -> int:
        """How many steps were skipped so far."""
        return int(self.counts[1])

    def __str__(self) -> str:
        text = f"loss scale {float(self.scale[0]):g}"
        return f"{text}, {plural(self.skipped, 'step')} skipped" if self.skipped else text

    def news(self) -> str:
        """Return in words how many steps were skipped, where some were since this was last asked; else nothing."""
        before, self._told = self._told, self.skipped
        return f"{self} so far: a gradient was larger than float16 can hold" if self._told > before else ""

    def arrays(self) -> dict[str, Array]:
        """Return what a checkpoint keeps, as NumPy arrays."""
        return {"scale": np.array(to_numpy(self.scale)), "counts": np.array(to_numpy(self.counts))}

    def load(self, arrays: Mapping[str, Array]) -> None:
        """Take over what `arrays` returned; raises CheckpointError where it is something else."""
        own = {"scale": self.scale, "counts": self.counts}
        if {key: a.shape for key, a in arrays.items()} != {key: a.shape for key, a in own.items()}:
            raise CheckpointError(f"expected the loss scale (scale, counts) of a run in fp16, found {sorted(arrays)}")
        for key, array in own.items():
            array[...] = self._device.asarray(arrays[key], array.dtype)
        self._told = self.skipped
