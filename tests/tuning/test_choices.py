"""The plans of a run: kept, measured, or those with the best estimates."""

from __future__ import annotations

from checks.tasks import task

from gpucnn.cuda import plans
from gpucnn.cuda.plans import Plan
from gpucnn.tuning.cache import Tuned
from gpucnn.tuning.choices import Choices

TASK = task("backward_weight", (128, 16, 16, 32), (32, 3, 3, 32), padding=1)
OTHER = TASK._replace(groups=2)
DEFAULT, *REST = plans.candidates(TASK)


def measured(plan: str) -> dict[str, Tuned]:
    return {str(TASK): Tuned(plan, str(DEFAULT), {plan: 1.0, str(DEFAULT): 2.0})}


def test_without_anything_else_the_best_estimate_is_chosen():
    choices = Choices()
    assert choices(TASK) == DEFAULT
    assert choices.used == {str(TASK): str(DEFAULT)}


def test_what_was_measured_is_chosen_and_what_a_checkpoint_kept_comes_first():
    tuned = Choices(measured=lambda: measured(str(REST[0])))
    assert tuned(TASK) == REST[0]
    again = Choices(tuned.used, lambda: measured(str(REST[1])))
    assert again(TASK) == REST[0]
    assert again.used == tuned.used


def test_a_choice_stays_whatever_is_measured_meanwhile():
    table = measured(str(REST[0]))
    choices = Choices(measured=lambda: table)
    choices(TASK)
    table.clear()
    assert choices(TASK) == REST[0]


def test_what_was_measured_is_read_once_and_only_when_it_is_needed():
    reads: list[int] = []

    def read() -> dict[str, Tuned]:
        reads.append(1)
        return {}

    choices = Choices({str(TASK): str(REST[0])}, read)
    choices(TASK)
    assert not reads
    choices(OTHER)
    choices(OTHER._replace(groups=4))
    assert len(reads) == 1


def test_a_plan_that_is_not_known_any_more_is_told_once():
    told: list[str] = []
    choices = Choices({str(TASK): "mma 96x96 pieces=3"}, tell=told.append)
    assert choices(TASK) == choices(TASK) == DEFAULT
    assert choices.used == {str(TASK): str(DEFAULT)}
    assert len(told) == 1
    assert "this version of gpucnn has no plan 'mma 96x96 pieces=3'" in told[0]
    assert str(TASK) in told[0]


def test_a_measured_plan_that_is_not_known_is_passed_over():
    assert Choices(measured=lambda: measured("mma 96x96"))(TASK) == DEFAULT


def test_the_runner_up_is_measured_or_estimated():
    choices = Choices()
    other = choices.runner_up(TASK)
    assert other.plan == str(REST[0])
    assert not other.measured
    assert other.ratio >= 1
    assert str(other) == f"{REST[0]}, {other.ratio:.2f}x by estimate"
    row = Tuned(str(REST[1]), str(DEFAULT), {str(REST[1]): 1.0, str(REST[2]): 1.5, str(DEFAULT): 2.0})
    tuned = Choices(measured=lambda: {str(TASK): row})
    assert str(tuned.runner_up(TASK)) == f"{REST[2]}, 1.50x"
    kept = Choices({str(TASK): str(DEFAULT)}, lambda: {str(TASK): row})
    assert str(kept.runner_up(TASK)) == f"{REST[1]}, 0.50x", "what was measured later is faster"


def test_without_another_plan_there_is_no_runner_up(monkeypatch):
    monkeypatch.setattr(plans, "candidates", lambda task: (DEFAULT,))
    assert Choices().runner_up(TASK) is None


def test_what_was_kept_stays_though_it_is_not_computed():
    """Such as the plans of another device, on which the run was begun."""
    kept = {str(OTHER): str(Plan.of("plain", pieces=1))}
    choices = Choices(kept)
    choices(TASK)
    assert choices.used == kept | {str(TASK): str(DEFAULT)}
