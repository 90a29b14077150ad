"""The door: `python -m benchmarks`."""

from __future__ import annotations

import sys

from benchmarks.app import app
from gpucnn.errors import GpucnnError

if __name__ == "__main__":
    try:
        app(prog_name="python -m benchmarks")
    except GpucnnError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
