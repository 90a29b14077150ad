"""Large files are streamed in little memory: a sparse file costs no disk, but a page of it that stays mapped counts."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from gpucnn.data.mapped import MappedArray

SIZE = 1600 << 20
SIDE = 64
COUNT = SIZE // SIDE**2

STREAM = """
import sys
import numpy as np
from pathlib import Path
from gpucnn.data import idx
from gpucnn.data.base import ArraySource
from gpucnn.data.loader import Loader
from gpucnn.data.npz_reader import NpzFile

path, kind = Path(sys.argv[1]), sys.argv[2]
images = idx.read(path, 3) if kind == "idx" else NpzFile(path).mapped("images")
source = ArraySource(images.reshape((*images.shape, 1)), np.zeros(len(images), np.uint8))
loader = Loader(source, np.arange(len(source)), 256, seed=0, shuffle=True, workers=2)
seen = 0
for number, (x, _) in enumerate(loader.batches(0)):
    seen += len(x)
    assert not x.any()
    if number == 39:
        break
status = Path("/proc/self/status").read_text()  # getrusage's peak would be at least that of the process that began this
peak = int(status.split("VmHWM:")[1].split()[0]) // 1024
print(seen, peak)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="measures resident memory as Linux counts it")
@pytest.mark.parametrize("kind", ["idx", "npz"])
def test_a_large_file_streams_in_little_memory(tmp_path, kind):
    path = tmp_path / "large"
    if kind == "idx":
        with path.open("wb") as file:
            file.write(struct.pack(">4B3I", 0, 0, 8, 3, COUNT, SIDE, SIDE))
            file.truncate(16 + COUNT * SIDE**2)
    else:
        _sparse_npz(path)
    done = subprocess.run([sys.executable, "-c", STREAM, path, kind], capture_output=True, text=True, check=True)
    seen, peak = map(int, done.stdout.split())
    assert seen == 40 * 256
    # random reads map 16 pages each: these 10,240 would keep more than 600 MB resident
    assert peak < 500, f"peak resident memory {peak} MB"


def test_pages_are_handed_back(tmp_path):
    if not sys.platform.startswith("linux"):
        pytest.skip("reads /proc")
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.truncate(300 << 20)
    mapped = MappedArray(path, np.uint8, (300, 1 << 20))
    peak = 0
    for start in range(0, 300, 10):
        assert not mapped[np.arange(start, start + 10)].any()
        peak = max(peak, _mapped_megabytes(path))
    assert 0 < peak < 150
    mapped.release()
    assert _mapped_megabytes(path) == 0


def _mapped_megabytes(path) -> int:
    """Return how much of a file is resident in this process."""
    total, inside = 0, False
    with Path("/proc/self/smaps").open() as smaps:
        for line in smaps:
            if "-" in line.split()[0]:
                inside = line.rstrip().endswith(str(path))
            elif inside and line.startswith("Rss:"):
                total += int(line.split()[1])
    return total // 1024


def _sparse_npz(path) -> None:
    """Write by hand a zip archive with one stored member, a .npy of zeros, as a hole in the file."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": (COUNT, SIDE, SIDE)})
    head, size, name = header.getvalue(), len(header.getvalue()) + COUNT * SIDE**2, b"images.npy"
    common = struct.pack("<HHHHHIIIHH", 20, 0, 0, 0, 33, 0, size, size, len(name), 0)
    with path.open("wb") as file:
        file.write(b"PK\3\4" + common + name + head)
        directory = file.seek(30 + len(name) + size)
        entry = b"PK\1\2" + struct.pack("<H", 20) + common + struct.pack("<HHHII", 0, 0, 0, 0, 0) + name
        file.write(entry)
        file.write(b"PK\5\6" + struct.pack("<HHHHIIH", 0, 0, 1, 1, len(entry), directory, 0))
