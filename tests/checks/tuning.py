"""A clock that tells what a test wants it to, and a family whose plans do so."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from gpucnn.cuda.machine import Machine
from gpucnn.cuda.plans import Plan, Task
from gpucnn.tuning.clock import Timer


class FakeClock:
    """Makes the first call, and then tells seconds(plan, turn). timed: the plans, in the order of their turns."""

    def __init__(self, seconds: Callable[[str, int], float], cache_bytes: int = 1, free_bytes: int = 2**30) -> None:
        self.seconds, self.cache_bytes, self.free_bytes = seconds, cache_bytes, free_bytes
        self.timed: list[str] = []
        self.calls: dict[str, Sequence[Any]] = {}
        self.released = 0

    def timer(self, calls: Sequence[Any]) -> Timer:
        calls[0]()
        plan = str(calls[0].args[0])
        self.calls[plan] = calls

        def timed() -> float:
            self.timed.append(plan)
            return self.seconds(plan, self.timed.count(plan) - 1)

        return timed

    def release(self) -> None:
        self.released += 1


class FakeFamily:
    """Plans by name, the best estimate first, that compute a product of 1x1 images, or what a test wants."""

    def __init__(
        self, names: Sequence[str], runs: Mapping[str, Callable[[dict[str, Any]], None]] | None = None
    ) -> None:
        self.names, self.runs = list(names), runs or {}

    def plans(self, task: Task) -> list[Plan]:
        return [Plan.of("fake", number=number) for number, _ in enumerate(self.names)]

    def estimate(self, task: Task, plan: Plan, machine: Machine) -> float:
        return 1e-6 * plan.option("number")

    def run(self, plan: Plan, task: Task, arrays: dict[str, Any]) -> None:
        self.runs.get(self.names[plan.option("number")], right)(arrays)


def right(arrays: dict[str, Any]) -> None:
    """Compute the forward pass of a convolution of 1x1."""
    arrays["y"][...] = np.einsum("nhwc,kc->nhwk", arrays["x"], arrays["w"][:, 0, 0]) + arrays["b"]
