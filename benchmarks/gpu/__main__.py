"""A part that measures, in a process of its own: `python -m benchmarks.gpu PART FILE ROUNDS SECONDS`.

What it knows so far is in FILE after every measurement: a part that dies or takes too long leaves what it had.
"""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path

from gpucnn.backend import Device
from gpucnn.errors import GpucnnError

MODULES = {"conv": "benchmarks.gpu.convolutions", "steps": "benchmarks.gpu.steps"}


def main(part: str, file: str, rounds: str, seconds: str) -> None:
    """Measure a part."""
    device, target = Device.named("cuda"), Path(file)
    module = importlib.import_module(MODULES[part])
    for known in module.measure(device, rounds=int(rounds), seconds=float(seconds)):
        draft = target.with_suffix(".draft")
        draft.write_text(json.dumps(known))
        draft.replace(target)
        last = next((rows[-1] for rows in known.values() if isinstance(rows, list) and rows), None)
        if last:
            print({key: value for key, value in last.items() if key not in ("seconds", "sizes")}, flush=True)


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except GpucnnError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
