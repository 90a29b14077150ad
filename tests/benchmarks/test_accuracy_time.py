"""`python -m benchmarks accuracy-time`: when the target counts as reached, and what the clock counts."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from benchmarks import race
from benchmarks.app import app
from benchmarks.processes import Failed
from benchmarks.race import Race

TINY = ["model=[flatten, {dense: 10}]", "data.augment=[]", "data.validation=0", "data.batch_size=128"]


def test_the_first_look_that_reaches_the_target_counts_with_the_set_up():
    looks = [(10, 1.0, 0.5), (20, 2.0, 0.9), (30, 3.0, 0.8), (40, 4.0, 0.95)]
    found = Race(0.25, looks, target=0.9)
    assert (found.seconds, found.training_seconds) == (2.25, 2.0)
    assert Race(0.25, looks, target=0.96).seconds is None
    assert (Race(0.25, looks, target=0.96).best, Race(0.25, looks, target=0.96).steps) == (0.95, 40)


def test_it_looks_as_often_as_it_is_told_and_at_the_end():
    found = race.race("digits", [*TINY, "training.epochs=2"], target=1.0, every=9)
    assert [step for step, _, _ in found.looks] == [9, 18, 24]  # 1,442 images: two epochs of 12 steps
    seconds = [seconds for _, seconds, _ in found.looks]
    assert seconds == sorted(seconds)
    assert found.best > 0.5


def test_it_stops_where_the_target_is_reached():
    found = race.race("digits", [*TINY, "training.epochs=2"], target=0.0, every=None)
    assert [step for step, _, _ in found.looks] == [3]  # a quarter of an epoch


def test_looking_is_not_counted(monkeypatch):
    """A clock that goes on by 1 s for each step and by 100 s for each look."""
    now = [0.0]
    evaluate, step = race.evaluate, race.Trainer.step

    def slow_evaluate(*arguments, **settings):
        now[0] += 100
        return evaluate(*arguments, **settings)

    def slow_step(*arguments):
        now[0] += 1
        return step(*arguments)

    monkeypatch.setattr(race, "time", SimpleNamespace(perf_counter=lambda: now[0]))
    monkeypatch.setattr(race, "evaluate", slow_evaluate)
    monkeypatch.setattr(race.Trainer, "step", slow_step)
    found = race.race("digits", [*TINY, "training.epochs=1"], target=1.0, every=5)
    assert [(step, seconds) for step, seconds, _ in found.looks] == [(5, 5.0), (10, 10.0), (12, 12.0)]


def test_a_device_is_waited_for_and_warming_up_is_not_counted(monkeypatch):
    """A device that takes 5 s for a step and 7 s to make a network, and calls that return at once."""
    now, waiting, made = [0.0], [0.0], []
    step, init = race.Trainer.step, race.Trainer.__init__

    def asked(seconds, call):
        waiting[0] += seconds
        return call

    def synchronize(device):
        now[0], waiting[0] = now[0] + waiting[0], 0.0

    monkeypatch.setattr(race, "time", SimpleNamespace(perf_counter=lambda: now[0]))
    monkeypatch.setattr(race, "synchronize", synchronize)
    monkeypatch.setattr(race.Trainer, "__init__", lambda self, *a: (made.append(a[1]), asked(7, init)(self, *a))[1])
    monkeypatch.setattr(race.Trainer, "step", lambda *a: asked(5, step)(*a))
    settings = [*TINY, "training.epochs=1"]
    found = race.race("digits", settings, target=1.0, every=6, device=race.CPU, warm_up=2)
    assert made == [race.CPU, race.CPU]
    assert (found.setup_seconds, found.looks[0][:2], found.looks[-1][:2]) == (7.0, (6, 30.0), (12, 60.0))


def test_a_gpu_is_raced_as_it_trains_with_looks_after_epochs(monkeypatch):
    """On the CPU: the trainer's own loop, with a look after each epoch until it will do."""
    looked = []

    def as_trained(trainer, look):
        looked.append(look)
        return train(trainer, look)

    train = race.as_trained
    monkeypatch.setattr(race, "_by_steps", lambda trainer, look, every: as_trained(trainer, look))
    found = race.race("digits", [*TINY, "training.epochs=3"], target=1.0, every=None)
    assert [step for step, _, _ in found.looks] == [12, 24, 36]
    assert found.best > 0.5
    assert len(race.race("digits", [*TINY, "training.epochs=3"], target=0.1, every=None).looks) == 1
    assert len(looked) == 2


def test_without_test_images_there_is_nothing_to_look_at(monkeypatch):
    trainer = SimpleNamespace(data=SimpleNamespace(evaluation=lambda name: None))
    monkeypatch.setattr(race, "Trainer", lambda *arguments: trainer)
    with pytest.raises(Failed, match="digits has no test images"):
        race.race("digits", TINY, target=1.0, every=None)


def test_the_command(tmp_path):
    file = tmp_path / "time.json"
    arguments = ["accuracy-time", "digits", "0.3", *TINY, "training.epochs=1", "--seeds", "2", "--output", str(file)]
    result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    found = json.loads(file.read_text())
    assert (found["target"], found["runs"], found["reached"]) == (0.3, 2, 2)
    assert found["seconds_median"] > 0
    assert result.stdout.splitlines()[-1].startswith("30.00 % reached by 2 of 2, median ")
    arguments = ["accuracy-time", "digits", "1", *TINY, "training.epochs=1", "--seeds", "1", "--output", str(file)]
    out = CliRunner().invoke(app, arguments, catch_exceptions=False).stdout
    assert out.splitlines()[1].split()[:3] == ["0", "not", "reached"]
    assert json.loads(file.read_text())["seconds_median"] is None
