"""Options that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Output = Annotated[
    Path | None, typer.Option(metavar="FILE", help="The JSON file.  [default: benchmarks/results/NAME-CPU.json]")
]
Overrides = Annotated[
    list[str] | None, typer.Argument(metavar="KEY.PATH=VALUE", help="Settings to change, as in `gpucnn train`.")
]
