"""The command line as a process: what it imports, its exit codes, and one message for whatever a user causes."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import typer

from gpucnn import __version__
from gpucnn.cli import app as application
from gpucnn.cli import main
from gpucnn.errors import ArgumentError, DataError, GpucnnError

COMMANDS = ["train", "eval", "predict", "runs", "check", "schema", "data"]


def run(*arguments: str, **options) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "gpucnn", *arguments], capture_output=True, text=True, **options)


@pytest.fixture
def failing(monkeypatch):
    """Make the command line raise an error from inside a command."""

    def install(error: BaseException) -> None:
        broken = typer.Typer()

        @broken.command()
        def command() -> None:
            raise error

        monkeypatch.setattr(application, "app", broken)

    monkeypatch.delenv("GPUCNN_DEBUG", raising=False)
    return install


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["train", "--help"], ["predict", "-h"]])
def test_help_imports_nothing_heavy(arguments):
    code = f"""
import sys
from gpucnn.cli import main
assert main({arguments!r}) == 0
heavy = {{"numpy", "gpucnn.registry", "matplotlib", "PIL", "pooch", "cupy", "yaml", "rich.live"}} & set(sys.modules)
if {len(arguments)} == 1:  # typer itself takes pydantic to read the options of a command
    heavy |= {{"pydantic"}} & set(sys.modules)
assert not heavy, heavy
"""
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)


def test_help_names_every_command(capsys):
    assert main(["--help"]) == 0
    out = capsys.readouterr().out
    assert [name for name in COMMANDS if f"\n  {name} " not in out] == []


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command, capsys):
    assert main([command, "--help"]) == 0
    assert capsys.readouterr().out.startswith(f"Usage: gpucnn {command}")


def test_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"gpucnn {__version__}\n"


def test_no_command_shows_the_help_on_stderr_and_is_wrong_use(capsys):
    assert main([]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("Usage: gpucnn")


@pytest.mark.parametrize(
    ("arguments", "message", "help_of"),
    [
        (["tarin"], "tarin", "gpucnn"),
        (["train", "--epochs", "3"], "--epochs", "gpucnn train"),
        (["data", "ftech"], "ftech", "gpucnn data"),
        (["eval"], "RUN_OR_CHECKPOINT", "gpucnn eval"),
        (["predict", "run", "a.png", "--top", "0"], "--top", "gpucnn predict"),
    ],
)
def test_wrong_use_is_one_message_and_exit_code_2(arguments, message, help_of, capsys):
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    first, second = err.splitlines()
    assert first.startswith("error: ")
    assert message in first
    assert second == f"help: {help_of} --help"


class StoppedError(GpucnnError):
    exit_code = 143


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (DataError("a.idx: byte 0: wrong"), 1, "error: a.idx: byte 0: wrong\n"),
        (ArgumentError("top (=0) must be above 0"), 2, "error: top (=0) must be above 0\n"),
        (StoppedError("stopped by SIGTERM; go on with --resume"), 143, "stopped by SIGTERM; go on with --resume\n"),
        (KeyboardInterrupt(), 130, ""),
        (OSError(errno.EACCES, "Permission denied", "runs/a"), 1, "error: runs/a: Permission denied\n"),
        (OSError(errno.EXDEV, "Not one disk", "a", None, b"b"), 1, "error: a -> b: Not one disk\n"),
        (OSError(errno.ENOSPC, "No space left on device"), 1, "error: No space left on device\n"),
        (MemoryError("Unable to allocate 1 TiB"), 1, "error: out of memory: Unable to allocate 1 TiB; "),
    ],
)
def test_what_a_user_causes_is_one_message(failing, capsys, error, code, message):
    failing(error)
    assert main([]) == code
    out, err = capsys.readouterr()
    assert (out, err[: len(message)]) == ("", message)


def test_a_bug_is_a_traceback(failing):
    failing(ZeroDivisionError("division by zero"))
    with pytest.raises(ZeroDivisionError):
        main([])


@pytest.mark.parametrize("error", [DataError("wrong"), OSError("wrong"), MemoryError("wrong")])
def test_debugging_shows_every_traceback(failing, monkeypatch, error):
    monkeypatch.setenv("GPUCNN_DEBUG", "1")
    failing(error)
    with pytest.raises(type(error), match="wrong"):
        main([])


@pytest.mark.parametrize("arguments", [["--help"], ["schema"]])
def test_a_reader_that_leaves_early_is_no_error_to_speak_of(arguments):
    reading, writing = os.pipe()
    os.close(reading)
    process = subprocess.run(
        [sys.executable, "-m", "gpucnn", *arguments], stdout=writing, stderr=subprocess.PIPE, text=True
    )
    os.close(writing)
    assert process.stderr == ""
    assert process.returncode == 1


def test_a_full_disk_behind_stdout_is_one_message():
    with open("/dev/full", "w") as full:  # noqa: PTH123
        process = subprocess.run(
            [sys.executable, "-m", "gpucnn", "schema"], stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert process.stderr == "error: No space left on device\n"
    assert process.returncode == 1


@pytest.mark.parametrize("closed", ["stdout", "stderr"])
def test_a_closed_stream_is_no_obstacle(closed):
    code = f"""
import os, sys
os.close(sys.{closed}.fileno())
os.execv(sys.executable, [sys.executable, "-m", "gpucnn", "schema"])
"""
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (process.returncode, process.stderr) == (0, "")
    assert bool(process.stdout) == (closed == "stderr")


def test_text_that_the_terminal_cannot_show_is_escaped(tmp_path):
    process = run("runs", str(tmp_path / "Läufe"), env={**os.environ, "PYTHONIOENCODING": "ascii"})
    assert r"L\xe4ufe: no such folder" in process.stderr
    assert process.returncode == 1


def opened_by_a_reader(fifo: Path, process: subprocess.Popen[str]) -> int:
    """Return the writing end of a fifo once `process` has opened it to read."""
    while process.poll() is None:
        try:
            return os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)
        except OSError:  # there is no reader yet
            time.sleep(0.02)
    raise AssertionError(process.communicate()[1])


def test_ctrl_c_before_training_begins_is_silent(tmp_path):
    fifo = tmp_path / "config.yaml"
    os.mkfifo(fifo)  # opening it waits for a writer: the command is stopped there
    command = [sys.executable, "-m", "gpucnn", "check", str(fifo)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        writing = opened_by_a_reader(fifo, process)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=20)
        os.close(writing)
    assert (process.returncode, err) == (130, "")
