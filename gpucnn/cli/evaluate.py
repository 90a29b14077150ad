"""`gpucnn eval`: how good a trained network is on a split, overall and class by class."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer


def evaluate(
    run: Annotated[Path, typer.Argument(metavar="RUN_OR_CHECKPOINT", help="A run folder, or one checkpoint.")],
    split: Annotated[str, typer.Option(metavar="train|validation|test", help="Which images.")] = "test",
    device: Annotated[str | None, typer.Option(help="auto, cpu, cuda or cuda:N instead of the config's.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, with the confusion matrix.")] = False,
) -> None:
    """Evaluate a trained network, class by class.

    Prints loss and accuracy on the split, and precision, recall and F1 of every class.

    A run stands for its last checkpoint; its best one is RUN/checkpoints/best.safetensors.
    """
    from gpucnn.cli.opening import opened

    network = opened(run, device)
    found = network.evaluate(split).dump(network.classes)
    trained = {"epoch": network.progress.epoch, "step": network.progress.step}
    result = {"checkpoint": str(network.source), "split": split, **trained, **found}
    if as_json:
        typer.echo(json.dumps(result, indent=2))
    else:
        _print(result)


def _print(result: dict[str, Any]) -> None:
    from gpucnn.cli.tables import table
    from gpucnn.training.lines import number, percent

    summary = {"accuracy": percent(result["accuracy"]), "loss": number(result["loss"], "{:.4f}")}
    if "top5_accuracy" in result:
        summary["top-5 accuracy"] = percent(result["top5_accuracy"])
    figures = ", ".join(f"{name} {text}" for name, text in summary.items())
    typer.echo(f"{result['split']}: {result['images']:,} images, {figures}\n")
    rows = [
        [c["class"], percent(c["precision"]), percent(c["recall"]), percent(c["f1"]), f"{c['support']:,}"]
        for c in result["per_class"]
    ]
    typer.echo(table(["class", "precision", "recall", "F1", "images"], rows))
