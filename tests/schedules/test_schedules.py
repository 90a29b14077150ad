"""Every registered schedule: what holds for all, values by hand, and PyTorch's curves."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpucnn.errors import ArgumentError
from gpucnn.schedules.base import Schedule

EXAMPLES = {
    "constant": [{}],
    "step": [{"every": 0.3}, {"every": 7, "gamma": 0.5}, {"milestones": [0.5, 0.75]}, {"milestones": [3, 0.9]}],
    "cosine": [{}, {"floor": 0.1}],
    "one_cycle": [{}, {"floor": 0.01}, {"start": 0.5, "anneal": "linear"}, {"start": 0.0}],
}
CASES = [(name, arguments) for name in Schedule.registry for arguments in EXAMPLES.get(name, [{}])]
FALLS_TO_FLOOR = ("cosine", "one_cycle")

every_schedule = pytest.mark.parametrize(("name", "arguments"), CASES, ids=str)
warmups = st.none() | st.integers(0, 60) | st.floats(0, 0.99)
totals = st.integers(1, 300)


def make(name, arguments, warmup=None) -> Schedule:
    if name not in EXAMPLES:
        pytest.fail(f"schedule {name!r} is registered but not tested: add arguments of it to EXAMPLES")
    return Schedule.registry[name](**arguments, **({} if warmup is None else {"warmup": warmup}))


def factors(schedule: Schedule, total: int) -> list[float]:
    return [schedule.factor(step, total) for step in range(total)]


@every_schedule
@given(warmup=warmups, total=totals)
def test_factors_are_between_0_and_1(name, arguments, warmup, total):
    assert all(0 <= factor <= 1 and math.isfinite(factor) for factor in factors(make(name, arguments, warmup), total))


@every_schedule
@given(warmup=warmups, total=totals)
def test_rises_then_never_rises_again(name, arguments, warmup, total):
    schedule = make(name, arguments, warmup)
    steps = schedule.warmup if isinstance(schedule.warmup, int) else round(schedule.warmup * total)
    curve = factors(schedule, total)
    for step in range(1, total):
        if step < steps:
            assert curve[step] > curve[step - 1]
        if step > steps:
            assert curve[step] <= curve[step - 1]


@every_schedule
@given(warmup=st.integers(1, 100), total=st.integers(200, 300))
def test_no_jump_where_the_warmup_ends(name, arguments, warmup, total):
    """The last step up is no larger than the steepest that a half cosine has, pi / 2 of the mean step."""
    schedule = make(name, arguments, warmup)
    rise = schedule.factor(warmup, total) - schedule.factor(warmup - 1, total)
    assert 0 < rise <= math.pi / 2 / warmup


@pytest.mark.parametrize("name", FALLS_TO_FLOOR)
@given(floor=st.floats(0, 0.9), total=st.integers(2, 300), warmup=st.floats(0, 0.5))
def test_ends_near_the_floor(name, floor, total, warmup):
    """The last of n steps down stands 1 / n before the end, where a half cosine is within (pi / (2 n))^2 of it."""
    schedule = make(name, {"floor": floor}, warmup)
    down = total - round(warmup * total)
    last = schedule.factor(total - 1, total)
    assert floor <= last <= floor + (1 - floor) * (math.pi / 2 / down) ** 2 + 1e-12
    assert schedule.factor(total, total) == pytest.approx(floor, abs=1e-12)


@every_schedule
def test_one_step_in_all(name, arguments):
    assert make(name, arguments, 0).factor(0, 1) in (1.0, pytest.approx(arguments.get("gamma", 0.1)))


@every_schedule
def test_is_a_function_of_step_and_total_alone(name, arguments):
    schedule = make(name, arguments, 5)
    curve = factors(schedule, 40)
    assert [schedule.factor(step, 40) for step in reversed(range(40))] == curve[::-1]
    assert factors(make(name, arguments, 5), 40) == curve


@every_schedule
def test_warmup_is_steps_or_a_fraction_of_all(name, arguments):
    assert factors(make(name, arguments, 10), 40) == factors(make(name, arguments, 0.25), 40)
    assert factors(make(name, arguments, 10), 40) != factors(make(name, arguments, 0), 40)


def test_warmup_rises_in_equal_steps():
    assert factors(make("constant", {}, 4), 6) == pytest.approx([0.2, 0.4, 0.6, 0.8, 1, 1])
    assert factors(make("cosine", {}, 3), 4) == pytest.approx([0.25, 0.5, 0.75, 1])


def test_warmup_longer_than_the_run_rises_to_its_end():
    assert factors(make("constant", {}, 100), 3) == pytest.approx([0.25, 0.5, 0.75])


@pytest.mark.parametrize("total", [10, 28, 30, 70, 100, 1000])
@pytest.mark.parametrize("tenths", range(1, 10))
def test_every_fraction_drops_at_the_nearest_step(tenths, total):
    """In whole numbers: drop k is the first step from k tenths total / 10 - 1/2 on."""
    curve = factors(make("step", {"every": tenths / 10, "gamma": 0.5}), total)
    assert curve == [0.5 ** ((2 * step + 1) * 5 // (tenths * total)) for step in range(total)]


@pytest.mark.parametrize("arguments", EXAMPLES["step"], ids=str)
def test_drops_count_from_the_first_step(arguments):
    assert factors(make("step", arguments, 2), 20)[2:] == factors(make("step", arguments, 0), 20)[2:]


@pytest.mark.torch
@pytest.mark.parametrize("warmup", [1, 3, 7])
@pytest.mark.parametrize("total", [8, 20])
@pytest.mark.parametrize("anneal", ["cosine", "linear"])
def test_one_cycle_is_pytorchs(total, warmup, anneal):
    """PyTorch's cycle of one more step has the same curve.

    Here the peak is at step `warmup` and the floor just after the last step; there the peak is at step pct total - 1
    and the floor at the last step.
    """
    arguments = {"start": 0.04, "floor": 0.001, "anneal": anneal}
    expected = pytorch(
        "OneCycleLR",
        total,
        max_lr=1.0,
        total_steps=total + 1,
        pct_start=(warmup + 1) / (total + 1),
        anneal_strategy="cos" if anneal == "cosine" else "linear",
        div_factor=1 / 0.04,
        final_div_factor=0.04 / 0.001,
        cycle_momentum=False,
    )
    assert factors(make("one_cycle", arguments, warmup), total) == pytest.approx(expected, rel=1e-12)


@pytest.mark.torch
@pytest.mark.parametrize(
    ("name", "arguments", "theirs", "their_arguments"),
    [
        ("cosine", {}, "CosineAnnealingLR", {"T_max": 20}),
        ("cosine", {"floor": 0.1}, "CosineAnnealingLR", {"T_max": 20, "eta_min": 0.1}),
        ("step", {"every": 6, "gamma": 0.3}, "StepLR", {"step_size": 6, "gamma": 0.3}),
        ("step", {"milestones": [0.5, 0.75]}, "MultiStepLR", {"milestones": [10, 15], "gamma": 0.1}),
    ],
)
def test_curves_are_pytorchs(name, arguments, theirs, their_arguments):
    assert factors(make(name, arguments), 20) == pytest.approx(pytorch(theirs, 20, **their_arguments), rel=1e-12)


def pytorch(name, total, **arguments) -> list[float]:
    """Return the learning rates of a PyTorch schedule whose optimizer has lr 1."""
    torch = pytest.importorskip("torch")
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    schedule = getattr(torch.optim.lr_scheduler, name)(optimizer, **arguments)
    rates = []
    for _ in range(total):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return rates


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("constant", {"warmup": -1}, "warmup: must be a whole number of steps from 0, or a fraction"),
        ("constant", {"warmup": 1.0}, "warmup: must be a whole number of steps"),
        ("constant", {"warmup": 1.5}, "warmup: must be"),
        ("constant", {"warmup": math.nan}, "warmup: must be"),
        ("constant", {"warmup": True}, "warmup: must be"),
        ("constant", {"floor": 0.1}, "floor"),
        ("step", {}, "either every .* or milestones"),
        ("step", {"every": 0.3, "milestones": [0.5]}, "either every .* or milestones"),
        ("step", {"every": 0}, "every"),
        ("step", {"every": 0.0}, "every"),
        ("step", {"every": 0.3, "gamma": 0.0}, "gamma"),
        ("step", {"every": 0.3, "gamma": 1.5}, "gamma"),
        ("step", {"milestones": []}, "milestones"),
        ("step", {"milestones": [1.5]}, "milestones"),
        ("cosine", {"floor": 1.0}, "floor"),
        ("one_cycle", {"start": -0.1}, "start"),
        ("one_cycle", {"anneal": "cos"}, "anneal"),
    ],
)
def test_arguments_are_checked(name, arguments, message):
    with pytest.raises((ArgumentError, TypeError), match=message):
        make(name, arguments)


@every_schedule
def test_config_and_python_agree(name, arguments):
    spec = Schedule.registry.validate({name: arguments} if arguments else name)
    again = Schedule.registry.validate(spec.dump()).build()
    assert factors(again, 30) == factors(make(name, arguments), 30)
