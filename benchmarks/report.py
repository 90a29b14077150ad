"""How a benchmark ends: all its numbers as JSON in a file, the few that matter as a table on stdout."""

from __future__ import annotations

import datetime
import json
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import typer

from benchmarks.machine import ROOT, cpu_model, machine
from gpucnn.cli.tables import table

RESULTS = ROOT / "benchmarks" / "results"


class Report:
    """Of one benchmark; made when it begins. name: of its file. output: a file to write in place of the usual one."""

    def __init__(self, name: str, output: Path | None = None) -> None:
        self.name = name
        self.path = output or RESULTS / f"{name}-{slug(cpu_model())}.json"
        self._began = {
            "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "load_average": round(os.getloadavg()[0], 2),
        }

    def finish(
        self, measured: dict[str, Any], heads: Sequence[str], rows: Sequence[Sequence[str]], notes: Sequence[str] = ()
    ) -> None:
        """Write the file; print the table and, below it, the notes."""
        self.write(measured)
        typer.echo(f"numbers: {self.path}", err=True)
        typer.echo("\n".join([table(heads, rows), *notes]))

    def write(self, measured: dict[str, Any]) -> None:
        """Write the file."""
        command = " ".join(["python -m benchmarks", *sys.argv[1:]])
        document = {"benchmark": self.name, "command": command, **self._began, "machine": machine(), **measured}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_text(as_json(document) + "\n", encoding="utf-8")


def slug(text: str) -> str:
    """Return text as part of a file name: `Intel(R) Xeon(R) CPU @ 2.20GHz` gives `intel-xeon-cpu-2.20ghz`."""
    words = re.sub(r"\((R|TM)\)", "", text, flags=re.IGNORECASE)
    return re.sub(r"[^a-z0-9.]+", "-", words.lower()).strip("-.")


def without_folders(text: str) -> str:
    """Return an argument in which every absolute path is cut to its last name: where it lies is nobody's business."""
    return re.sub(r"(?<![\w.~-])~?/(?:[^/\s,}\]]+/)*", "", text)


def as_json(document: Any) -> str:
    """Return plain data as JSON: six digits a number, no folders, lists of plain values on one line each."""
    text = json.dumps(_public(document), indent=2, ensure_ascii=False)
    return re.sub(r"\[\n[^\[\]{}]*\]", _on_one_line, text)


def _on_one_line(found: re.Match[str]) -> str:
    return "[" + re.sub(r"\n *", " ", found[0][1:-1]).strip() + "]"


def _public(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if isinstance(value, str):
        return without_folders(value)
    if isinstance(value, dict):
        return {key: _public(item) for key, item in value.items()}
    return [_public(item) for item in value] if isinstance(value, (list, tuple)) else value


def percent(share: float) -> str:
    """Return 0.98765 as `98.76 %`: rounded down, so that 98.50 % is never less than that."""
    return f"{int(share * 10000 + 1e-6) / 100:.2f} %"


def seconds(value: float) -> str:
    """Return a time of seconds or longer: `21.3 s`; of less: `12.3 ms`."""
    return f"{value:.1f} s" if value >= 1 else f"{1000 * value:.1f} ms"


def mebibytes(size: float) -> str:
    """Return a size in MiB."""
    return f"{size / 2**20:.0f} MiB"


def spread(values: Sequence[float], digits: int = 2) -> str:
    """Return the lowest and the highest: `0.31..0.35`."""
    return f"{min(values):.{digits}f}..{max(values):.{digits}f}"
