"""The arithmetic of a profile: shares, rates, the roofline, and what the parts do not account for."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gpucnn.dispatch import Decision
from gpucnn.profiling.peaks import Peaks
from gpucnn.profiling.profile import Profile, Row, spread
from gpucnn.profiling.seams import Part
from gpucnn.profiling.work import Work

PEAKS = Peaks(flops=1000.0, bytes=100.0)
CONV = Row(
    Part("0.conv2d", "forward"),
    (0.2, 0.5, 0.3),
    Work(120, 6, [Decision("conv2d", "gpucnn.cuda")], ["conv2d_forward_64", "add_parts", "add_parts"]),
)
RELU = Row(Part("1.residual.layers.0.relu", "forward"), (0.1, 0.1, 0.1), Work(1, 5, [Decision("relu", "reference")]))
FLATTEN = Row(Part("2.flatten", "forward"), (0.01, 0.01, 0.01), Work(0, 0))
WITH_ANOTHER = Row(Part("3.relu", "with another"), (0.0, 0.0, 0.0), Work())
LOSS = Row(Part("loss", "forward"), (0.04, 0.04, 0.04), Work(None, 2))


def profile(rows: list[Row], **changes: Any) -> Profile:
    given: dict[str, Any] = {
        "name": "a", "device": "cpu", "threads": 2, "dtype": "float32", "batch": 8, "peaks": PEAKS, "rows": rows,
        "step": (0.5, 1.0, 0.6), "plain": (0.5, 0.55, 0.5), "losses": (1.0, 0.5),
    }  # fmt: skip
    return Profile(**(given | changes))


FOUND = profile([CONV, RELU, FLATTEN, LOSS])


def test_a_time_is_the_median_and_its_share_that_of_the_median_step() -> None:
    assert (CONV.seconds, FOUND.seconds) == (0.3, 0.6)
    assert FOUND.share(CONV.seconds) == pytest.approx(0.5)


def test_the_roofline_is_the_lower_of_both_peaks() -> None:
    assert CONV.roofline(PEAKS) == pytest.approx(0.12 / 0.3)  # 120 operations at 1000 a second
    assert RELU.roofline(PEAKS) == pytest.approx(0.05 / 0.1)  # 5 bytes at 100 a second
    assert LOSS.roofline(PEAKS) == pytest.approx(0.02 / 0.04)
    assert FLATTEN.roofline(PEAKS) is None
    assert WITH_ANOTHER.roofline(PEAKS) is None


def test_parts_rest_and_jitter_make_the_step() -> None:
    assert FOUND.parts == pytest.approx(0.45)
    assert FOUND.rest == pytest.approx((0.15, 0.35, 0.15))
    assert FOUND.jitter == pytest.approx(0.6 - 0.45 - 0.15)
    slow = profile([CONV], step=(0.9, 0.9, 0.5))  # its rest: 0.7, 0.4, 0.2
    assert slow.jitter == pytest.approx(0.9 - 0.3 - 0.4)


def test_sums_by_pass_leave_nothing_out() -> None:
    assert FOUND.by_pass() == pytest.approx({"forward": 0.41, "loss": 0.04, "all else": 0.15})
    assert sum(FOUND.by_pass().values()) == pytest.approx(FOUND.seconds)
    assert profile([*FOUND.rows, WITH_ANOTHER]).by_pass() == FOUND.by_pass()
    assert FOUND.most_expensive(2) == [CONV, RELU]


def test_rows_say_where_they_stand_and_what_computed_them() -> None:
    assert [row.label for row in FOUND.rows] == [
        "model[0].conv2d", "model[1].residual.layers[0].relu", "model[2].flatten", "loss",
    ]  # fmt: skip
    assert [row.computed_by for row in FOUND.rows] == [
        "gpucnn.cuda: conv2d_forward_64, add_parts", "reference", "-", "-",
    ]  # fmt: skip


def test_plain_data_holds_every_figure() -> None:
    found = json.loads(json.dumps(FOUND.dump(), allow_nan=False))
    conv, flatten = found["parts"][0], found["parts"][2]
    assert (conv["layer"], conv["pass"], conv["seconds"], conv["times"]) == (
        "model[0].conv2d",
        "forward",
        0.3,
        [0.2, 0.5, 0.3],
    )
    assert (conv["flops_per_second"], conv["bytes_per_second"]) == (pytest.approx(400), pytest.approx(20))
    assert (conv["roofline"], conv["share"]) == (pytest.approx(0.4), pytest.approx(0.5))
    assert conv["operations"] == [{"operation": "conv2d", "implementation": "gpucnn.cuda", "reason": ""}]
    assert conv["kernels"] == ["conv2d_forward_64", "add_parts", "add_parts"]
    assert "host_seconds" not in conv
    assert (flatten["flops_per_second"], flatten["roofline"]) == (None, None)
    assert found["parts_seconds"] + found["rest"]["seconds"] + found["jitter_seconds"] == pytest.approx(0.6)
    assert found["unprofiled_step"]["seconds"] == 0.5
    assert found["peaks"] == {"flops_per_second": 1000, "bytes_per_second": 100}


def test_a_single_time_has_no_spread() -> None:
    assert spread((1.0,)) is None
    assert spread((2.0, 2.0)) == 0
    assert spread(WITH_ANOTHER.times) is None
    assert profile([], step=(0.5,), plain=(0.5,)).dump()["step"]["spread"] is None
