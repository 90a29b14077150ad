"""Convolutions as the benchmark of a GPU measures them, on the CPU."""

from __future__ import annotations

import json
from collections import deque
from typing import Any

import numpy as np
import pytest
from cushim import cupy_stand_in

from benchmarks.gpu import summary, tuning
from benchmarks.gpu.suite import Shape
from gpucnn.backend import Device

pytestmark = [
    pytest.mark.torch,
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),  # a tensor becomes a NumPy array
]


SUITE = (
    Shape("grouped", 5, 7, 4, 6, 3, stride=2, padding=1, groups=2),
    Shape("depthwise", 2, 6, 3, 3, 3, padding=1, groups=3),
    Shape("too small", 2, 1, 3, 3, 3),
)


def test_convolutions(on_the_cpu, monkeypatch):
    convolutions = on_the_cpu
    monkeypatch.setattr(convolutions, "SUITE", SUITE)
    monkeypatch.setattr(convolutions, "CHUNK_BYTES", 2 * 8 * (7 * 7 * 4 + 4 * 4 * 6))  # two images at a time
    *_, known = convolutions.measure(Device("cuda", 0), rounds=2, seconds=0.0)
    assert set(known["ceilings"]) == {"bytes", "float32", "tf32", "bfloat16", "float16"}
    good = [row for row in known["passes"] if row["shape"] != "too small"]
    assert [(row["mode"], row["pass"]) for row in good] == [
        (mode, name) for mode in ("float32", "fp16") for name in ["forward", "backward data", "backward weight"] * 2
    ]
    for row in good:
        ours = {"float32": {"exact", "fast"}, "fp16": {"fp16"}}[row["mode"]]
        assert row["right"] == dict.fromkeys(ours, True), row
        assert row["seconds"].keys() == row["errors"].keys() == row["roofline"].keys() == ours | {"cuDNN"}
        assert row["ratio"].keys() == ours
        low, high = {"float32": (0, 1e-6), "fp16": (1e-5, 2e-3)}[row["mode"]]
        assert low < row["errors"]["cuDNN"] < high, row
        assert all(0 < error < high for error in row["errors"].values()), row
        assert {len(times) for times in row["seconds"].values()} == {2}
        assert min(row["roofline"].values()) > 0
    assert sum("error" in row for row in known["passes"]) == len(known["passes"]) - len(good) == 6
    json.dumps(known, allow_nan=False)
    assert len(summary.conv_rows(known)) == 2 * 6 + 6 + 6


def test_a_pass_that_is_wrong_is_told_and_one_that_fails_leaves_the_other(on_the_cpu, monkeypatch):
    monkeypatch.setattr(on_the_cpu, "SUITE", SUITE[1:2])
    wrong = {"exact": lambda x: x * np.float32("nan"), "fast": lambda x: x + np.float32(1e-3)}
    right = on_the_cpu.computed

    def computed(call: Any, setting: str) -> Any:
        return lambda arrays: wrong[setting](right(call, setting)(arrays))

    monkeypatch.setattr(on_the_cpu, "computed", computed)
    _, under_way, *_, known = on_the_cpu.measure(Device("cuda", 0), rounds=1, seconds=0.0)
    assert under_way["under_way"] == {"mode": "float32", "shape": "depthwise", "pass": "forward"}
    row = known["passes"][0]
    assert row["right"] == {"exact": False, "fast": False}
    assert row["errors"]["exact"] is None
    assert row["errors"]["fast"] > row["bound"]
    del wrong["fast"]
    *_, known = on_the_cpu.measure(Device("cuda", 0), rounds=1, seconds=0.0)
    assert known["passes"][0]["failed"] == {"fast": "KeyError: 'fast'"}
    assert known["passes"][0]["ratio"].keys() == {"exact"}


def test_what_was_known_is_not_measured_again(on_the_cpu, monkeypatch):
    monkeypatch.setattr(on_the_cpu, "SUITE", SUITE[1:2])
    names = {"shape": "depthwise"}
    dead = {"mode": "float32", **names, "pass": "backward data"}
    before = {"ceilings": {}, "passes": [{"mode": "float32", **names, "pass": "forward"}], "under_way": dead}
    *_, known = on_the_cpu.measure(Device("cuda", 0), rounds=1, seconds=0.0, until=0.0, known=before)
    assert known["passes"] == [before["passes"][0], {**dead, "error": "the process ended during this pass"}]
    assert known["left_out"] == 4


def test_a_device_that_answers_no_more_ends_the_process(on_the_cpu, monkeypatch):
    def broken(self: Any) -> None:
        raise RuntimeError("illegal address")

    monkeypatch.setattr(on_the_cpu, "SUITE", SUITE[1:2])
    monkeypatch.setattr(on_the_cpu, "_pass", broken)
    monkeypatch.setattr(cupy_stand_in.Device, "synchronize", broken)
    known: dict[str, Any] = {"ceilings": {}, "passes": []}
    with pytest.raises(tuning.Broken, match="illegal address"):
        deque(on_the_cpu.measure(Device("cuda", 0), rounds=1, seconds=0.0, known=known))
    assert ["error" in row for row in known["passes"]] == [True]
