from __future__ import annotations

import json
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from gpucnn.cli.data import app
from gpucnn.errors import ArgumentError


@pytest.fixture(autouse=True)
def _nowhere(monkeypatch, tmp_path):
    monkeypatch.delenv("GPUCNN_DATA", raising=False)
    monkeypatch.setattr("gpucnn.data.places.platformdirs.user_cache_dir", lambda app: str(tmp_path / app))


def run(*arguments):
    return CliRunner().invoke(app, arguments)


def test_list_shows_every_data_set():
    from gpucnn.data.base import Dataset

    result = run("list")
    lines = result.stdout.splitlines()
    assert result.exit_code == 0
    assert [line.split()[0] for line in lines] == ["name", *Dataset.registry]
    (digits,) = [line for line in lines if line.startswith("digits")]
    assert "in the package" in digits
    assert "1,442 + 355" in digits
    assert "CC BY 4.0" in digits


def test_the_list_is_what_the_command_shows_by_itself():
    assert run().stdout == run("list").stdout


def test_list_as_json():
    rows = {row["name"]: row for row in json.loads(run("list", "--json").stdout)}
    assert rows["mnist"] == {
        "name": "mnist",
        "found": "not found",
        "train": 60_000,
        "test": 10_000,
        "megabytes": 12,
        "licence": "CC BY-SA 3.0; Y. LeCun, C. Cortes",
        "problem": None,
    }


def test_list_goes_on_where_a_file_is_damaged(tmp_path, monkeypatch):
    folder = tmp_path / "gpucnn" / "mnist"
    folder.mkdir(parents=True)
    for stem in ("train-images-idx3", "train-labels-idx1"):
        (folder / f"{stem}-ubyte").write_bytes(b"damaged")
    result = run("list")
    (mnist,) = [line for line in result.stdout.splitlines() if line.startswith("mnist")]
    assert mnist.split()[1:3] == [str(folder), "damaged"]
    assert result.stderr.startswith(f"mnist: damaged: {folder / 'train-images-idx3-ubyte'}: byte 0: expected magic")
    rows = {row["name"]: row for row in json.loads(run("list", "--json").stdout)}
    assert rows["mnist"]["problem"].startswith(str(folder))


def test_fetch_prints_the_folder(tmp_path, monkeypatch):
    def fetched(name, *, base_url, dest, say, progress):
        say(f"{name} from {base_url}")
        progress.total = 10
        progress.update(10)
        progress.reset()
        progress.close()
        return dest

    monkeypatch.setattr("gpucnn.data.fetch.fetch", fetched)
    result = run("fetch", "mnist", "--base-url", "http://here", "--dest", str(tmp_path))
    assert (result.exit_code, result.stdout) == (0, f"{tmp_path}\n")
    assert result.stderr == "mnist from http://here\n"


def test_fetch_of_an_unknown_name():
    result = run("fetch", "minst")
    assert isinstance(result.exception, ArgumentError)
    assert "did you mean 'mnist'?" in str(result.exception)


def test_importing_the_command_imports_nothing_heavy():
    heavy = "numpy, pydantic, PIL, pooch, requests, rich.progress"
    code = f"import sys; import gpucnn.cli.data; print([n for n in '{heavy}'.split(', ') if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
