"""`python -m gpucnn`: the command line without the `gpucnn` script."""

from __future__ import annotations

import sys

from gpucnn.cli import main

if __name__ == "__main__":
    sys.exit(main())
