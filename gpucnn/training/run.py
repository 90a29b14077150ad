"""A run that was trained: its settings, metrics and results, and its network, to predict with."""

from __future__ import annotations

import os
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from gpucnn.backend import Array, Device, to_numpy
from gpucnn.config import Experiment
from gpucnn.config.implementations import computing
from gpucnn.cuda import plans
from gpucnn.data.normalize import Normalize, scaled
from gpucnn.errors import ArgumentError, CheckpointError, RunError
from gpucnn.files import read_json
from gpucnn.halves import accumulator
from gpucnn.losses.base import Loss
from gpucnn.model import Model
from gpucnn.training.checkpoint import Checkpoint, Progress
from gpucnn.training.evaluate import Evaluation, evaluate
from gpucnn.training.images import as_images
from gpucnn.training.metrics import read_lines
from gpucnn.training.parts import ExperimentData, build_model
from gpucnn.training.run_folder import latest
from gpucnn.training.views import averaged
from gpucnn.tuning.choices import Choices, choices


def load(path: str | os.PathLike[str], *, device: str | None = None) -> Run:
    """Return the run in a run folder, with the weights of its last valid checkpoint, or in one checkpoint file.

    RUN/checkpoints/best.safetensors, given as a file, has the weights of the best epoch. device: in place of the
    config's. The data set is not needed. Raises RunError where there is nothing to load, CheckpointError where it is
    damaged.
    """
    place = Path(path)
    if not place.exists():
        raise RunError(f"{place} does not exist: give a run folder or a checkpoint file (gpucnn runs lists the runs)")
    if not place.is_dir():
        return Run(place, Checkpoint.read(place), device=device)
    damaged: list[str] = []
    found = latest(place, damaged)
    if found is None:
        raise RunError(
            f"{place} holds no checkpoint: it is not a run folder, or its first epoch is not over "
            f"(gpucnn runs {place} lists the runs in it)"
        )
    return Run(*found, device=device, damaged=damaged)


class Run:
    """A trained network with all that is known of it.

    checkpoint: what was loaded, from the file `source`. damaged: what is wrong with each later checkpoint, which was
    passed over. config: the experiment. classes: the name of each class.
    """

    def __init__(
        self, source: Path, checkpoint: Checkpoint, *, device: str | None = None, damaged: list[str] | None = None
    ) -> None:
        self.source, self.checkpoint, self.damaged = source, checkpoint, damaged or []
        self.classes = checkpoint.classes
        try:
            self.config = Experiment.model_validate(checkpoint.config)
        except ValidationError as error:
            raise CheckpointError(f"{source}: its config is not one of this version of gpucnn: {error}") from None
        self.device = Device.named(device or self.config.device)

    @property
    def path(self) -> Path:
        """The run folder; for a checkpoint that lies elsewhere, its file."""
        folder = self.source.parent.parent
        return folder if (folder / "config.yaml").is_file() else self.source

    @property
    def progress(self) -> Progress:
        """How far the weights were trained: steps, epochs, the best validation so far."""
        return self.checkpoint.progress

    @cached_property
    def model(self) -> Model:
        """The network with its trained weights."""
        model = build_model(self.config, self.checkpoint.input_shape, self.device)
        model.load(self.checkpoint.weights)
        return model

    @cached_property
    def loss(self) -> Loss:
        """The loss that the network was trained with."""
        return self.config.loss.build()

    @property
    def results(self) -> dict[str, Any]:
        """The final evaluation, as evaluation.json holds it; empty where there is none (yet)."""
        try:
            results: dict[str, Any] = read_json(self.path / "evaluation.json")
        except OSError:
            return {}
        return results

    def metrics(self) -> list[dict[str, Any]]:
        """Return a row for each epoch (see `gpucnn.training.observer.EpochRow`)."""
        return [row for row in read_lines(self.path / "metrics.jsonl") if row["kind"] == "epoch"]

    def predict(self, x: Any) -> Array:
        """Return the probability of each class for each image: (N, classes), float32 or float64, rows sum to 1.

        x: raw images, normalised in here: (N, H, W, C), or one image (H, W, C), which gives one row; without C
        where there is one channel. Values as in the training data, see `gpucnn.training.images.as_images`.
        Raises ShapeError or ArgumentError where they are not.
        """
        images = as_images(x, self.checkpoint.input_shape, self.checkpoint.image_dtype)
        size, dtype = self._part or self.config.data.batch_size, self.config.dtype
        rows = [np.empty((0, len(self.classes)), accumulator(dtype))]
        for start in range(0, len(images), size):
            batch = images[start : start + size]
            ready = self._normalize.apply(batch, dtype) if self._normalize else scaled(batch, dtype)
            with computing(self.config), plans.using(self._choices):
                x, views = self.device.asarray(ready), self.config.training.evaluate
                scores = averaged(lambda x: self.model.forward(x)[0], x, views)
                rows.append(to_numpy(self.loss.probabilities(scores)))
        return np.concatenate(rows)

    def evaluate(self, split: str = "test") -> Evaluation:
        """Return how well the network does on a split of its data set: `train`, `validation` or `test`.

        Raises ArgumentError where there is no such split, DataError where the data cannot be read.
        """
        loader = ExperimentData(self.config, self.device, self.checkpoint).evaluation(split)
        if loader is None:
            raise ArgumentError(f"split (={split!r}): the data set of this run has no such images")
        with computing(self.config), plans.using(self._choices):
            return evaluate(self.model, self.loss, loader, part=self._part, views=self.config.training.evaluate)

    @property
    def _part(self) -> int | None:
        """The images computed at a time, where the config says how many."""
        micro_batch = self.config.training.micro_batch
        return micro_batch if isinstance(micro_batch, int) else None

    @cached_property
    def _choices(self) -> Choices:
        """By what a GPU computes each task: as in training, what was computed there."""
        return choices(self.config.plans, self.device, self.checkpoint.plans)

    @cached_property
    def _normalize(self) -> Normalize | None:
        return Normalize.load(self.checkpoint.normalize) if self.checkpoint.normalize else None

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r}, epoch {self.progress.epoch}, step {self.progress.step})"
