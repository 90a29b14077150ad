"""`gpucnn train`: train the network of a config file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer


def train(
    config: Annotated[
        str | None, typer.Argument(metavar="CONFIG", help="A YAML file, or the name of a shipped experiment: digits.")
    ] = None,
    overrides: Annotated[
        list[str] | None, typer.Argument(metavar="KEY.PATH=VALUE", help="Settings to change: training.epochs=3.")
    ] = None,
    run_dir: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder of the run.  [default: the next free runs/NAME-N]")
    ] = None,
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Go on with the run in --run-dir, or CONFIG's newest unfinished one in runs/."),
    ] = False,
    device: Annotated[str | None, typer.Option(help="auto, cpu, cuda or cuda:N instead of the config's.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print errors and the result only.")] = False,
) -> None:
    """Train the network of a config file.

    Progress goes to stderr. At the end the run folder and the final figures go to stdout, one `name: value` a line.

    Ctrl-C or SIGTERM ends the step under way, writes a checkpoint and exits with 130 or 143. `gpucnn train CONFIG
    --resume` goes on as if nothing had happened. With --run-dir and --resume, CONFIG may be left out: the run's
    own config.yaml is used.
    """
    import gpucnn
    from gpucnn.cli.progress import progress

    given = list(overrides or [])
    if config is not None and "=" in config and not Path(config).is_file():  # `train --resume --run-dir D a.b=1`
        given, config = [config, *given], None
    source, run_dir = _which(config, given, run_dir, resume)
    with progress(quiet) as observer:
        run = gpucnn.train(source, run_dir=run_dir, resume=resume, device=device, overrides=given, observer=observer)
    for name, value in summary(run).items():
        typer.echo(f"{name}: {value}")


def _which(config: str | None, overrides: list[str], run_dir: Path | None, resume: bool) -> tuple[Path, Path | None]:
    """Return the config file to train, and the folder to go on in (None: a new one)."""
    from gpucnn.errors import ArgumentError, RunError
    from gpucnn.resources import find_config

    if config is None:
        if not (resume and run_dir):
            raise ArgumentError("CONFIG is missing: give a YAML file, such as `gpucnn train digits`")
        if not (run_dir / "config.yaml").is_file():
            raise RunError(f"{run_dir}: no run to resume (there is no config.yaml): give the folder of one")
        return run_dir / "config.yaml", run_dir
    path = find_config(config)
    if resume and run_dir is None:
        from gpucnn.cli.runs import newest_unfinished
        from gpucnn.config import load

        run_dir = newest_unfinished(load(path, overrides).name, Path("runs"))
    return path, run_dir


def summary(run: Any) -> dict[str, Any]:
    """Return the final figures of a run by name: what the last weights do, and what the best ones do."""
    result = run.results
    figures: dict[str, Any] = {"run": run.path}
    for prefix, found in (("", result), ("best_", result.get("best", {}))):
        for name in ("epoch", "loss", "accuracy"):
            if name in found:
                label = name if name == "epoch" else f"{result['split']}_{name}"
                figures[prefix + label] = found[name]
    return figures
