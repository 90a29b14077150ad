"""The command line: one file a command.

Data goes to stdout, all else to stderr. Exit codes: 0 all went well, 1 it failed, 2 it was asked for wrongly
(arguments, config), 130 and 143 stopped by SIGINT and SIGTERM. A mistake of the user's, a damaged file or a full
disk is told in one message; a traceback means a bug of gpucnn, or that GPUCNN_DEBUG=1 asked for it.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import cast


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command in `arguments` (by default the process's own) and return its exit code."""
    # None: it was closed by whoever began this process.
    sys.stdout, sys.stderr = (stream or Path(os.devnull).open("w") for stream in (sys.stdout, sys.stderr))  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a class name that the terminal's encoding lacks is no reason to fail
            stream.reconfigure(errors="backslashreplace")
    code = _run(arguments)
    try:
        sys.stdout.flush()
    except OSError:  # it is told already; Python would tell it once more at exit, when it flushes again
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return code


def _run(arguments: Sequence[str] | None) -> int:
    import typer

    from gpucnn.cli.app import app
    from gpucnn.errors import ConfigError, GpucnnError

    # Every wrong use of arguments. Typer, which no longer needs Click, gives the class no public name.
    usage_error = cast("type[typer.BadParameter]", typer.BadParameter.__base__)
    debug = os.environ.get("GPUCNN_DEBUG", "") not in ("", "0")
    try:
        code: int | None = app(arguments, prog_name="gpucnn", standalone_mode=False)
        sys.stdout.flush()  # here, where a full disk and a reader that has left are dealt with
        return code or 0
    except usage_error as error:
        return _fail(f"error: {error.format_message()}\n{_hint(error)}", 2)
    except GpucnnError as error:
        if debug:
            raise
        # A stop is no error; a config's problems begin with FILE:LINE:COLUMN, each, as editors and grep want them.
        plain = error.exit_code > 128 or isinstance(error, ConfigError)
        return _fail(str(error) if plain else f"error: {error}", error.exit_code)
    except BrokenPipeError:  # the reader of stdout, such as `head`, has seen enough
        return 1
    except OSError as error:
        if debug:
            raise
        names = [os.fsdecode(name) for name in (error.filename, error.filename2) if isinstance(name, (str, bytes))]
        return _fail(f"error: {' -> '.join([*names]) + ': ' if names else ''}{error.strerror or error}", 1)
    except MemoryError as error:
        if debug:
            raise
        return _fail(f"error: out of memory: {error or 'no more to be had'}; a smaller data.batch_size needs less", 1)


def _hint(error: object) -> str:
    context = getattr(error, "ctx", None)
    return f"help: {context.command_path if context else 'gpucnn'} --help"


def _fail(message: str, code: int) -> int:
    print(message, file=sys.stderr)
    return code
