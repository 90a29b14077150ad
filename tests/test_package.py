"""The package as a whole: what goes into the wheel, and that every file says what it is."""

from __future__ import annotations

import ast
import tomllib
from pathlib import Path

import gpucnn

ROOT = Path(gpucnn.__file__).parents[1]


def test_the_wheel_takes_kernels_and_configs_along():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    included = settings["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    assert included == {"kernels": "gpucnn/kernels", "configs": "gpucnn/configs"}
    assert all(any((ROOT / folder).iterdir()) for folder in included)


def test_every_file_says_what_it_is():
    silent = [
        str(file)
        for file in sorted((ROOT / "gpucnn").rglob("*.py"))
        if not ast.get_docstring(ast.parse(file.read_text(encoding="utf-8")))
    ]
    assert not silent
