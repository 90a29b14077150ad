"""What the benchmark of a GPU tells of its parts."""

from __future__ import annotations

import json

import pytest
from checks.benchmark_rows import conv_row, step_row

from benchmarks.gpu import summary


def test_what_is_wrong_or_missing_shows_in_the_summary():
    good = {"exit_code": 0, "seconds": 2.0, "passes": [conv_row()]}
    assert not summary.failed({"conv": good, "sanitize": {"skipped": "not found"}})
    for bad in (
        {**good, "exit_code": None},
        {**good, "exit_code": 139},
        {**good, "passes": [conv_row(right={"exact": False, "fast": True})]},
        {**good, "passes": [conv_row(failed={"fast": "no such kernel"})]},
        {**good, "passes": [{"mode": "bf16", "shape": "a", "pass": "b", "error": "c"}]},
    ):
        assert summary.failed({"conv": bad})
        assert summary.conv_rows(bad)
    assert summary.failed({"parity": {"digits": {"exit_code": 1, "seconds": 1.0, "problems": ["model[0]: wrong"]}}})
    wrong = conv_row(right={"exact": False, "fast": True}, failed={"other": "no such kernel"})
    assert [row[-1] for row in summary.conv_rows({"passes": [wrong]})] == ["NO", "yes", "failed"]


def test_means_are_geometric_and_of_each_way_by_itself():
    rows = [conv_row(), conv_row(ratio={"exact": 4.0}), conv_row(**{"pass": "backward data"}, ratio={"exact": 0.25})]
    rows.append({"mode": "bf16", "shape": "a", "pass": "forward", "error": "c"})
    found = summary.means({"passes": rows})
    assert found["exact"] == pytest.approx({"forward": 2.0, "backward data": 0.25, "all": 1.0, "passes": 3})
    assert found["fast"] == pytest.approx({"forward": 0.5, "all": 0.5, "passes": 1})
    assert summary.mean_rows({"passes": rows})[0] == ["exact", "2.00", "0.25", "-", "1.00", "3 of 63"]


def test_steps_of_all_parts_are_one_row_beside_the_best_peer():
    steps = {"exit_code": 0, "seconds": 1.0, "networks": [step_row()]}
    jax = {"exit_code": 0, "seconds": 1.0, "networks": [step_row("jax")]}
    late = step_row("compiled", error="stopped after 60 s", left_out=["PyTorch compiled"])
    parts_ = {"steps": steps, "jax": jax, "compiled": {**steps, "networks": [late]}}
    (row,) = summary.merged(parts_)
    assert (row["best_peer"], row["ours"]) == ("JAX", 2e-4)
    assert (row["ratio"], row["of_goal"], row["roofline"]) == pytest.approx((0.5, 2.0, 0.25))
    assert summary.step_rows(parts_) == [["n", "bf16", "200", "300", "400", "JAX", "0.50", "100", "25 %"]]
    text = summary.notes(parts_)
    assert "n, bf16: part compiled: stopped after 60 s" in text
    assert "n, bf16: PyTorch compiled: no time was left" in text
    assert not summary.failed(parts_)  # what a peer cannot do is no failure of ours
    assert summary.failed({"steps": {**steps, "networks": [step_row(failed={"gpucnn graph": "no"})]}})
    assert not summary.failed({"steps": {**steps, "networks": [step_row(failed={"PyTorch": "no"})]}})
    nothing = {"steps": {**steps, "networks": [step_row(seconds={}, failed={"gpucnn": "no"})]}}
    assert summary.step_rows(nothing)[0][2:7] == ["failed", "-", "-", "-", "-"]
    json.dumps(summary.merged(nothing), allow_nan=False)
