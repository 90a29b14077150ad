"""A part that measures, in a process of its own: `python -m benchmarks.gpu PART FILE SECONDS ROUNDS TURN [NAME]`.

What it knows so far is in FILE after every measurement: a part that dies or takes too long leaves what it had. Where
FILE is there already, `conv` and `tune` go on after what it says. SECONDS: how long to go on with what comes next.
"""

from __future__ import annotations

import importlib
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gpucnn.backend import Device
from gpucnn.errors import GpucnnError

QUIET = ("seconds", "sizes", "ceilings")
"""What is in the file alone."""


def main(part: str, file: str, limit: str, rounds: str, turn: str, name: str = "") -> None:
    """Measure a part."""
    device, target = Device.named("cuda"), Path(file)
    timing: dict[str, Any] = {"rounds": int(rounds), "seconds": float(turn), "until": time.monotonic() + float(limit)}
    for known in _measured(part, name, device, target, timing):
        draft = target.with_suffix(".draft")
        draft.write_text(json.dumps(known))
        draft.replace(target)
        last = next((rows[-1] for rows in known.values() if isinstance(rows, list) and rows), None)
        if last and "under_way" not in known:
            print(
                {key: value for key, value in last.items() if key not in ("seconds", "sizes", "ceilings")}, flush=True
            )


def _measured(part: str, name: str, device: Device, file: Path, timing: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if part in ("conv", "tune"):
        module = importlib.import_module({"conv": "benchmarks.gpu.convolutions", "tune": "benchmarks.gpu.tuning"}[part])
        known = json.loads(file.read_bytes()) if file.is_file() else None
        found: Iterator[dict[str, Any]] = module.measure(device, known=known, **timing)
        return found
    from benchmarks.gpu import steps

    return steps.measure(device, part=part, name=name, **timing)


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except GpucnnError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
