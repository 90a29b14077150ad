"""Every kernel, compiled by NVIDIA's compiler for every architecture that is supported: no GPU is needed for that."""

from __future__ import annotations

import re

import pytest
from cushim import nvrtc
from cushim.registers import ARCHITECTURES, by_dtype, number, span, table

from gpucnn.cuda.sources import DTYPES, Kernel, compiled_for, files_of, kernels, source
from gpucnn.resources import folder

SOME = [
    ("float16", "sm_80", ["mma_forward_64_64"]),
    ("bfloat16", "sm_120", ["mma_backward_data_64_64"]),
    ("float32", "sm_90", ["mma3_backward_weight_64_64", "probe_products", "probe_matrices", "probe_zeros"]),
]
"""What every test run compiles of kernels that are not for every architecture; the rest takes minutes."""

IN_TURN = {
    "float32": ("sm_75", "sm_90"),
    "float64": ("sm_86",),
    "float16": ("sm_80",),
    "bfloat16": ("sm_120",),
}
"""What every test run compiles for: each dtype, the oldest and the newest; `--exhaustive` for all that is left."""

CASES = [
    pytest.param(dtype, architecture, marks=[] if architecture in IN_TURN[dtype] else [pytest.mark.exhaustive])
    for dtype in DTYPES
    for architecture in ARCHITECTURES
]

DOUBLE_SPILLS = 32
"""Bytes that any kernel may spill in float64, which is for checks, not for speed. In other dtypes none may:"""

EXCEPT = {
    (half, architecture, "conv2d_backward_data_128"): 20
    for half in ("float16", "bfloat16")
    for architecture in ("sm_75", "sm_80")
}
"""but these, so many bytes. Large tiles are held to half of a multiprocessor's registers; here, a few do not fit: the
geometry of a strided gradient stands beside 64 sums, and is written and read back once a strip of 16 * 64 products."""


@pytest.fixture(scope="module")
def files():
    if nvrtc.library() is None:
        pytest.skip("NVRTC is not installed: pip install nvidia-cuda-nvrtc")
    return files_of({name: kernel for name, kernel in kernels().items() if kernel.dtypes == DTYPES})


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize(("dtype", "architecture"), CASES)
def test_every_kernel_compiles_and_keeps_to_its_registers(dtype, architecture):
    found = compiled_for(dtype, 0)
    if (dtype, architecture) != ("float32", "sm_90"):
        found = {name: kernel for name, kernel in found.items() if kernel.dtypes == DTYPES}
    keeps_to_its_registers(found, dtype, architecture)


@pytest.mark.exhaustive
@pytest.mark.usefixtures("files")
@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_all_that_are_not_for_every_dtype(dtype, architecture):
    found = {name: kernel for name, kernel in compiled_for(dtype, 0).items() if kernel.dtypes != DTYPES}
    if found:
        keeps_to_its_registers(found, dtype, architecture)


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize(("dtype", "architecture", "names"), SOME)
def test_some_that_are_not_for_every_architecture(dtype, architecture, names):
    keeps_to_its_registers({name: kernels()[name] for name in names}, dtype, architecture)


@pytest.mark.exhaustive
@pytest.mark.usefixtures("files")
@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_all_that_are_not_for_every_architecture(dtype, architecture):
    of_all = compiled_for(dtype, number(architecture))
    if found := {name: kernel for name, kernel in of_all.items() if kernel.architecture}:  # none in float64
        keeps_to_its_registers(found, dtype, architecture)


def keeps_to_its_registers(found: dict[str, Kernel], dtype: str, architecture: str) -> None:
    """Fail where a kernel spills, or computes in double precision what is not float64.

    A constant or a function that is double by mistake makes a kernel many times slower, and no less right.
    """
    usages, ptx = nvrtc.compiled(source(files_of(found), dtype, found), architecture)
    assert (".f64" in ptx) == (dtype == "float64")
    assert set(usages) == set(found)
    for name, usage in usages.items():
        allowed = EXCEPT.get((dtype, architecture, name), DOUBLE_SPILLS if dtype == "float64" else 0)
        assert max(usage.spills, usage.stack) <= allowed, f"{name}: {usage}"


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize(
    ("dtype", "name", "words"),
    [
        ("float16", "mma_forward_64_64", ["m16n8k16.row.col.f32.f16.f16.f32", "ldmatrix.sync.aligned.m8n8.x4.shared"]),
        ("float32", "mma3_backward_weight_64_64", ["m16n8k8.row.col.f32.tf32.tf32.f32", "cvt.rna.tf32.f32"]),
    ],
)
def test_products_of_matrices_are_those_of_tensor_cores(dtype, name, words):
    """And what they multiply comes by asynchronous copies, in groups; nothing is computed in double precision."""
    text = nvrtc.ptx(source([kernels()[name].file], dtype, [name]), "compute_80")
    for word in [*words, "cp.async.cg.shared.global", "cp.async.commit_group", "cp.async.wait_group \t2"]:
        assert re.sub(r"\s", "", word) in re.sub(r"\s", "", text), word
    assert ".f64" not in text


def test_a_batch_is_rounded_as_on_the_host(files):
    """After the product and after the sum: fused, they would be rounded once."""
    (file,) = (file for file in files if file.name == "gather.cu")
    for dtype, short in (("float32", "f32"), ("float64", "f64")):
        text = nvrtc.ptx(source([file], dtype), "compute_90")
        assert re.search(rf"mul\.rn[.\w]*\.{short}", text)
        assert not re.search(rf"fma[.\w]*\.{short}", text)


@pytest.mark.usefixtures("files")
def test_an_error_is_told_by_file_and_line(tmp_path):
    file = tmp_path / "bad.cu"
    file.write_text("// one\nint f() { return nothing; }\n")
    with pytest.raises(AssertionError, match=r"bad\.cu\(2\): error: identifier \"nothing\" is undefined"):
        nvrtc.compiled(source([file], "float32"), "sm_90")


@pytest.mark.usefixtures("files")
def test_spills_are_seen(tmp_path):
    file = tmp_path / "spilling.cu"
    file.write_text(
        'extern "C" __global__ void spilling(float* __restrict__ x, int n) {\n'
        "  float local[64];\n  for (int i = 0; i < 64; ++i) local[i] = x[i] * x[63 - i];\n"
        "  for (int i = 0; i < 64; ++i) x[i] = local[i * n % 64];\n}\n"
    )
    assert nvrtc.compiled(source([file], "float32"), "sm_90")[0]["spilling"].stack >= 256


def test_the_table_tells_registers_and_where_something_spills():
    assert (span([3, 5, 4]), span([7, 7])) == ("3-5", "7")
    found = {
        (dtype, a): {name: nvrtc.Usage(32, shared=16) for name in kernels()} for dtype in DTYPES for a in ARCHITECTURES
    }
    assert "| `add` | 32 | 32 | 32 | 32 | 16 | none |" in table(found).splitlines()
    found["float16", "sm_75"]["add"] = nvrtc.Usage(40, stack=8, spills=12)
    assert "| `add` | 32-40 | 32 | 32 | 32 | 0-16 | float16 12 (75) |" in table(found).splitlines()
    assert by_dtype({case: usages["add"] for case, usages in found.items()}, lambda usage: usage.registers - 32) == (
        "float16 8 (75)"
    )


def test_every_kernel_is_in_the_table_of_the_readme():
    readme = (folder("kernels") / "README.md").read_text()
    assert re.findall(r"^\| `(\w+)` \|", readme, re.MULTILINE) == list(kernels())
