"""By which kernel a convolution's pass is computed, and with which sizes: tasks, plans, and which plan is chosen.

A `Task` says what is to be computed: all that a choice may depend on. A `Plan` is one way to compute it, of a family:
a module of `gpucnn.cuda.families`, found by its file, with three functions:

    plans(task)                     its plans for a task; none where it cannot compute it
    estimate(task, plan, machine)   about how many seconds one takes on a `gpucnn.cuda.machine.Machine`
    run(plan, task, arrays)         computes the task; arrays by name: forward x, w, b (or None), y;
                                    backward_data dy, w, dx, and maybe z, which is added to dx;
                                    backward_weight x, dy, dw; both_gradients x, dy, w, dx, dw, and maybe z

Where a module says `ENDS = True`, its forward kernels end with what epilogue.cuh is: `run` is given that, too, if it is
asked for. What another family has computed is gone over once more. Where a module has a function `part(task, plan)`,
its forward kernels write what batch_norm.cu starts from, `means` and `squares` (parts, K) of parts of so many rows of
y, if they are given these; where it returns 0, they do not. Where a module says `BOTH = True`, its tasks are both
gradients of a convolution, and no pass alone.

Without tuning, the plan with the best estimate for the architecture's nominal machine is chosen: results are the same
on every device of an architecture, and where sums are taken in one order, on all.
"""

from __future__ import annotations

import importlib
import math
import pkgutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import cache, lru_cache
from typing import Any, Literal, NamedTuple, Protocol

from gpucnn.backend import Array, Shape
from gpucnn.cuda.ending import finish
from gpucnn.cuda.geometry import Whole, Window
from gpucnn.cuda.machine import Machine, nominal
from gpucnn.numerics import Numerics
from gpucnn.setting import Setting

Pass = Literal["forward", "backward_data", "backward_weight", "both_gradients"]

Arrays = Mapping[str, Array | None]
"""What a pass reads and writes, by name."""


class Task(NamedTuple):
    """A pass of a convolution: x (N, H, W, C), w (K, R, S, C/groups) and y (N, P, Q, K), or their gradients.

    dtype: of x, w and y: float16, bfloat16, float32 or float64. architecture: that of the device, as 90; 0 where it is
    not known.
    """

    which: Pass
    x_shape: Shape
    w_shape: Shape
    window: Window
    groups: int
    dtype: str
    numerics: Numerics
    architecture: int

    def __str__(self) -> str:
        """Return it as a line, by which it is known in files: equal tasks have equal ones."""
        window, ((top, bottom), (left, right)) = self.window, self.window.pads
        shapes = f"x={_by(self.x_shape)} w={_by(self.w_shape)} groups={self.groups}"
        sizes = f"stride={_by(window.stride)} dilation={_by(window.dilation)} pads={_by((top, bottom, left, right))}"
        return f"{self.which} {shapes} {sizes} {self.dtype} {self.numerics} sm_{self.architecture}"

    @property
    def what(self) -> str:
        """The pass, in words."""
        return self.which.replace("_", " ")

    @property
    def y_shape(self) -> Shape:
        """N, P, Q, K."""
        return self.x_shape[0], *self.window.output, self.w_shape[0]

    @property
    def flops(self) -> float:
        """Multiplications and additions of the formula, those with padding's zeros counted."""
        return (4.0 if self._both else 2.0) * math.prod(self.y_shape) * math.prod(self.w_shape[1:])

    @property
    def bytes(self) -> float:
        """What is read and written where nothing passes twice."""
        size = {"float64": 8, "float32": 4}.get(self.dtype, 2)
        written = (self.x_shape, self.w_shape) if self._both else ()
        return float(size * sum(map(math.prod, (self.x_shape, self.w_shape, self.y_shape, *written))))

    @property
    def _both(self) -> bool:
        return self.which == "both_gradients"


class Plan(NamedTuple):
    """A way to compute a task: a family, and the numbers it is run with, by name.

    >>> plan = Plan.of("mma", m=128, n=64, stages=3)
    >>> str(plan), plan.option("stages")
    ('mma 128x64 stages=3', 3)
    >>> Plan.read("mma 128x64 stages=3") == plan
    True
    """

    family: str
    options: tuple[tuple[str, int], ...] = ()

    @staticmethod
    def of(family: str, **options: int) -> Plan:
        """Return a plan with these options."""
        return Plan(family, tuple(options.items()))

    @staticmethod
    def read(text: str) -> Plan:
        """Return the plan that a text stands for; raises ValueError where it is none."""
        family, *words = text.split()
        options: dict[str, int] = {}
        for word in words:
            name, equals, value = word.partition("=")
            if equals:
                options[name] = int(value)
            else:
                options["m"], options["n"] = map(int, word.split("x"))
        return Plan.of(family, **options)

    def option(self, name: str) -> int:
        """Return the value of an option."""
        return dict(self.options)[name]

    def __str__(self) -> str:
        """Return it as a text that `read` understands; the sides of tiles, m and n, as 128x64."""
        options = dict(self.options)
        tile = [f"{options.pop('m')}x{options.pop('n')}"] if "m" in options else []
        return " ".join([self.family, *tile, *(f"{name}={value}" for name, value in options.items())])


class Family(Protocol):
    """What a module of `gpucnn.cuda.families` has."""

    def plans(self, task: Task) -> list[Plan]:
        """Return the plans for a task."""

    def estimate(self, task: Task, plan: Plan, machine: Machine) -> float:
        """Return about how many seconds a plan takes."""

    def run(self, plan: Plan, task: Task, arrays: Arrays) -> None:
        """Compute a task by a plan."""


Choose = Callable[[Task], Plan | None]
"""What gives a plan for a task, or None: then that with the best estimate is chosen."""

_choose: Setting[Choose] = Setting("plans", lambda task: None)
_log: Setting[list[tuple[Task, Plan]] | None] = Setting("plans' log", None)


def using(choose: Choose) -> AbstractContextManager[None]:
    """Choose plans in this way while entered: a function, or the `get` of a table."""
    return _choose.using(choose)


def chosen(task: Task) -> Plan:
    """Return the plan by which a task is computed."""
    plan = _choose.get()(task) or candidates(task)[0]
    log = _log.get()
    if log is not None:
        log.append((task, plan))
    return plan


@contextmanager
def recorded() -> Iterator[list[tuple[Task, Plan]]]:
    """Note every task and the plan that is chosen for it, in order, while entered."""
    log: list[tuple[Task, Plan]] = []
    with _log.using(log):
        yield log


@lru_cache(maxsize=1024)
def candidates(task: Task) -> tuple[Plan, ...]:
    """Return all plans for a task, that with the best estimate first; `plain` computes whatever pass there is."""
    machine, both = nominal(task.architecture), task.which == "both_gradients"
    able = [family for family in families().values() if getattr(family, "BOTH", False) == both]
    rated = [(family.estimate(task, plan, machine), plan) for family in able for plan in family.plans(task)]
    return tuple(plan for _, plan in sorted(rated, key=lambda pair: pair[0]))


@cache
def families() -> dict[str, Family]:
    """Return all families by name: the modules of `gpucnn.cuda.families`."""
    package = importlib.import_module("gpucnn.cuda.families")
    names = sorted(module.name for module in pkgutil.iter_modules(package.__path__))
    return {name: importlib.import_module(f"{package.__name__}.{name}") for name in names}


def compute(task: Task, arrays: Arrays, end: Mapping[str, Any] | None = None) -> None:
    """Compute a task by the plan that is chosen for it; a forward pass may end with what `gpucnn.cuda.ending` tells."""
    plan = chosen(task)
    family = families()[plan.family]
    if end is None or getattr(family, "ENDS", False):
        family.run(plan, task, {**arrays, **(end or {})})
    else:
        family.run(plan, task, arrays)
        finish(arrays["y"], end)


def canonical(window: Window) -> Whole:
    """Return a window as plain values: tasks with equal ones are equal."""
    return Whole(window.kernel, window.stride, window.dilation, window.pads, window.output)


def _by(sizes: Sequence[int]) -> str:
    return "x".join(map(str, sizes))
