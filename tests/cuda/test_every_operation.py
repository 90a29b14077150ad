"""What an operation is called in `gpucnn.ops`, its kernels' host side is called here: every operation has one."""

from __future__ import annotations

import ast
import importlib
import inspect
from pathlib import Path

import pytest

from gpucnn import ops

FILES = [path for path in sorted(Path(ops.__file__).parent.glob("*.py")) if "operation\n" in path.read_text()]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_operation_has_kernels_with_its_arguments(file):
    references = importlib.import_module(f"gpucnn.ops.{file.stem}")
    kernels = importlib.import_module(f"gpucnn.cuda.{file.stem}")
    names = [
        node.name
        for node in ast.parse(file.read_text()).body
        if isinstance(node, ast.FunctionDef) and any(_is_operation(d) for d in node.decorator_list)
    ]
    assert names
    for name in names:
        reference = list(inspect.signature(getattr(references, name)).parameters.values())
        ours = list(inspect.signature(getattr(kernels, name.lstrip("_"))).parameters.values())
        if any(p.kind is p.VAR_KEYWORD for p in ours):  # an activation, whose number has many names
            reference, ours = [p for p in reference if p.kind is not p.KEYWORD_ONLY], ours[:-1]
        assert [(p.name, p.kind) for p in ours] == [(p.name, p.kind) for p in reference], name


def _is_operation(decorator: ast.expr) -> bool:
    return getattr(decorator, "id", "").endswith("operation")
