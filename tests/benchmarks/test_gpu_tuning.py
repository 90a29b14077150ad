"""The benchmark's tuning of a GPU, whose tuner is a fake."""

from __future__ import annotations

from collections import deque
from types import SimpleNamespace
from typing import Any

import pytest
from cushim import cupy_stand_in

from benchmarks.gpu import networks, summary, tuning
from gpucnn.backend import Device


class TestTuning:
    @pytest.fixture
    def tuner(self, cupy, monkeypatch):
        """A tuner whose tasks are words; `bad` ones raise."""

        class Tuner:
            def __init__(self, *_: Any) -> None: ...

            def tune(self, tasks: Any, cache: Any) -> Any:
                if "bad" in tasks:
                    raise RuntimeError("illegal address")
                seconds = {"slow": 2.0, "quick": 1.0}
                return {task: SimpleNamespace(plan="quick", default="slow", seconds=seconds) for task in tasks}

        fakes = {
            "Cache": lambda identity: None,
            "identity": lambda device: {},
            "clock": lambda device: None,
            "Tuner": Tuner,
            "choices": lambda which, device: {"t": "quick"}.get,
        }
        for name, fake in fakes.items():
            monkeypatch.setattr(tuning, name, fake)
        items = {"a": lambda: ["t", "u"], "b": lambda: ["bad"], "c": lambda: ["v"]}
        monkeypatch.setattr(tuning, "_items", lambda device: items)

    def test_what_was_found_is_told_and_what_failed(self, tuner):
        *_, known = tuning.measure(Device("cuda", 0))
        good, bad, after = known["tuned"]
        assert good == {"item": "a", "gains": {"t": 2.0, "u": 2.0}, "plans": {"t": "quick", "u": "quick"}}
        assert bad == {"item": "b", "error": "RuntimeError: illegal address"}
        assert after["item"] == "c"
        assert summary.failed({"tune": {"exit_code": 0, "seconds": 1.0, **known}})

    def test_it_goes_on_after_a_death_and_ends_in_time(self, tuner):
        before = {"tuned": [{"item": "a"}], "under_way": "b"}
        *_, known = tuning.measure(Device("cuda", 0), until=0.0, known=before)
        assert known == {
            "tuned": [{"item": "a"}, {"item": "b", "error": "the process ended during this"}],
            "left_out": 1,
        }

    def test_a_broken_device_ends_the_process(self, tuner, monkeypatch):
        def broken(self: Any) -> None:
            raise RuntimeError("illegal address")

        monkeypatch.setattr(cupy_stand_in.Device, "synchronize", broken)
        with pytest.raises(tuning.Broken):
            deque(tuning.measure(Device("cuda", 0)))

    def test_plans_are_chosen_as_runs_choose_them(self, tuner, monkeypatch):
        monkeypatch.setattr(tuning.plans, "candidates", lambda task: ("default",))
        with tuning.as_runs_do(Device("cuda", 0)):
            assert [tuning.plans.chosen(task) for task in ("t", "u")] == ["quick", "default"]
            assert tuning.seen(lambda: tuning.plans.chosen("u")) == ["u"]

    def test_networks_and_passes_are_tuned(self, torch):
        items = list(tuning._items(Device("cuda", 0)))
        assert items[: len(networks.CASES)] == [case.name for case in networks.CASES]
        assert "bf16 ResNet-50 512 @7 backward weight" in items
        assert len(items) == len(networks.CASES) + 3 * 21 * 3
