"""What an experiment names, made: its network, and its images as loaders to train on and to evaluate with."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np

from gpucnn.augment.base import Augmentation
from gpucnn.backend import Array, Device, Shape
from gpucnn.config.experiment import Experiment, Statistics
from gpucnn.data.base import Info, Source
from gpucnn.data.loader import Loader
from gpucnn.data.normalize import Normalize
from gpucnn.data.places import given
from gpucnn.data.resident import Resident, ResidentLoader, why_streamed
from gpucnn.data.split import split
from gpucnn.errors import ArgumentError, CheckpointError
from gpucnn.model import Model
from gpucnn.training.checkpoint import Checkpoint

SPLITS = ("train", "validation", "test")


def build_model(experiment: Experiment, input_shape: Shape, device: Device) -> Model:
    """Return the experiment's network with its initial weights."""
    return Model(
        [spec.build() for spec in experiment.model],
        input_shape,
        seed=experiment.seed,
        dtype=experiment.dtype,
        device=device,
    )


def pinned(experiment: Experiment) -> Experiment:
    """Return the experiment with the path of its data set made absolute: a run finds its data from any folder."""
    dataset = experiment.data.dataset
    path = getattr(dataset.arguments, "path", None)
    if path is None:
        return experiment
    plain = experiment.dump()
    plain["data"]["dataset"][dataset.name]["path"] = str(given(path)[0])
    return Experiment.model_validate(plain)


class ExperimentData:
    """The splits of an experiment's data set, read when they are first asked for.

    restored: the checkpoint that a run goes on from, or that is evaluated; its normalisation statistics are used
    rather than measured again. note: why images are not on the device, where they might be expected there.
    """

    def __init__(self, experiment: Experiment, device: Device, restored: Checkpoint | None = None) -> None:
        self._experiment, self._settings, self._device = experiment, experiment.data, device
        self._dataset = experiment.data.dataset.build()
        self._restored = restored
        self._resident: Resident | None = None
        self.note = ""
        self.info = self._dataset.info()
        if restored:
            _require_same(restored, self.info)

    @cached_property
    def normalize(self) -> Normalize | None:
        """What images are normalised with; None where they are scaled only."""
        if self._restored:
            return Normalize.load(self._restored.normalize) if self._restored.normalize else None
        if isinstance(self._settings.normalize, Statistics):
            return Normalize(self._settings.normalize.mean, self._settings.normalize.std)
        if self._settings.normalize == "none":
            return None
        return Normalize.measure(self._train, self._parts[0])

    @cached_property
    def image_dtype(self) -> str:
        """The dtype of raw images, such as uint8."""
        return self._train.read(np.arange(1)).dtype.name

    def training(self) -> Loader:
        """Return the loader to train with: shuffled, augmented, without the validation images.

        Where the device shall hold the images, they are copied there; else, on a GPU, `note` says why it does not.
        """
        augment, on_device = [spec.build() for spec in self._settings.augment], self._settings.on_device
        if self._device.kind != "cpu" and on_device:
            why = why_streamed(self._train, augment, self._device, wanted=on_device is True)
            self.note = f"images stay on the host, where batches are prepared: {why}" if why else ""
            self._resident = None if why else Resident.of(self._train, self._device)
        return self._loader(self._train, self._parts[0], augment=augment, shuffle=True)

    def evaluation(self, name: str) -> Loader | None:
        """Return the loader to evaluate a split with, in its own order; None where the experiment has no such split.

        name: `train` (without the validation images), `validation` or `test`.
        """
        if name not in SPLITS:
            raise ArgumentError(f"split (={name!r}) must be one of {', '.join(SPLITS)}")
        if name == "test":
            return None if self._test is None else self._loader(self._test, np.arange(len(self._test)), shuffle=False)
        indices = self._parts[SPLITS.index(name)]
        return self._loader(self._train, indices, shuffle=False) if len(indices) else None

    @cached_property
    def _train(self) -> Source:
        return self._dataset.load("train")

    @cached_property
    def _test(self) -> Source | None:
        source = None if self.info.test == 0 else self._dataset.load("test")
        return source if source and len(source) else None

    @cached_property
    def _parts(self) -> tuple[Array, Array]:
        """The images of the training split to train on, and those to validate with."""
        return split(len(self._train), self._settings.validation, self._experiment.seed)

    def _loader(self, source: Source, indices: Array, *, augment: Sequence[Augmentation] = (), shuffle: bool) -> Loader:
        settings: dict[str, Any] = {
            "seed": self._experiment.seed,
            "augment": augment,
            "normalize": self.normalize,
            "device": self._device,
            "dtype": self._experiment.dtype,
            "shuffle": shuffle,
            "workers": self._settings.workers,
        }
        if self._resident and self._resident.source is source:
            return ResidentLoader(self._resident, indices, self._settings.batch_size, **settings)
        return Loader(source, indices, self._settings.batch_size, **settings)


def _require_same(checkpoint: Checkpoint, info: Info) -> None:
    """Raise CheckpointError unless a checkpoint was trained on images of the data set's shape, in the same classes."""
    before, now = checkpoint.classes, info.classes
    if checkpoint.input_shape != info.shape:
        differing = f"images of shape {checkpoint.input_shape}", f"images of shape {info.shape}"
    elif len(before) != len(now):
        differing = f"{len(before)} classes", str(len(now))
    elif before != now:
        label = next(i for i, names in enumerate(zip(before, now, strict=True)) if names[0] != names[1])
        differing = f"class {label} called {before[label]!r}", f"it called {now[label]!r}"
    else:
        return
    raise CheckpointError(
        f"the checkpoint was trained on {differing[0]}, but the data set has {differing[1]}: "
        "is it another one, or was it changed?"
    )
