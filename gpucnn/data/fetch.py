"""Downloading data sets: whole and verified, or not at all."""

from __future__ import annotations

import logging
import os
import shutil
import tarfile
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

from gpucnn.data.base import Dataset
from gpucnn.data.origin import Download, Origin
from gpucnn.data.places import cache, folder_of
from gpucnn.errors import ArgumentError, DataError
from gpucnn.problems import suggestion

_TIMEOUT = 30  # seconds without a byte


def fetch(
    name: str,
    *,
    base_url: str | None = None,
    dest: Path | None = None,
    say: Callable[[str], None] = lambda text: None,
    progress: Any = False,
) -> Path:
    """Download the data set `name` and return its folder; files that are there and sound are not downloaded again.

    Every file gets its name only once it is complete and its digest is right: whatever happens before leaves nothing.

    base_url: the folder to download from, where it is not the data set's own. dest: the folder to put it into, by
    default the user's cache. say: told what happens. progress: an object as pooch's `progressbar`.
    Raises ArgumentError for a data set that is not downloaded, DataError with what to do by hand where it fails.
    """
    origin = _origin(name)
    folder = cache(name) if dest is None else folder_of(dest)
    url = (base_url or origin.url).rstrip("/") + "/"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for download in origin.downloads:
            if _present(download, folder):
                say(f"{download.name}: already in {folder}")
                continue
            say(f"{download.name}: from {url}")
            with tempfile.TemporaryDirectory(prefix=".fetch-", dir=folder) as temporary:
                _fetch(download, url, Path(temporary), folder, progress)
    except _FetchError as failure:
        raise DataError(f"{failure}\n{_by_hand(name, origin, folder)}") from None
    except OSError as error:
        raise DataError(f"{name}: cannot be stored in {folder}: {error.strerror or error}") from None
    return folder


class _FetchError(Exception):
    """A download that failed, and why."""


def _origin(name: str) -> Origin:
    datasets = cast(Mapping[str, type[Dataset]], Dataset.registry.classes)
    origin = datasets[name].origin if name in datasets else None
    if origin is not None:
        return origin
    known = [key for key, cls in datasets.items() if cls.origin]
    if name in datasets:
        raise ArgumentError(f"data set {name!r} has nothing to download; these have: {', '.join(known)}")
    raise ArgumentError(f"unknown data set {name!r}{suggestion(name, known)}")


def _present(download: Download, folder: Path) -> bool:
    """Whether nothing is left to do: unpacked files are there only where the archive's digest was right."""
    import pooch

    if download.unpacks:
        return all((folder / name).is_file() for name in download.unpacks)
    file = folder / download.name
    return file.is_file() and str(pooch.file_hash(str(file), alg="md5")) == download.md5


def _fetch(download: Download, url: str, temporary: Path, folder: Path, progress: Any) -> None:
    """Download into `temporary`, verify, unpack there, and only then rename the files into `folder`."""
    _retrieve(download, url, temporary, progress)
    if download.unpacks:
        _unpack(download, temporary)
    for name in download.files:
        (folder / name).parent.mkdir(exist_ok=True)
        (temporary / name).chmod(0o644)  # temporary files are made for their owner alone
        (temporary / name).replace(folder / name)


def _retrieve(download: Download, url: str, temporary: Path, progress: Any) -> None:
    import pooch
    import requests

    pooch.get_logger().setLevel(logging.WARNING)
    plain = {"Accept-Encoding": "identity"}  # a server must not unpack what is to be verified packed
    get = pooch.HTTPDownloader(progressbar=progress, timeout=_TIMEOUT, headers=plain)
    try:
        pooch.retrieve(url + download.name, f"md5:{download.md5}", download.name, temporary, downloader=get)
    except requests.RequestException as error:
        raise _FetchError(f"{url}{download.name}: {_refused(error)}") from None
    except ValueError:  # pooch's word for another digest
        expected = f"expected a file with MD5 {download.md5}, found another: it is damaged, or not the original"
        raise _FetchError(f"{url}{download.name}: {expected}") from None


def _refused(error: Exception) -> str:
    import requests

    if isinstance(error, requests.HTTPError) and error.response is not None:
        return f"the server answers {error.response.status_code} {error.response.reason}"
    if isinstance(error, requests.Timeout):
        return f"the server does not answer within {_TIMEOUT} seconds"
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return f"the connection broke off before the end ({error})"
    if isinstance(error, requests.ConnectionError):
        return "the server cannot be reached: is there a network?"
    return str(error)


def _by_hand(name: str, origin: Origin, folder: Path) -> str:
    """Return what somebody can do who cannot download."""
    lines = [f"Nothing half-done was kept. By hand: put into {folder}"]
    for download in origin.downloads:
        unpacked = f", unpacked: {', '.join(download.unpacks)}" if download.unpacks else ""
        lines.append(f"  {origin.url}{download.name} (MD5 {download.md5}){unpacked}")
    return "\n".join([*lines, f"or name another server: gpucnn data fetch {name} --base-url URL"])


def _unpack(download: Download, folder: Path) -> None:
    """Take the files that are wanted, and nothing else, out of an archive: no path in it decides where they go."""
    archive_path = folder / download.name
    try:
        with tarfile.open(archive_path) as archive:
            for name in download.unpacks:
                content = archive.extractfile(name)
                if content is None:
                    raise KeyError(f"{name} is not a plain file")
                target = folder / name
                target.parent.mkdir(exist_ok=True)
                with content, target.open("wb") as file:
                    shutil.copyfileobj(content, file)
                    file.flush()
                    os.fsync(file.fileno())
    except (tarfile.TarError, KeyError, EOFError) as error:
        raise _FetchError(f"{download.name}: not the archive it should be: {error}") from None
