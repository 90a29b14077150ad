"""What a benchmark leaves: JSON with all that its numbers depend on, nothing private, and a table."""

from __future__ import annotations

import json
import platform
import sys

import pytest

from benchmarks.report import RESULTS, Report, as_json, percent, seconds, slug, spread, without_folders


def test_the_file_holds_the_circumstances_and_the_numbers(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", [str(tmp_path / "main.py"), "speed", "--output", str(tmp_path / "out.json")])
    report = Report("speed", tmp_path / "new" / "out.json")
    report.finish(
        {"runs": 2, "values": [1.0, 2.0], "config": str(tmp_path)}, ["name", "value"], [["a", "1"]], ["in all: 3"]
    )
    text = report.path.read_text()
    found = json.loads(text)
    assert found["benchmark"] == "speed"
    assert found["command"] == "python -m benchmarks speed --output out.json"
    assert found["runs"] == 2
    assert found["values"] == [1.0, 2.0]
    assert found["date"]
    assert set(found["machine"]) >= {"cpu", "cpus_usable", "variables", "python", "numpy", "blas", "torch", "commit"}
    assert str(tmp_path) not in text
    assert f'"{platform.node()}"' not in text
    assert capsys.readouterr().out == "name  value\na         1\nin all: 3\n"


def test_files_are_named_after_the_cpu():
    path = Report("start").path
    assert path.parent == RESULTS
    assert path.name.startswith("start-")
    assert path.suffix == ".json"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Intel(R) Xeon(R) CPU @ 2.20GHz", "intel-xeon-cpu-2.20ghz"),
        ("AMD EPYC 7B13", "amd-epyc-7b13"),
        ("Apple M2", "apple-m2"),
    ],
)
def test_slug(name, expected):
    assert slug(name) == expected


@pytest.mark.parametrize(
    ("argument", "expected"),
    [
        ("/home/someone/out.json", "out.json"),
        ("data.dataset={mnist: {path: /mnt/sets/mnist}}", "data.dataset={mnist: {path: mnist}}"),
        ("~/sets/mnist", "mnist"),
        ("--output=/tmp/a/b.json", "--output=b.json"),
        ("configs/digits.yaml", "configs/digits.yaml"),
        ("training.epochs=1", "training.epochs=1"),
    ],
)
def test_folders_are_cut(argument, expected):
    assert without_folders(argument) == expected


def test_json_is_short_and_whole():
    value = {"a": [1, 2.123456789, "x, y"], "b": [{"c": [True, None]}], "d": [], "e": (0.1,)}
    text = as_json(value)
    assert json.loads(text) == {"a": [1, 2.12346, "x, y"], "b": [{"c": [True, None]}], "d": [], "e": [0.1]}
    assert '"a": [1, 2.12346, "x, y"]' in text
    assert '"c": [true, null]' in text


def test_figures_as_text():
    assert percent(0.98499) == "98.49 %"
    assert percent(0.985) == "98.50 %"
    assert [percent(count / 10000) for count in (5783, 9900)] == ["57.83 %", "99.00 %"]
    assert [seconds(21.26), seconds(0.01234)] == ["21.3 s", "12.3 ms"]
    assert spread([0.5, 0.25, 1.0]) == "0.25..1.00"
