"""Tests marked gpu: skipped with one reason without a GPU, failures where one is required, run where there is one."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

EXAMPLE = """\
import pytest

def test_plain(): ...

@pytest.mark.gpu
def test_on_a_gpu():
    import cupy
    assert cupy.cuda.Device(0)

@pytest.mark.gpu
def test_on_a_gpu_too(): ...
"""
MISSING = "raise ModuleNotFoundError(\"No module named 'cupy'\", name='cupy')\n"
PRESENT = (
    "import sys, warnings\nfrom cushim.cupy_stand_in import Module\n"
    "warnings.warn('the CUDA path is not set')\nsys.modules['cupy'] = Module('cupy')\n"
)


@pytest.fixture
def outcomes(tmp_path, monkeypatch):
    """Return a function that runs EXAMPLE in a process of its own, and returns exit code, counts and output."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(map(str, (tmp_path, ROOT, ROOT / "tests"))))
    monkeypatch.delenv("GPUCNN_REQUIRE_GPU", raising=False)
    (tmp_path / "test_example.py").write_text(EXAMPLE)
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = gpu\nfilterwarnings = error\n")

    def outcomes(cupy: str, *options: str) -> tuple[int, dict[str, int], str]:
        (tmp_path / "cupy.py").write_text(cupy)
        command = [sys.executable, "-m", "pytest", "-p", "tests.conftest", "-p", "no:cacheprovider", "-rs", *options]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        last = done.stdout.splitlines()[-1]
        counts = {name: int(count) for count, name in re.findall(r"(\d+) (passed|skipped|errors?|failed)", last)}
        return done.returncode, counts, done.stdout

    return outcomes


def test_without_a_gpu_they_are_skipped_with_one_reason(outcomes):
    code, counts, out = outcomes(MISSING)
    assert (code, counts) == (0, {"passed": 1, "skipped": 2})
    (reason,) = [line for line in out.splitlines() if line.startswith("SKIPPED")]
    assert reason.startswith("SKIPPED [2] ")
    assert "device cuda: CuPy is not installed: pip install" in reason


def test_where_a_gpu_is_required_they_fail(outcomes, monkeypatch):
    monkeypatch.setenv("GPUCNN_REQUIRE_GPU", "1")
    code, counts, out = outcomes(MISSING)
    assert (code, counts) == (1, {"passed": 1, "errors": 2})
    assert "a GPU is required: device cuda: CuPy is not installed" in out


def test_the_option_requires_one_too(outcomes):
    assert outcomes(MISSING, "--require-gpu", "-m", "gpu")[:2] == (1, {"errors": 2})


def test_with_a_gpu_they_run(outcomes):
    """What CuPy's import warns of makes no GPU unusable."""
    code, counts, out = outcomes(PRESENT, "--require-gpu")
    assert (code, counts) == (0, {"passed": 3}), out


@pytest.mark.parametrize("path", sorted((ROOT / "tests" / "gpu").glob("test_*.py")), ids=lambda path: path.name)
def test_all_tests_of_the_folder_are_marked(path):
    marks = [
        node.value
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "pytestmark"
    ]
    assert len(marks) == 1
    assert "pytest.mark.gpu" in ast.unparse(marks[0])
