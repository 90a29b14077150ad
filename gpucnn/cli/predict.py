"""`gpucnn predict`: what a trained network sees in image files or arrays."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from gpucnn.backend import Array


def predict(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder, or one checkpoint.")],
    files: Annotated[
        list[Path], typer.Argument(metavar="FILES", help="Images (PNG, JPEG, ...), or arrays (.npy, .npz).")
    ],
    top: Annotated[int, typer.Option(min=1, metavar="K", help="How many classes to name, the likeliest first.")] = 3,
    invert: Annotated[
        bool, typer.Option("--invert", help="Exchange dark and bright: for dark digits on white paper.")
    ] = False,
    device: Annotated[str | None, typer.Option(help="auto, cpu, cuda or cuda:N instead of the config's.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON: a list with an object an image.")] = False,
) -> None:
    """Classify images.

    An image file is converted to the network's channels (gray or RGB) and, where its size differs, resized
    (bilinear, antialiased), which a note on stderr tells. An array holds one image or many, in the network's size,
    with numbers as in its data set. A file that cannot be read is named, the others go on, and the exit code is 1.
    """
    from gpucnn.cli.opening import opened
    from gpucnn.cli.pictures import images, inverted
    from gpucnn.errors import GpucnnError

    network = opened(run, device)
    shape, dtype = network.checkpoint.input_shape, network.checkpoint.image_dtype
    found: list[dict[str, Any]] = []
    failed = False
    for file in files:
        try:
            batch, note = images(file, shape, dtype)
        except GpucnnError as error:
            typer.echo(f"error: {error}", err=True)
            failed = True
            continue
        if note:
            typer.echo(f"{file}: {note}", err=True)
        for index, row in enumerate(network.predict(inverted(batch) if invert else batch)):
            place = {"index": index} if len(batch) > 1 else {}
            found.append({"file": str(file), **place, "top": _top(row, network.classes, top)})
    if as_json:
        typer.echo(json.dumps(found, indent=2))
    elif found:
        _print(found)
    if failed:
        raise typer.Exit(1)


def _top(probabilities: Array, classes: tuple[str, ...], count: int) -> list[dict[str, Any]]:
    """Return the likeliest classes, the first of equals first."""
    order = (-probabilities).argsort(kind="stable")[:count]
    return [{"class": classes[i], "probability": float(probabilities[i])} for i in order]


def _print(found: list[dict[str, Any]]) -> None:
    from gpucnn.cli.tables import table
    from gpucnn.training.lines import percent

    names = [f"{image['file']}[{image['index']}]" if "index" in image else image["file"] for image in found]
    rows = [
        [name, *(text for one in image["top"] for text in (one["class"], percent(one["probability"])))]
        for name, image in zip(names, found, strict=True)
    ]
    heads = ["file", *(text for i in range(len(found[0]["top"])) for text in (f"top {i + 1}", "probability"))]
    typer.echo(table(heads, rows))
