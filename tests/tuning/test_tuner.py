"""The tuner with a clock that tells what a test wants: which plans are tried, which are out, which is chosen."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from checks.tasks import task
from checks.tuning import FakeClock, FakeFamily, right

from gpucnn.backend import Device
from gpucnn.cuda import plans
from gpucnn.errors import DeviceError
from gpucnn.tuning.cache import Cache, Tuned
from gpucnn.tuning.tuner import CALLS, MOST_PLANS, ROUNDS, Tuner, shapes

TASK = task("forward", (3, 2, 5, 4), (6, 1, 1, 4))


@pytest.fixture(autouse=True)
def cache_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.setenv("GPUCNN_CACHE", str(tmp_path))
    plans.candidates.cache_clear()
    yield
    plans.candidates.cache_clear()


@pytest.fixture
def family(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Put a family in the place of all."""

    def install(names: Sequence[str], **runs: Any) -> None:
        monkeypatch.setattr(plans, "families", lambda: {"fake": FakeFamily(names, runs)})

    return install


def measure(clock: FakeClock) -> Tuned:
    return Tuner(Device("cpu"), clock).measure(TASK)


def fixed(*seconds: float) -> FakeClock:
    """A clock by which plan i takes seconds[i]."""
    return FakeClock(lambda plan, _: seconds[int(plan.rpartition("=")[2])])


def test_the_fastest_is_chosen(family):
    family(["default", "slow", "fast"])
    found = measure(fixed(3.0, 4.0, 2.0))
    assert found == Tuned("fake number=2", "fake number=0", found.seconds)
    assert list(found.seconds.items()) == [("fake number=2", 2.0), ("fake number=0", 3.0), ("fake number=1", 4.0)]


def test_what_is_hardly_faster_than_the_default_is_not(family):
    family(["default", "other"])
    assert measure(fixed(1.0, 0.99)).plan == "fake number=0"
    assert measure(fixed(1.0, 0.97)).plan == "fake number=1"


def test_medians_decide(family):
    """Of seven rounds, in three of which the better plan is disturbed."""
    family(["default", "other"])
    clock = FakeClock(lambda plan, turn: 1.0 if plan.endswith("0") else (1.9 if turn in (1, 3, 5) else 0.5))
    found = measure(clock)
    assert (found.plan, found.seconds[found.plan]) == ("fake number=1", 0.5)


def test_plans_take_turns_and_what_is_hopeless_has_one(family):
    family(["default", "hopeless", "good"])
    clock = fixed(3.0, 2.5, 1.0)
    measure(clock)
    assert clock.timed[:3] == ["fake number=0", "fake number=1", "fake number=2"]
    turns = [clock.timed[i : i + 2] for i in range(3, len(clock.timed), 2)]
    assert len(turns) == ROUNDS - 1
    assert all(sorted(turn) == ["fake number=0", "fake number=2"] for turn in turns), "the default one has all turns"
    assert turns[0] != turns[1], "now one is first, now the other"


def raising(arrays: Any) -> None:
    raise RuntimeError("no such\n  instruction")


def wrong(arrays: Any) -> None:
    right(arrays)
    arrays["y"][0, 1, 3, 2] += 0.1


@pytest.mark.parametrize(
    ("run", "why"),
    [
        (raising, "RuntimeError: no such instruction"),
        (wrong, "WrongResult: its result is not that of the default plan"),
        (lambda arrays: None, "WrongResult: its result is not that of the default plan"),
    ],
)
def test_a_plan_that_does_not_work_is_out_and_why_is_kept(family, run, why):
    family(["default", "broken", "other"], broken=run)
    found = measure(fixed(3.0, 0.1, 2.0))
    assert found.plan == "fake number=2"
    assert found.failed == {"fake number=1": why}
    assert set(found.seconds) == {"fake number=0", "fake number=2"}


def test_a_plan_that_takes_the_device_with_it_is_named(family):
    """As a kernel does that reads where nothing is: whatever is launched after it fails, too."""
    broken: list[bool] = []

    def breaking(arrays: Any) -> None:
        broken.append(True)
        raise RuntimeError("illegal address")

    def seconds(plan: str, turn: int) -> float:
        if broken:
            raise RuntimeError("illegal address")
        return 1.0

    family(["default", "breaking", "other"], breaking=breaking)
    with pytest.raises(DeviceError, match=r"plan fake number=1 left the device unusable .*illegal address.*report it"):
        measure(FakeClock(seconds))


def test_roundings_are_no_reason(family):
    def rounded(arrays: Any) -> None:
        right(arrays)
        arrays["y"] *= np.float32(1 + 2**-22)

    family(["default", "rounded"], rounded=rounded)
    assert measure(fixed(3.0, 1.0)).plan == "fake number=1"


def test_a_default_plan_that_does_not_work_is_an_error(family):
    family(["default", "other"], default=raising)
    clock = fixed(1.0, 1.0)
    with pytest.raises(RuntimeError, match="no such"):
        measure(clock)
    assert clock.released == 1


def test_no_more_plans_are_tried_than_are_worth_it(family):
    family([str(i) for i in range(MOST_PLANS + 5)])
    found = measure(FakeClock(lambda plan, turn: 1.0))
    assert len(found.seconds) == MOST_PLANS
    assert "fake number=0" in found.seconds


def test_work_goes_over_more_than_the_cache_holds(family):
    """And over as many sets of arrays as have room."""
    family(["default"])
    size = int(TASK.bytes)
    for clock, sets in [
        (FakeClock(lambda *_: 1.0, cache_bytes=size), 3),
        (FakeClock(lambda *_: 1.0, cache_bytes=100 * size), 16),
        (FakeClock(lambda *_: 1.0, cache_bytes=100 * size, free_bytes=10 * size), 5),
        (FakeClock(lambda *_: 1.0, cache_bytes=100 * size, free_bytes=size), 1),
    ]:
        measure(clock)
        calls = clock.calls["fake number=0"]
        assert len({id(call.args[2]["x"]) for call in calls}) == sets
        assert len(calls) == max(sets, CALLS)
        assert clock.released == 1


def test_equal_tasks_are_measured_once_and_not_again(family):
    family(["default", "other"])
    clock, told = fixed(2.0, 1.0), []
    cache = Cache({"device": "test"})
    tuner = Tuner(Device("cpu"), clock, told.append)
    found = tuner.tune([TASK, TASK], cache)
    assert list(found) == [str(TASK)]
    assert cache.read() == found
    assert told == [f"1 of 1: {TASK}"]
    timed = len(clock.timed)
    assert tuner.tune([TASK], cache) == found
    assert len(clock.timed) == timed
    assert tuner.tune([TASK], cache, again=True) == found
    assert len(clock.timed) == 2 * timed


def test_what_was_measured_before_an_error_is_kept(family):
    family(["default"])
    other = TASK._replace(x_shape=(7, 2, 5, 4))

    def seconds(plan: str, turn: int) -> float:
        if turn > ROUNDS:
            raise KeyboardInterrupt
        return 1.0

    cache = Cache({"device": "test"})
    with pytest.raises(KeyboardInterrupt):
        Tuner(Device("cpu"), FakeClock(seconds)).tune([TASK, other], cache)
    assert list(cache.read()) == [str(TASK)]


NAMES = {
    "forward": "x w b y",
    "backward_data": "dy w dx",
    "backward_weight": "x dy dw",
    "both_gradients": "x dy w dx dw",
}


@pytest.mark.parametrize("which", NAMES)
def test_arrays_have_the_shapes_of_their_pass(which):
    found = shapes(task(which, (2, 9, 7, 6), (8, 3, 3, 3), stride=2, padding=1))
    everything = {"x": (2, 9, 7, 6), "w": (8, 3, 3, 3), "b": (8,), "y": (2, 5, 4, 8)}
    everything |= {"dx": everything["x"], "dw": everything["w"], "dy": everything["y"]}
    assert found == {name: everything[name] for name in NAMES[which].split()}
