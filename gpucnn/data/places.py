"""Where data sets are looked for: an argument, $GPUCNN_DATA, the user's cache, the folders of the system."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import platformdirs
from pydantic import BeforeValidator

from gpucnn.errors import DataError

PathText = Annotated[str, BeforeValidator(lambda value: os.fspath(value) if isinstance(value, os.PathLike) else value)]
"""A path: text in a config, text or a `pathlib.Path` in Python. `~` is the home folder; a relative path is looked for
below the current folder, then below $GPUCNN_DATA."""


def cache(name: str) -> Path:
    """Return the folder of the data set `name` in the user's cache, where `gpucnn data fetch` puts it."""
    return Path(platformdirs.user_cache_dir("gpucnn")) / name


def places(name: str, path: str | None, system: Sequence[str] = ()) -> list[Path]:
    """Return the folders that may hold the data set `name`, in the order of the search.

    Only `path` where it is given. system: folders in which packages of operating systems put this data set.
    """
    if path is not None:
        return given(path)
    root = os.environ.get("GPUCNN_DATA")
    ours = [folder_of(root) / name, folder_of(root)] if root else []
    return [*ours, cache(name), *map(Path, system)]


def given(path: str) -> list[Path]:
    """Return what a path that a user wrote means, absolute; all that it may mean where none of it exists."""
    plain, root = folder_of(path), os.environ.get("GPUCNN_DATA")
    meanings = [plain, folder_of(root) / plain] if root and not plain.is_absolute() else [plain]
    absolute = [meaning.absolute() for meaning in meanings]
    return [meaning for meaning in absolute if _exists(meaning)][:1] or absolute


def folder_of(text: str | os.PathLike[str]) -> Path:
    """Return a path with `~` replaced by the home folder, where there is one."""
    return Path(os.path.expanduser(text))  # noqa: PTH111 - Path.expanduser raises for a user who does not exist


def existing(name: str, path: str) -> Path:
    """Return what `path` means; raises DataError, which lists what it may mean, where nothing of that exists."""
    meanings = given(path)
    if _exists(meanings[0]):
        return meanings[0]
    raise DataError(f"{name}: path {path!r}: no such file or folder: {' or '.join(map(str, meanings))}")


def find(folders: Sequence[Path], files: Sequence[Sequence[str]]) -> list[Path] | None:
    """Return all `files` of the first folder that holds them all, or None. files: each as its possible names."""
    for folder in folders:
        found = [first(folder, names) for names in files]
        if None not in found:
            return [file for file in found if file is not None]
    return None


def first(folder: Path, names: Sequence[str]) -> Path | None:
    """Return the first of `names` that is a file in `folder`."""
    with suppress(PermissionError):  # as good as not there
        return next((folder / name for name in names if (folder / name).is_file()), None)
    return None


def _exists(path: Path) -> bool:
    with suppress(PermissionError):
        return path.exists()
    return False


def not_found(name: str, folders: Sequence[Path], files: Sequence[Sequence[str]]) -> DataError:
    """Return the error that says where was looked, what was missed there, and how to get it."""
    lines = [f"{name} is not found. Looked in:"]
    for folder in folders:
        lacking = ", ".join(names[0] for names in files if first(folder, names) is None)
        state = f"lacks {lacking}" if _exists(folder) else "no such folder, or one that may not be entered"
        lines.append(f"  {folder}: {state}")
    wanted = (names[0] + "[.gz]" * any(name.endswith(".gz") for name in names) for names in files)
    lines += [
        f"Put into one of these folders: {', '.join(wanted)}",
        f"or let them be downloaded: gpucnn data fetch {name}",
        "(another folder can be given as the data set's `path`, or as $GPUCNN_DATA)",
    ]
    return DataError("\n".join(lines))
