"""How kernels are found in their sources, and what text is compiled."""

from __future__ import annotations

import re

import numpy as np
import pytest

from gpucnn.cuda import sources
from gpucnn.cuda.launch import THREADS
from gpucnn.cuda.sources import kernels, source, structures
from gpucnn.errors import ArgumentError
from gpucnn.resources import folder


def test_every_kernel_in_the_files_is_found():
    text = "".join(file.read_text() for file in folder("kernels").glob("*.cu"))
    assert text.count("__global__") == len(kernels())


def test_declarations_are_read():
    w, b, y, g = kernels()["conv2d_forward"].parameters[1:5]
    assert (w.name, w.type, w.array, w.const, w.optional) == ("w", "T", True, True, False)
    assert (b.optional, y.const, g.array, g.type) == (True, False, False, "Window")
    assert b.dtype(np.dtype("float64")) == np.float64
    assert kernels()["dropout_forward"].parameters[4].dtype(np.dtype("float64")) == np.float32


def test_lists_of_arrays_are_read():
    values, grads, velocities, chunks = kernels()["sgd_update"].parameters[:4]
    assert (values.type, values.array, values.many, values.const) == ("Acc", True, True, False)
    assert (grads.many, grads.const, grads.optional) == (True, True, False)
    assert (velocities.many, velocities.optional, chunks.many) == (True, True, False)


def test_structures_are_read():
    assert set(structures()) == {"Window", "Tiling", "Frame"}
    assert structures()["Window"].names[:4] == ("N", "H", "W", "C")
    assert set(structures()["Window"].fields.values()) == {(np.dtype(np.int32), 4 * i) for i in range(18)}


def test_headers_are_part_of_the_text_once(tmp_path):
    (tmp_path / "a.cuh").write_text('#pragma once\n#include "b.cuh"\nint a;\n')
    (tmp_path / "b.cuh").write_text("#pragma once\nint b;\n")
    (tmp_path / "k.cu").write_text('#include "b.cuh"\n#include "a.cuh"\nint k;\n')
    text = source([tmp_path / "k.cu"], "float64")
    assert text.startswith("#define GPUCNN_float64\n")
    assert [line for line in text.splitlines() if line.startswith("int")] == ["int b;", "int a;", "int k;"]
    assert "#include" not in text
    assert "#pragma" not in text


def test_a_declaration_that_cannot_be_read_is_told(tmp_path):
    with pytest.raises(ArgumentError, match=r"k\.cu: parameter 'float \*x' must be written"):
        sources._parameter(tmp_path / "k.cu", "float *x")


def test_blocks_are_as_large_as_the_sources_say():
    assert f"#define THREADS {THREADS} " in (folder("kernels") / "types.cuh").read_text()


def test_sources_include_nothing_but_their_own_headers():
    """NVRTC has no standard headers, and CuPy's cache would not see a change in a header that stays a header.

    And their lines fit a screen.
    """
    for file in folder("kernels").glob("*.cu*"):
        assert max(map(len, file.read_text().splitlines())) <= 120
        assert set(re.findall(r"#\s*include\s*(.*)", file.read_text())) <= {
            f'"{header.name}"' for header in folder("kernels").glob("*.cuh")
        }


def test_instructions_stand_in_one_header():
    """Beside what they are in plain C++, and held against it by probe.cu."""
    with_them = {file.name for file in folder("kernels").glob("*.cu*") if re.search(r"\basm\b", file.read_text())}
    assert with_them == {"ptx.cuh"}


@pytest.mark.parametrize("file", sorted({kernel.file for kernel in kernels().values()}), ids=lambda file: file.name)
def test_every_file_says_what_it_computes(file):
    """The equation, what a thread does, the memory traffic, the versions."""
    text = file.read_text()
    opening = text[: text.index("#include")]
    assert all(word in opening for word in (" = ", "thread", "Memory: ", "Versions: "))
    assert f"`{file.name}`" in (file.parent / "README.md").read_text()


def test_a_file_may_say_for_what_it_is_compiled(tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "folder", lambda name: tmp_path)
    kernel = 'extern "C" __global__ void {}(T* __restrict__ x) {{}}\n'
    (tmp_path / "a.cu").write_text("// compiled for: float16 float32; from sm_80 on\n" + kernel.format("a"))
    (tmp_path / "b.cu").write_text("// compiled for: float64\n" + kernel.format("b"))
    (tmp_path / "c.cu").write_text("// Whatever.\n" + kernel.format("c"))
    monkeypatch.setattr(sources, "kernels", sources.kernels.__wrapped__)
    found = sources.kernels()
    assert {name: (k.dtypes, k.architecture) for name, k in found.items()} == {
        "a": (("float16", "float32"), 80),
        "b": (("float64",), 0),
        "c": (sources.DTYPES, 0),
    }
    assert set(sources.compiled_for("float32")) == set(sources.compiled_for("float32", 80)) == {"a", "c"}
    assert set(sources.compiled_for("float32", 75)) == {"c"}
    assert set(sources.compiled_for("float64", 75)) == {"b", "c"}
    assert sources.files_of(found) == [tmp_path / f"{name}.cu" for name in "abc"]


@pytest.mark.parametrize(
    "line", ["// compiled for: float128", "// compiled for float32", "// compiled for: float32; 80"]
)
def test_a_first_line_that_cannot_be_read_is_told(tmp_path, monkeypatch, line):
    monkeypatch.setattr(sources, "folder", lambda name: tmp_path)
    (tmp_path / "a.cu").write_text(f"{line}\n")
    with pytest.raises(ArgumentError, match=r"a\.cu: its first line .* must be written `// compiled for: float32"):
        sources.kernels.__wrapped__()
