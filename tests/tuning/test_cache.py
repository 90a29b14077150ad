"""What was measured, on disk: kept, shared by processes, and set aside where it is damaged."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from gpucnn.errors import RunError
from gpucnn.tuning import cache as module
from gpucnn.tuning.cache import Cache, Tuned, cache_folder, kernels_digest

DEVICE = {"device": "NVIDIA H100 80GB HBM3", "driver": "13.0", "cupy": "14.2.0", "kernels": "0123"}
ROW = Tuned("tiled 64x64", "plain", {"tiled 64x64": 1e-5, "plain": 2e-5}, {"mma 64x64": "CUDAError: no"})


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GPUCNN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "tuned"


def test_what_was_added_is_read(folder):
    told: list[str] = []
    Cache(DEVICE, told.append).add({"a": ROW})
    Cache(DEVICE, told.append).add({"b": ROW})
    assert Cache(DEVICE, told.append).read() == {"a": ROW, "b": ROW}
    (file,) = folder.glob("*.json")
    assert file.name.startswith("nvidia-h100-80gb-hbm3-")
    assert not told


@pytest.mark.parametrize("key", DEVICE)
def test_it_holds_for_one_identity_only(key):
    Cache(DEVICE).add({"a": ROW})
    assert Cache(DEVICE | {key: "another"}).read() == {}


def test_without_a_file_nothing_is_known(folder):
    assert Cache(DEVICE).read() == {}
    assert not folder.exists(), "reading makes no folder"


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text[: len(text) // 2],
        lambda text: "",
        lambda text: "[]",
        lambda text: text.replace("tuned plans 1", "tuned plans 9"),
        lambda text: text.replace("H100", "A100"),
        lambda text: text.replace('"plan": "tiled 64x64"', '"plan": "tiled 32x32"'),
        lambda text: text.replace("1e-05", '"fast"'),
        lambda text: text.replace("1e-05", "-1.0"),
        lambda text: text.replace('"default"', '"usual"'),
    ],
)
def test_a_damaged_file_is_set_aside_once(folder, change):
    Cache(DEVICE).add({"a": ROW})
    (file,) = folder.glob("*.json")
    changed = change(file.read_text())
    assert changed != file.read_text()
    file.write_text(changed)
    told: list[str] = []
    cache = Cache(DEVICE, told.append)
    assert cache.read() == cache.read() == {}
    assert len(told) == 1
    assert "is damaged" in told[0]
    assert f"it is now {file.name}.damaged; `gpucnn tune` makes a new one" in told[0]
    assert file.with_name(f"{file.name}.damaged").read_text() == changed
    cache.add({"b": ROW})
    assert cache.read() == {"b": ROW}


def test_a_file_that_may_not_be_read_is_told(folder):
    cache = Cache(DEVICE, (told := []).append)
    cache.path.mkdir(parents=True)
    assert cache.read() == {}
    assert told == [f"tuned plans are not used: {cache.path}: Is a directory"]


def test_a_folder_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(RunError, match=r"cannot make .*tuned: .*: choose another GPUCNN_CACHE"):
        Cache(DEVICE).add({"a": ROW})


def test_processes_add_to_each_other(folder):
    """Two that each add ten tasks, one by one: none is lost."""
    code = (
        "import sys; from gpucnn.tuning.cache import Cache, Tuned; c = Cache({'device': 'a'})\n"
        "for i in range(10): c.add({f'{sys.argv[1]} {i}': Tuned('plain', 'plain', {'plain': 1.0})})"
    )
    running = [subprocess.Popen([sys.executable, "-c", code, str(i)]) for i in range(2)]
    assert [process.wait() for process in running] == [0, 0]
    assert len(Cache({"device": "a"}).read()) == 20
    assert not [file for file in folder.iterdir() if file.suffix not in (".json", ".lock")]


def test_the_users_cache_is_the_default(monkeypatch, tmp_path):
    monkeypatch.delenv("GPUCNN_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "gpucnn"


def test_the_digest_changes_with_any_kernel(tmp_path, monkeypatch):
    before = kernels_digest()
    assert before == kernels_digest()
    (tmp_path / "a.cu").write_text("one")
    monkeypatch.setattr(module, "folder", lambda name: tmp_path)
    one = kernels_digest()
    (tmp_path / "a.cu").write_text("two")
    assert len({before, one, kernels_digest()}) == 3


def test_the_runner_up_is_the_fastest_of_the_others():
    row: Any = Tuned("b", "a", {"b": 1.0, "c": 1.5, "a": 2.0})
    assert (row.runner_up("b"), row.runner_up("c"), row.runner_up("a")) == ("c", "b", "b")
    assert Tuned("a", "a", {"a": 1.0}).runner_up("a") is None


def test_the_file_is_plain_json(folder):
    Cache(DEVICE).add({"a": ROW})
    (file,) = folder.glob("*.json")
    found = json.loads(file.read_text())
    assert found["for"] == DEVICE
    assert found["tasks"]["a"]["seconds"] == {"tiled 64x64": 1e-5, "plain": 2e-5}
