#!/bin/sh
# Install a wheel into an empty environment, and use it from an empty folder, as someone without a checkout would.
#   sh tests/wheel.sh dist/gpucnn-0.1.0-py3-none-any.whl [python]
set -eu
wheel=$(realpath "$1")
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
cd "$place"
"${2:-python3}" -m venv env
env/bin/pip install --quiet --disable-pip-version-check "$wheel"
mkdir elsewhere
cd elsewhere
../env/bin/gpucnn check digits
../env/bin/gpucnn train digits training.epochs=1
../env/bin/gpucnn runs
../env/bin/python - <<'PYTHON'
"""The files that come with the package were installed with it."""

from pathlib import Path

import gpucnn
from gpucnn.resources import folder

assert ".venv" not in gpucnn.__file__ and "env" in Path(gpucnn.__file__).parts, gpucnn.__file__
for name, pattern in {"kernels": "*.cu", "configs": "*.yaml"}.items():
    files = sorted(file.name for file in folder(name).glob(pattern))
    assert files, f"the wheel brought no {name}"
    print(f"{name}: {', '.join(files)}")
assert gpucnn.load("runs/digits-1").results["accuracy"] > 0.1
PYTHON
