"""Run folders: made once, by one process; the last two checkpoints stay; damaged ones are passed over."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gpucnn.errors import CheckpointError, RunError
from gpucnn.files import write_atomically
from gpucnn.training import run_folder
from gpucnn.training.checkpoint import Checkpoint, Progress
from gpucnn.training.lock import Lock, held
from gpucnn.training.run_folder import RunFolder, by_step, checkpoints, latest


def at(step: int) -> Checkpoint:
    return Checkpoint({"w": np.ones(3)}, {}, Progress(step=step), {}, ("a",), (8, 8, 1), "uint8", None)


def begun(path: Path) -> RunFolder:
    folder = RunFolder.create("a", path)
    folder.write_text("config.yaml", "name: a\n")
    return folder


def test_folders_are_numbered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for other in ("a[1]-7", "a-x", "a-b-9", "a-3"):
        (tmp_path / "runs" / other).mkdir(parents=True)
    assert [str(RunFolder.create("a").path) for _ in range(2)] == ["runs/a-4", "runs/a-5"]
    assert str(RunFolder.create("a[1]").path) == "runs/a[1]-8"


def test_processes_never_get_the_same_folder(tmp_path: Path) -> None:
    program = "from gpucnn.training.run_folder import RunFolder\nfor _ in range(20): print(RunFolder.create('a').path)"
    command = [sys.executable, "-c", program]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path.cwd()), os.environ.get("PYTHONPATH", "")])}
    children = [
        subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True, env=environment) for _ in range(3)
    ]
    made = [line for child in children for line in child.communicate(timeout=60)[0].split()]
    assert len(made) == len(set(made)) == 60
    assert all((tmp_path / path / "lock").is_file() for path in made)


def test_a_folder_that_is_not_empty_is_refused_and_untouched(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(RunError, match=r"exists and is not empty: add --resume .* or choose another --run-dir"):
        RunFolder.create("a", tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_run_that_began_before_the_lock_was_ours_is_untouched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process begins and ends a run between the first look and the lock."""

    def late(path: Path) -> Lock:
        (path.parent / "config.yaml").write_text("theirs")
        return Lock(path)

    monkeypatch.setattr(run_folder, "Lock", late)
    with pytest.raises(RunError, match="exists and is not empty"):
        RunFolder.create("a", tmp_path)
    assert (tmp_path / "config.yaml").read_text() == "theirs"
    assert not held(tmp_path / "lock")


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "runs").write_text("a file")
    with pytest.raises(RunError, match=r"cannot make the run folder .*runs/b: Not a directory"):
        RunFolder.create("a", tmp_path / "runs" / "b")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RunError, match=r"cannot make a run folder in .*runs: File exists; use --run-dir"):
        RunFolder.create("a")


def test_a_lock_that_cannot_be_written_leaves_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_space(handle: int, data: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "write", no_space)
    with pytest.raises(RunError, match=r"cannot write .*x/lock: No space left on device; make room"):
        RunFolder.create("a", tmp_path / "x")
    assert not list(tmp_path.iterdir())
    (tmp_path / "lock").mkdir()
    with pytest.raises(RunError, match=r"cannot write .*lock: Is a directory"):
        Lock(tmp_path / "lock")


def test_a_folder_in_which_no_run_was_begun_is_removed(tmp_path: Path) -> None:
    RunFolder.create("a", tmp_path / "x").close()
    assert not (tmp_path / "x").exists()
    begun(tmp_path / "x").close()
    assert (tmp_path / "x" / "config.yaml").exists()


def test_what_a_killed_start_leaves_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / "lock").write_text("123\n")
    (tmp_path / ".config.yaml.123.tmp").write_text("na")
    begun(tmp_path).close()


def test_only_one_writes_a_run(tmp_path: Path) -> None:
    program = f"""
from gpucnn.training.run_folder import RunFolder
folder = RunFolder.reopen(__import__('pathlib').Path({str(tmp_path / "x")!r}))
print('held', flush=True); input()
"""
    begun(tmp_path / "x").close()
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout
        assert child.stdout.readline() == "held\n"
        with pytest.raises(RunError, match=rf"another process \(id {child.pid}\) is writing this run"):
            RunFolder.reopen(tmp_path / "x")
        assert held(tmp_path / "x" / "lock")
        child.send_signal(signal.SIGKILL)
        child.wait(timeout=30)
    assert not held(tmp_path / "x" / "lock")
    RunFolder.reopen(tmp_path / "x").close()


def test_there_must_be_a_run_to_resume(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"no run to resume .* leave out --resume"):
        RunFolder.reopen(tmp_path / "absent")


def test_half_written_files_are_removed_on_resume(tmp_path: Path) -> None:
    folder = begun(tmp_path)
    folder.save(at(1))
    folder.close()
    for stale in (tmp_path / ".metrics.jsonl.9.tmp", checkpoints(tmp_path) / ".step-00000002.safetensors.9.tmp"):
        stale.write_bytes(b"half")
    RunFolder.reopen(tmp_path).close()
    assert not list(tmp_path.rglob("*.tmp"))


def test_the_last_two_and_those_with_names_stay(tmp_path: Path) -> None:
    folder = begun(tmp_path)
    folder.save(at(2), "best")
    folder.save(at(2), "epoch-0001")
    for step in (2, 9, 10, 100_000_000):
        folder.save(at(step))
    names = sorted(p.name for p in checkpoints(tmp_path).iterdir())
    steps = ["step-00000010.safetensors", "step-100000000.safetensors"]
    assert names == ["best.safetensors", "epoch-0001.safetensors", *steps]
    assert [p.name for p in by_step(tmp_path)] == steps[::-1]


def test_a_damaged_checkpoint_is_set_aside_and_counts_no_more(tmp_path: Path) -> None:
    folder = begun(tmp_path)
    first, second = folder.save(at(1)), folder.save(at(2))
    second.write_bytes(second.read_bytes()[:-1])
    damaged: list[str] = []
    found = latest(tmp_path, damaged)
    assert found
    assert found[0] == first
    assert second.exists()  # looking changes nothing
    damaged.clear()
    restored = folder.latest(damaged)
    assert restored
    assert restored.progress.step == 1
    assert len(damaged) == 1
    assert str(second) in damaged[0]
    assert [p.name for p in by_step(tmp_path)] == [first.name]
    assert second.with_name(second.name + ".damaged").exists()


def test_no_checkpoint_and_none_that_is_valid_differ(tmp_path: Path) -> None:
    folder = begun(tmp_path)
    assert folder.latest([]) is None
    folder.save(at(1)).write_bytes(b"x")
    folder.save(at(2)).write_bytes(b"y")
    with pytest.raises(
        CheckpointError, match=r"none of its 2 checkpoint\(s\) can be read:\n.*step-00000002.*\n.*step-00000001"
    ):
        folder.latest([])


def test_environment_has_an_entry_for_each_process(tmp_path: Path) -> None:
    folder = begun(tmp_path)
    folder.add_environment({"device": "cpu"})
    folder.add_environment({"device": "cuda:0"})
    assert (tmp_path / "environment.json").read_text().count('"device"') == 2
    (tmp_path / "environment.json").write_text("{")
    folder.add_environment({"device": "cpu"})
    assert (tmp_path / "environment.json").read_text().count('"device"') == 1


def test_a_file_is_replaced_and_never_written_over(tmp_path: Path) -> None:
    write_atomically(tmp_path / "file", b"before")
    with (tmp_path / "file").open("rb") as reader:
        write_atomically(tmp_path / "file", b"after")
        assert reader.read() == b"before"
    assert (tmp_path / "file").read_bytes() == b"after"


def test_a_file_that_cannot_be_written_is_one_message(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"cannot write .*absent.*No such file or directory"):
        write_atomically(tmp_path / "absent" / "file", b"")


def test_a_checkpoint_of_the_same_step_is_replaced(tmp_path: Path) -> None:
    folder = begun(tmp_path)
    folder.save(at(3))
    path = folder.save(replace(at(3), classes=("b",)))
    assert Checkpoint.read(path).classes == ("b",)
