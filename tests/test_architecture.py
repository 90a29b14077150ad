"""The house stands as docs/architecture.md draws it: imports run downward, and importing the package costs nothing."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import gpucnn

ROOT = Path(gpucnn.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))

GROUND = [
    "errors", "problems", "resources", "setting", "numerics", "backend", "halves", "dispatch", "arguments", "constants",
    "random", "rates", "frames", "registry",
]  # fmt: skip
PARTS = ["layers", "losses", "optimizers", "schedules", "augment"]
BELOW: dict[str, list[str]] = {
    "errors": [],
    "problems": [],
    "resources": ["errors", "problems"],
    "setting": [],
    "numerics": ["errors", "setting"],
    "backend": ["errors"],
    "halves": ["errors"],
    "dispatch": ["errors", "setting", "backend", "halves"],
    "arguments": [],
    "random": ["backend"],
    "rates": [],
    "frames": ["backend", "random"],
    "constants": ["setting", "backend"],
    "registry": ["errors", "problems"],
    "files": ["errors"],
    "cuda": GROUND,
    "tuning": [*GROUND, "files", "cuda"],
    "ops": [*GROUND, "cuda"],
    "cpu": [*GROUND, "ops"],  # the dispatcher finds it by its name
    "layers": [*GROUND, "ops"],
    "losses": [*GROUND, "ops"],
    "optimizers": [*GROUND, "ops", "layers"],  # layers for what a parameter is
    "schedules": GROUND,
    "augment": [*GROUND, "ops"],
    "model": [*GROUND, "ops", "layers"],
    "data": [*GROUND, "ops", "augment"],
    "config": [*GROUND, *PARTS, "cpu", "model", "data"],
    "training": [*GROUND, *PARTS, "files", "cuda", "tuning", "ops", "model", "data", "config"],
    "profiling": [*GROUND, *PARTS, "cuda", "tuning", "cpu", "model", "data", "config", "training"],
    "cli": [
        *GROUND,
        *PARTS,
        "files",
        "cuda",
        "tuning",
        "ops",
        "cpu",
        "model",
        "data",
        "config",
        "training",
        "profiling",
    ],
}
"""The rooms, lowest first, and those that each may import from besides itself."""

FRONT = {"__init__", "__main__"}
"""The doors of the house: they open on the rooms when they are asked."""

HEAVY = {"numpy", "pydantic", "cupy", "matplotlib", "PIL", "pooch", "yaml", "safetensors", "torch", "numba"}


def room(path: Path) -> str:
    """Return the room that a file stands in: the first name below the package."""
    first = path.relative_to(ROOT).parts[0]
    return first.removesuffix(".py")


def imported(path: Path) -> Iterator[tuple[int, str]]:
    """Yield (line, module) for every import statement of a file, those inside functions and for typing included."""
    package = ["gpucnn", *path.relative_to(ROOT).parts[:-1]]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*above, *([node.module] if node.module else [])])
            # `from gpucnn import ops` imports gpucnn.ops
            yield from ((node.lineno, f"{module}.{alias.name}") for alias in node.names)


def upward(path: Path) -> list[str]:
    """Return the imports of a file that do not lead to a room below its own."""
    own, found = room(path), []
    for line, module in imported(path):
        package, _, rest = module.partition(".")
        target = rest.partition(".")[0]
        if package == "gpucnn" and target in BELOW and target not in [own, *BELOW[own]]:
            found.append(f"{path.relative_to(ROOT.parent)}:{line}: {own} imports {module}")
    return found


def test_every_room_has_its_place():
    rooms = {room(path) for path in FILES} - FRONT
    assert rooms <= set(BELOW), f"say in BELOW what these stand on: {sorted(rooms - set(BELOW))}"


def test_the_rooms_stand_on_those_listed_before_them():
    order = list(BELOW)
    for name, below in BELOW.items():
        assert all(order.index(lower) < order.index(name) for lower in below), name


INSIDE = [path for path in FILES if room(path) not in FRONT]


@pytest.mark.parametrize("path", INSIDE, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_run_downward(path):
    assert not upward(path)


def test_an_import_that_runs_upward_is_seen(tmp_path, monkeypatch):
    """The test above can fail: in every way that an import can be written."""
    monkeypatch.setattr(sys.modules[__name__], "ROOT", tmp_path / "gpucnn")
    file = tmp_path / "gpucnn" / "ops" / "bad.py"
    file.parent.mkdir(parents=True)
    file.write_text(
        "import gpucnn.layers.base\nfrom gpucnn import model\nfrom gpucnn.cli import main\nfrom ..training import run\n"
        "def f():\n    from gpucnn.losses.base import Loss\n"
        "from gpucnn.backend import Array\nfrom gpucnn.ops.window import pad\nfrom . import sums\nimport numpy\n"
    )
    assert [line.split(":")[1] for line in upward(file)] == ["1", "2", "3", "4", "6"]


def test_backend_and_cuda_are_the_only_doors_to_cupy():
    found = []
    for path in FILES:
        if path == ROOT / "backend.py" or room(path) == "cuda":
            continue
        named = [
            node.lineno  # importlib.import_module("cupy")
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.Call) and any(isinstance(a, ast.Constant) and a.value == "cupy" for a in node.args)
        ]
        lines = named + [line for line, module in imported(path) if module.split(".")[0] == "cupy"]
        found += [f"{path.relative_to(ROOT.parent)}:{line}" for line in lines]
    assert not found


def modules_after(code: str) -> set[str]:
    """Return the top-level modules that a fresh interpreter holds after running `code`."""
    report = "\nimport sys\nprint('\\n', *{name.split('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", code + report], capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].split())


def test_importing_the_package_imports_nothing_heavy():
    loaded = modules_after("import gpucnn; gpucnn.__version__; dir(gpucnn)")
    assert "gpucnn" in loaded
    assert not loaded & (HEAVY | {"typer", "rich", "click"})


def test_help_imports_nothing_heavy():
    code = (
        "import sys; sys.argv = ['gpucnn', '--help']\nfrom gpucnn.cli import main\ntry: main()\nexcept SystemExit: pass"
    )
    loaded = modules_after(code)
    assert "gpucnn" in loaded
    assert not loaded & HEAVY


def test_what_the_package_offers_is_found_and_what_it_does_not_is_refused():
    assert gpucnn.ops.conv2d
    assert gpucnn.errors.ConfigError
    for name in gpucnn.__all__:
        assert name in dir(gpucnn)
        assert getattr(gpucnn, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = gpucnn.nothing
