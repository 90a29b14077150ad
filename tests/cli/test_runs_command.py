"""`gpucnn runs` on folders in every state."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gpucnn.cli import main
from gpucnn.cli.runs import newest_unfinished, scan
from gpucnn.errors import RunError
from gpucnn.training.lock import Lock


def begin(path: Path, name: str = "digits", *, started: str, epochs: int = 0, planned: int = 3) -> Path:
    """Make the folder of a run that has trained `epochs` of `planned` epochs."""
    path.mkdir(parents=True)
    (path / "config.yaml").write_text(f"name: {name}\ntraining: {{epochs: {planned}}}\n")
    (path / "environment.json").write_text(json.dumps([{"started": started}]))
    rows = [{"kind": "epoch", "epoch": e + 1, "step": e, "validation_accuracy": 0.5 + e / 10} for e in range(epochs)]
    (path / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (path / "lock").write_text("999999999\n")
    return path


def finish(path: Path, *, epoch: int, split: str = "test") -> None:
    (path / "evaluation.json").write_text(json.dumps({"split": split, "epoch": epoch, "accuracy": 0.9875}))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Four runs, each begun a day after the one before, and two things that are none."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TZ", "UTC")
    finish(begin(Path("runs/digits-1"), started="2026-01-01T10:00:00+00:00", epochs=3), epoch=3)
    begin(Path("runs/digits-2"), started="2026-01-02T10:00:00+00:00", epochs=2)
    begin(Path("runs/mnist-1"), "mnist", started="2026-01-03T10:00:00+00:00")
    begin(Path("runs/digits-3"), started="2026-01-04T10:00:00+00:00", epochs=1)
    (Path("runs/digits-3") / "metrics.jsonl").write_text("{}\n")
    (tmp_path / "runs" / "notes").mkdir()
    (tmp_path / "runs" / "readme.txt").touch()
    return tmp_path / "runs"


def test_runs_are_listed_the_newest_first(folder, capsys):
    assert main(["runs"]) == 0
    out, err = capsys.readouterr()
    assert out.splitlines() == [
        "name    state       epochs  validation     test           started  path",
        "digits  damaged        0/3           -        -  2026-01-04 10:00  runs/digits-3",
        "mnist   unfinished     0/3           -        -  2026-01-03 10:00  runs/mnist-1",
        "digits  unfinished     2/3     60.00 %        -  2026-01-02 10:00  runs/digits-2",
        "digits  finished       3/3     70.00 %  98.75 %  2026-01-01 10:00  runs/digits-1",
    ]
    assert err.startswith("runs/digits-3: damaged: ")
    assert "metrics.jsonl:1" in err


def test_json_says_the_same(folder, capsys):
    assert main(["runs", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [run["state"] for run in found] == ["damaged", "unfinished", "unfinished", "finished"]
    assert found[3] == {
        "name": "digits",
        "state": "finished",
        "epochs": 3,
        "planned": 3,
        "validation_accuracy": 0.7,
        "test_accuracy": 0.9875,
        "started": "2026-01-01T10:00:00+00:00",
        "path": "runs/digits-1",
        "problem": None,
    }


def test_one_run_can_be_asked_about(folder, capsys):
    assert main(["runs", "runs/mnist-1"]) == 0
    assert capsys.readouterr().out.splitlines()[1].startswith("mnist  unfinished")


def test_a_run_that_a_process_writes_is_running(folder):
    lock = Lock(folder / "digits-2" / "lock")
    try:
        assert [run.state for run in scan(folder / "digits-2")] == ["running"]
    finally:
        lock.release()
    assert [run.state for run in scan(folder / "digits-2")] == ["unfinished"]


def test_an_evaluation_from_before_more_epochs_does_not_finish_a_run(folder):
    finish(folder / "digits-2", epoch=1)
    assert scan(folder / "digits-2")[0].state == "unfinished"
    assert scan(folder / "digits-2")[0].test_accuracy is None


def test_early_stopping_finishes_a_run_before_its_last_epoch(folder):
    finish(folder / "digits-2", epoch=2, split="validation")
    assert scan(folder / "digits-2")[0].state == "finished"
    assert scan(folder / "digits-2")[0].test_accuracy is None  # it was not evaluated on test images


@pytest.mark.parametrize("file", ["config.yaml", "environment.json", "evaluation.json"])
@pytest.mark.parametrize("content", ["", "[1, 2", "{}", "[]", "\0"])
def test_a_damaged_file_damages_its_run_only(folder, file, content):
    (folder / "digits-1" / file).write_text(content)
    found = {Path(run.path).name: run for run in scan(folder)}
    assert found["digits-1"].state == "damaged"
    assert file in found["digits-1"].problem
    assert found["digits-2"].state == "unfinished"


def test_no_runs_is_nothing_to_fail_over(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["runs"]) == 0
    assert capsys.readouterr() == ("", "no runs in runs\n")


def test_a_folder_that_does_not_exist_is_named(tmp_path, capsys):
    assert main(["runs", str(tmp_path / "none")]) == 1
    assert capsys.readouterr().err == f"error: {tmp_path / 'none'}: no such folder: give one with run folders in it\n"


def test_resume_takes_the_newest_unfinished_run_of_its_experiment(folder):
    begin(folder / "digits-4", started="2026-01-01T11:00:00+00:00")  # begun before digits-2
    assert newest_unfinished("digits", folder) == folder / "digits-2"
    assert newest_unfinished("mnist", folder) == folder / "mnist-1"


def test_resume_without_an_unfinished_run_says_what_there_is(folder):
    finish(folder / "mnist-1", epoch=0)
    with pytest.raises(RunError, match=r"no unfinished run of 'mnist'.*mnist-1 finished.*--run-dir"):
        newest_unfinished("mnist", folder)
    with pytest.raises(RunError, match=r"no unfinished run of 'cifar'.*none at all"):
        newest_unfinished("cifar", folder)
