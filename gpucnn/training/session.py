"""From a config to a finished run: what `gpucnn.train` and `gpucnn train` do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

from gpucnn.backend import Device
from gpucnn.config import Experiment, to_yaml
from gpucnn.config import load as load_config
from gpucnn.config.implementations import by_what, computing, stored_as
from gpucnn.errors import ArgumentError
from gpucnn.resources import find_config
from gpucnn.training.checkpoint import Checkpoint
from gpucnn.training.environment import environment, versions
from gpucnn.training.lines import Lines
from gpucnn.training.metrics import Metrics
from gpucnn.training.observer import Observer, RunInfo
from gpucnn.training.parts import pinned
from gpucnn.training.report import report
from gpucnn.training.resume import require_same
from gpucnn.training.run import Run, load
from gpucnn.training.run_folder import RunFolder, require_free
from gpucnn.training.signals import Interrupted, Interrupts
from gpucnn.training.trainer import Trainer


def train(
    config: str | Path | Mapping[str, Any] | Experiment,
    *,
    run_dir: str | Path | None = None,
    resume: bool = False,
    device: str | None = None,
    overrides: Sequence[str] = (),
    observer: Observer | None = None,
) -> Run:
    """Train the network of an experiment and return the run, ready to predict.

    config: the path of a YAML file, the name of an experiment that comes with gpucnn (`digits`), the same as a
    mapping, or an `Experiment`. run_dir: the run's folder, new or empty; by default the next free of runs/NAME-1,
    runs/NAME-2, ... resume: go on with the run in `run_dir`, exactly where its last checkpoint is. device: in place
    of the config's. overrides: `key.path=value`, as on the command line. observer: hears of the progress; by
    default, lines on stderr; a plain `Observer()` is silent.

    Raises ConfigError, DataError, RunError, CheckpointError, DeviceError, NonFiniteError; Interrupted after SIGINT or
    SIGTERM, once a checkpoint is written.
    """
    if isinstance(config, (str, Path)):
        config = find_config(str(config))
    changes = [overrides] if isinstance(overrides, str) else list(overrides)
    experiment = pinned(load_config(config, [*changes, *([f"device={device}"] if device else [])]))
    if resume and run_dir is None:
        raise ArgumentError("resume needs run_dir (--run-dir): the folder of the run to go on with")
    place = None if run_dir is None else Path(run_dir)
    observer = observer or Lines()
    if place and not resume:
        require_free(place)  # before the data are read, which may take long
    with computing(experiment), ExitStack() as stack:
        resumed = stack.enter_context(closing(RunFolder.reopen(place))) if place and resume else None
        restored = _checkpoint(resumed, experiment, observer) if resumed else None
        target = Device.named(experiment.device)
        if target.note:
            observer.message(target.note)
        trainer = Trainer(experiment, target, restored)
        if trainer.data.note:
            observer.message(trainer.data.note)
        if trainer.eager:
            observer.message(f"no CUDA graph: {trainer.eager}")
        interrupts = stack.enter_context(Interrupts())
        # Only now, so that what cannot be trained leaves no folder.
        folder = resumed or stack.enter_context(closing(RunFolder.create(experiment.name, place)))
        folder.write_text("config.yaml", to_yaml(experiment))
        folder.add_environment(environment(target))
        metrics = Metrics(folder.path, epoch=trainer.progress.epoch, step=trainer.progress.step)
        stack.callback(metrics.close)
        observer.started(_info(trainer, folder.path))
        trainer.fit(folder, metrics, observer, interrupts)
        try:
            result = report(trainer, folder, observer)
        except Interrupted as stop:
            advice = f"trained, but not evaluated: to go on: {folder.resume_command}"
            raise Interrupted(stop.signal, f"{stop}; {advice}") from None
        observer.finished({"path": folder.path, **(result or {})})
        return load(folder.path, device=experiment.device)


def _checkpoint(folder: RunFolder, experiment: Experiment, observer: Observer) -> Checkpoint | None:
    """Return the last valid checkpoint of a run that is the same experiment, and tell what was found."""
    damaged: list[str] = []
    checkpoint = folder.latest(damaged)
    for problem in damaged:
        observer.message(f"a checkpoint is set aside: {problem}")
    if checkpoint is None:
        observer.message(f"{folder.path} has no checkpoint yet: training begins at the beginning")
        return None
    require_same(folder.path, checkpoint.config, experiment.dump())
    p = checkpoint.progress
    observer.message(f"going on after step {p.step} (epochs done: {p.epoch}; batches of the next: {p.batch})")
    if checkpoint.versions != versions():
        observer.message(
            f"the checkpoint was written by {checkpoint.versions}, this is {versions()}: "
            "the weights will not be equal to the last bit to those of a run that never stopped"
        )
    return checkpoint


def _info(trainer: Trainer, path: Path) -> RunInfo:
    words = (stored_as(trainer.experiment, trainer.device), str(trainer.scaling or ""))
    return {
        "path": path,
        "name": trainer.experiment.name,
        "device": str(trainer.device),
        "by": by_what(trainer.experiment, trainer.device),
        "precision": ", ".join(filter(None, words)),
        "layers": sum(not layer.children() for layer in trainer.model.layers.walk()),
        "parameters": sum(p.value.size for p in trainer.model.params.values()),
        "train_images": trainer.batches.images,
        "validation_images": trainer.validation.images if trainer.validation else 0,
        "epochs": trainer.experiment.training.epochs,
        "batches": len(trainer.batches),
        "epoch": trainer.progress.epoch,
        "step": trainer.progress.step,
    }
