from __future__ import annotations

import hashlib
import io
import tarfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from checks.writers import write_mnist

from gpucnn.data.cifar10 import Cifar10
from gpucnn.data.fetch import fetch
from gpucnn.data.mnist import Mnist
from gpucnn.data.origin import Download, Origin
from gpucnn.data.places import cache
from gpucnn.errors import ArgumentError, DataError


class Server:
    """An HTTP server on the loopback: answers with `files`, breaks off after `cut` bytes, counts requests."""

    def __init__(self):
        self.files, self.cut, self.asked = {}, None, []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                name = self.path.lstrip("/")
                server.asked.append(name)
                if name not in server.files:
                    self.send_error(404)
                    return
                body = server.files[name]
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                if "gzip" in self.headers["Accept-Encoding"]:  # as some servers do: the client would unpack it
                    self.send_header("Content-Encoding", "gzip")
                self.end_headers()
                self.wfile.write(body[: server.cut])

            def log_message(self, *args):
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._http.server_port}"
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    def close(self):
        if not self._thread.is_alive():
            return
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()


@pytest.fixture
def server(monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    server = Server()
    yield server
    server.close()


def md5(content):
    return hashlib.md5(content).hexdigest()


@pytest.fixture
def mnist(server, monkeypatch, tmp_path):
    """Let the server offer a small MNIST, and gpucnn know its digests."""
    for file in sorted(write_mnist(tmp_path / "original").iterdir()):
        server.files[file.name] = file.read_bytes()
    downloads = tuple(Download(name, md5(content)) for name, content in server.files.items())
    monkeypatch.setattr(Mnist, "origin", Origin(server.url + "/", downloads, 1))
    return server


def archive(members):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            if content is None:
                info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
            else:
                info.size = len(content)
            tar.addfile(info, io.BytesIO(content or b""))
    return buffer.getvalue()


@pytest.fixture
def cifar10(server, monkeypatch):
    def offer(members, wanted=("inside/a.bin", "inside/b.bin")):
        server.files["c.tar.gz"] = archive(members)
        download = Download("c.tar.gz", md5(server.files["c.tar.gz"]), wanted)
        monkeypatch.setattr(Cifar10, "origin", Origin(server.url, (download,), 1))

    return offer


def names(folder):
    return sorted(str(file.relative_to(folder)) for file in folder.rglob("*"))


def test_downloads_to_the_cache_where_it_is_found(mnist):
    said = []
    folder = fetch("mnist", say=said.append)
    assert folder == cache("mnist")
    assert names(folder) == sorted(mnist.files)
    assert len(Mnist().load("train")) == 20
    assert len(said) == 4
    assert {file.stat().st_mode & 0o777 for file in folder.iterdir()} == {0o644}


def test_what_is_there_and_sound_is_not_downloaded_again(mnist, tmp_path):
    fetch("mnist", dest=tmp_path / "d")
    mnist.asked.clear()
    damaged = tmp_path / "d" / "t10k-labels-idx1-ubyte.gz"
    damaged.write_bytes(damaged.read_bytes()[:-3])
    fetch("mnist", dest=tmp_path / "d")
    assert mnist.asked == ["t10k-labels-idx1-ubyte.gz"]
    assert damaged.read_bytes() == mnist.files[damaged.name]


def test_another_server(mnist, tmp_path, monkeypatch):
    downloads = Mnist.origin.downloads
    monkeypatch.setattr(Mnist, "origin", Origin("http://127.0.0.1:9/none/", downloads, 1))
    assert len(names(fetch("mnist", base_url=mnist.url, dest=tmp_path / "d"))) == 4


def test_a_wrong_digest_leaves_nothing(mnist, tmp_path):
    mnist.files["t10k-images-idx3-ubyte.gz"] += b"x"
    with pytest.raises(
        DataError, match=r"t10k-images-idx3-ubyte.gz: expected a file with MD5 [0-9a-f]{32}, found another"
    ):
        fetch("mnist", dest=tmp_path / "d")
    assert names(tmp_path / "d") == []


@pytest.mark.parametrize("cut", [0, 10])
def test_a_connection_that_breaks_off_leaves_nothing(mnist, tmp_path, cut):
    mnist.cut = cut
    with pytest.raises(DataError, match=r"the connection broke off before the end"):
        fetch("mnist", dest=tmp_path / "d")
    assert names(tmp_path / "d") == []
    mnist.cut = None
    assert len(names(fetch("mnist", dest=tmp_path / "d"))) == 4


def test_an_interrupt_leaves_nothing(mnist, tmp_path):
    class Bar:
        total = 0

        def update(self, count):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch("mnist", dest=tmp_path / "d", progress=Bar())
    assert names(tmp_path / "d") == []


def test_a_file_that_the_server_does_not_have(mnist, tmp_path):
    del mnist.files["train-images-idx3-ubyte.gz"]
    with pytest.raises(DataError, match=r"train-images-idx3-ubyte.gz: the server answers 404 Not Found"):
        fetch("mnist", dest=tmp_path / "d")
    assert "train-images-idx3-ubyte.gz" not in names(tmp_path / "d")


def test_no_network_says_which_files_to_put_where(mnist, tmp_path):
    mnist.close()
    with pytest.raises(DataError) as error:
        fetch("mnist", dest=tmp_path / "d")
    text = str(error.value)
    assert "cannot be reached: is there a network?" in text
    assert f"put into {tmp_path / 'd'}" in text
    for name, content in mnist.files.items():
        assert f"{mnist.url}/{name} (MD5 {md5(content)})" in text
    assert "gpucnn data fetch mnist --base-url URL" in text
    assert names(tmp_path / "d") == []


def test_an_archive_is_unpacked_to_the_files_that_are_wanted(server, cifar10, tmp_path):
    cifar10({"inside/a.bin": b"A", "inside/b.bin": b"B", "inside/readme.html": b"?", "../evil": b"!", "/evil": b"!"})
    folder = fetch("cifar10", dest=tmp_path / "d" / "e")
    assert names(folder) == ["inside", "inside/a.bin", "inside/b.bin"]
    assert (folder / "inside" / "b.bin").read_bytes() == b"B"
    assert not (tmp_path / "d" / "evil").exists()
    fetch("cifar10", dest=folder)
    assert len(server.asked) == 1
    (folder / "inside" / "a.bin").unlink()
    fetch("cifar10", dest=folder)
    assert (folder / "inside" / "a.bin").read_bytes() == b"A"


@pytest.mark.parametrize("members", [{"inside/a.bin": b"A"}, {"inside/a.bin": b"A", "inside/b.bin": None}])
def test_an_archive_that_lacks_a_file_leaves_nothing(cifar10, tmp_path, members):
    cifar10(members)
    with pytest.raises(DataError, match=r"c.tar.gz: not the archive it should be: "):
        fetch("cifar10", dest=tmp_path / "d")
    assert names(tmp_path / "d") == []


def test_a_file_that_is_no_archive(server, cifar10, tmp_path):
    cifar10({})
    server.files["c.tar.gz"] = b"no archive"
    Cifar10.origin = Origin(server.url, (Download("c.tar.gz", md5(b"no archive"), ("a",)),), 1)
    with pytest.raises(DataError, match=r"not the archive it should be"):
        fetch("cifar10", dest=tmp_path / "d")


def test_a_folder_that_cannot_be_written(mnist, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=r"mnist: cannot be stored in .*file"):
        fetch("mnist", dest=tmp_path / "file")


def test_names_that_have_nothing_to_download():
    with pytest.raises(ArgumentError, match=r"'digits' has nothing to download; these have: cifar10, cifar100, fash"):
        fetch("digits")
    with pytest.raises(ArgumentError, match=r"unknown data set 'minst'; did you mean 'mnist'\?"):
        fetch("minst")


def test_the_digests_are_well_formed():
    from gpucnn.data.base import Dataset

    origins = [cls.origin for cls in Dataset.registry.classes.values() if cls.origin]
    digests = [download.md5 for origin in origins for download in origin.downloads]
    assert len(set(digests)) == len(digests) == 10
    assert all(len(digest) == 32 and int(digest, 16) >= 0 for digest in digests)
    assert np.all([origin.url.startswith("http") and origin.url.endswith("/") for origin in origins])
