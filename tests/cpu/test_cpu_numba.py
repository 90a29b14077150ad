"""Compiled loops: used where numba is there, never needed, imported when they run and not before."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import gpucnn
from gpucnn import ops
from gpucnn.cpu import compiled
from gpucnn.dispatch import recorded
from gpucnn.ops.activation import RELU

ROOT = Path(gpucnn.__file__).parent


@pytest.fixture(autouse=True)
def anew():
    """Look for numba anew, before and after."""
    compiled.problem.cache_clear()
    yield
    compiled.problem.cache_clear()


def norm() -> list[tuple[str, str]]:
    """Compute a batch norm with relu; return by what."""
    x, one = np.ones((2, 3), np.float32), np.ones(3, np.float32)
    with recorded() as decisions:
        ops.batch_norm_activation_eval(x, one, one, one, one, function=RELU)
    return [(decision.operation, decision.implementation) for decision in decisions]


PLAIN = [("batch_norm_eval", "gpucnn.cpu"), ("relu", "gpucnn.cpu")]


def test_without_numba_numpy_computes(monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "numba" else found(name))
    assert compiled.problem() == "numba is not installed"
    assert not compiled.available()
    assert norm() == PLAIN


def test_a_numba_that_cannot_be_imported_is_none(monkeypatch):
    """As after an upgrade of NumPy, which numba follows months later."""
    pytest.importorskip("numba")
    imported = importlib.import_module

    def refuse(name):
        if name == "numba":
            raise ImportError("Numba needs NumPy 2.9\nor less")
        return imported(name)

    monkeypatch.setattr("importlib.import_module", refuse)
    assert compiled.problem() == "numba cannot be imported: Numba needs NumPy 2.9 or less"
    assert norm() == PLAIN


def test_with_numba_loops_compute_unless_they_are_turned_off():
    pytest.importorskip("numba")
    assert norm() == [("batch_norm_activation_eval", "gpucnn.cpu")]
    with compiled.using(False):
        assert norm() == PLAIN


USE = """
import sys
import numpy as np
import gpucnn
from gpucnn import config, ops
config.load("configs/digits.yaml")
ops.relu(np.ones(3)), ops.max_pool2d(np.ones((1, 2, 2, 1)), 2)
assert "numba" not in sys.modules
ops.max_pool2d(np.ones((1, 2, 2, 1), np.float32), 2)
assert "numba" in sys.modules
from gpucnn.cpu.compiled import pool2d
print(sum(pool2d._maxima_of_four.stats.cache_hits.values()), "numba.cpython.unicode" in sys.modules)
"""


def run(root: Path) -> str:
    """Return what `USE` prints with the package in `root`, its compiled code beside its sources."""
    environment = {**os.environ, "PYTHONPATH": str(root), "NUMBA_CACHE_DIR": ""}
    command = [sys.executable, "-W", "error", "-c", USE]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=root)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_numba_is_imported_by_what_needs_it_and_compiles_once(tmp_path):
    """In float64 nothing does. The second process finds on disk what the first compiled, and imports no compiler."""
    pytest.importorskip("numba")
    shutil.copytree(ROOT, tmp_path / "gpucnn", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT.parent / "configs", tmp_path / "configs")
    assert [run(tmp_path), run(tmp_path)] == ["0 True", "1 False"]
