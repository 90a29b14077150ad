"""The end of a run: the final evaluation and the pictures.

evaluation.json describes the weights of the last step on the test split (or on the validation split where there is no
test split); with a validation split, `best` describes those of the best epoch, which validation chose, on the same one.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from gpucnn.errors import CheckpointError
from gpucnn.training.checkpoint import Checkpoint, Progress
from gpucnn.training.observer import Observer
from gpucnn.training.run_folder import RunFolder, checkpoints
from gpucnn.training.trainer import Trainer


def report(trainer: Trainer, folder: RunFolder, observer: Observer) -> dict[str, Any] | None:
    """Evaluate a trained network, write evaluation.json and the pictures, and return the evaluation.

    None, with a message, where there are no images to evaluate with. The trainer's weights may be others afterwards.
    """
    result = None
    if split := next((name for name in ("test", "validation") if trainer.data.evaluation(name)), None):
        result = {"split": split, **_evaluation(trainer, split, trainer.progress, "last")}
        if trainer.validation and (best := _best(trainer, folder, observer)):
            trainer.model.load(best.weights)
            result["best"] = _evaluation(trainer, split, best.progress, "best")
        folder.write_json("evaluation.json", result)
    else:
        observer.message("no final evaluation: the data set has no test images, and data.validation is 0")
    try:
        _draw(trainer, folder.path, result)
    except ImportError:
        observer.message('curves.png and confusion.png are not drawn without Matplotlib: pip install "gpucnn[plots]"')
    return result


def _evaluation(trainer: Trainer, split: str, at: Progress, weights: str) -> dict[str, Any]:
    """Return how the network does now, with what its weights are: those of `at`."""
    loader = trainer.data.evaluation(split)
    assert loader is not None  # the split was chosen because it has images
    found = trainer.evaluate(loader, trainer.experiment.training.evaluate)
    return {"weights": weights, "epoch": at.epoch, "step": at.step, **found.dump(trainer.data.info.classes)}


def _best(trainer: Trainer, folder: RunFolder, observer: Observer) -> Checkpoint | None:
    """Return the checkpoint of the best epoch; None, with a message, where it cannot be read or is not that one."""
    if trainer.progress.best_epoch is None:
        return None
    try:
        best = Checkpoint.read(checkpoints(folder.path) / "best.safetensors")
    except CheckpointError as error:
        observer.message(f"the best epoch is not evaluated: {error}")
        return None
    if best.progress.epoch == trainer.progress.best_epoch:
        return best
    observer.message("the best epoch is not evaluated: best.safetensors was written after the checkpoint resumed from")
    return None


def _draw(trainer: Trainer, path: Path, result: dict[str, Any] | None) -> None:
    """Draw the pictures; raises ImportError where Matplotlib is missing."""
    from gpucnn.training import plots

    plots.training_curve(trainer.metrics.epochs, path / "curves.png", title=trainer.experiment.name)
    if result:
        matrix, title = np.array(result["confusion"]), f"{trainer.experiment.name}, {result['split']}"
        plots.confusion_matrix(matrix, trainer.data.info.classes, path / "confusion.png", title=title)
