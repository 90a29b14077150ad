"""`gpucnn runs`: the runs in a folder, what became of each, and how good it is."""

from __future__ import annotations

import datetime
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from gpucnn.errors import GpucnnError, RunError


@dataclass(frozen=True)
class Listed:
    """A run as its folder tells it, without its checkpoints being read.

    state: finished, unfinished (`gpucnn train --resume` goes on with it), running, or damaged: then `problem` says
    why. started: when, ISO 8601. epochs: how many are done, of `planned`. Accuracies are from 0 to 1: on the
    validation images after the last epoch, and on the test images at the end.
    """

    name: str
    state: str
    epochs: int
    planned: int | None
    validation_accuracy: float | None
    test_accuracy: float | None
    started: str | None
    path: str
    problem: str | None = None


def runs(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where the runs are, or one run.")] = Path("runs"),
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON: a list with an object a run.")] = False,
) -> None:
    """List runs, the newest first: state, epochs, accuracy.

    A run is finished, unfinished (go on with it by `gpucnn train --resume`), running, or damaged.
    """
    found = scan(folder)
    if as_json:
        typer.echo(json.dumps([asdict(run) for run in found], indent=2))
        return
    if not found:
        typer.echo(f"no runs in {folder}", err=True)
        return
    from gpucnn.cli.tables import table

    heads = ["name", "state", "epochs", "validation", "test", "started", "path"]
    typer.echo(table(heads, map(_cells, found)))
    for run in found:
        if run.problem:
            typer.echo(f"{run.path}: damaged: {run.problem}", err=True)


def scan(folder: Path) -> list[Listed]:
    """Return the runs in a folder, the newest first, or the folder itself where it is a run."""
    if not folder.is_dir():
        if folder == Path("runs"):
            return []  # nothing was trained here yet
        raise RunError(f"{folder}: no such folder: give one with run folders in it")
    folders = [folder] if _is_run(folder) else [entry for entry in folder.iterdir() if _is_run(entry)]
    return sorted(map(look, folders), key=lambda run: (run.started or "", run.path), reverse=True)


def look(path: Path) -> Listed:
    """Return what a run's folder tells."""
    from gpucnn.config.yaml_file import read_file
    from gpucnn.files import read_json
    from gpucnn.training.lock import held
    from gpucnn.training.metrics import read_lines

    config: dict[str, Any] = {}
    rows: list[dict[str, Any]] = []
    started, test, planned, problem = None, None, None, None
    try:
        config = dict(read_file(path / "config.yaml").data)
        planned = int(config["training"]["epochs"])
        started = str(read_json(path / "environment.json")[0]["started"])
        rows = [row for row in read_lines(path / "metrics.jsonl") if row["kind"] == "epoch"]
        evaluation = read_json(path / "evaluation.json") if (path / "evaluation.json").exists() else None
        if evaluation is not None and evaluation["epoch"] < len(rows):
            evaluation = None  # from before it was trained further
        if evaluation is not None and evaluation["split"] == "test":
            test = float(evaluation["accuracy"])
        done = evaluation is not None or len(rows) >= planned
        state = "running" if held(path / "lock") else "finished" if done else "unfinished"
    except (OSError, ValueError, TypeError, KeyError, IndexError, GpucnnError) as error:
        state, problem = "damaged", _reason(error)
    return Listed(
        name=str(config.get("name", path.name)),
        state=state,
        epochs=len(rows),
        planned=planned,
        validation_accuracy=rows[-1].get("validation_accuracy") if rows else None,
        test_accuracy=test,
        started=started,
        path=os.fspath(path),
        problem=problem,
    )


def newest_unfinished(name: str, folder: Path) -> Path:
    """Return the unfinished run of experiment `name` that was begun last; raises RunError where there is none."""
    found = [run for run in scan(folder) if run.name == name]
    for run in found:
        if run.state == "unfinished":
            return Path(run.path)
    states = f"its {len(found)} run(s) there: " + ", ".join(f"{run.path} {run.state}" for run in found[:5])
    raise RunError(
        f"--resume: there is no unfinished run of {name!r} in {folder}/ ({states if found else 'none at all'}): "
        "leave out --resume to begin one, or name a run by --run-dir"
    )


def _is_run(path: Path) -> bool:
    return any((path / name).exists() for name in ("environment.json", "metrics.jsonl", "checkpoints"))


def _reason(error: Exception) -> str:
    """Return in one line what is wrong with a run's files."""
    if isinstance(error, OSError):
        return f"{error.filename}: {error.strerror}"
    if isinstance(error, GpucnnError):
        return " ".join(str(error).split())
    return f"config.yaml, environment.json or evaluation.json is not as a run writes it ({error!r})"


def _cells(run: Listed) -> list[str]:
    from gpucnn.training.lines import percent

    epochs = str(run.epochs) if run.planned is None else f"{run.epochs}/{run.planned}"
    started = datetime.datetime.fromisoformat(run.started).astimezone() if run.started else None
    begun = f"{started:%Y-%m-%d %H:%M}" if started else "-"
    return [run.name, run.state, epochs, percent(run.validation_accuracy), percent(run.test_accuracy), begun, run.path]
