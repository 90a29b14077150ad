"""What `gpucnn parity` found: differences of arrays and of losses, each beside what rounding explains."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from gpucnn.dispatch import Decision
from gpucnn.problems import path as as_text
from gpucnn.training.tracing import Computed, is_forward


@dataclass(frozen=True)
class Compared:
    """An array that both sides computed: their difference, relative to its largest number, and what rounding allows."""

    what: str
    error: float
    limit: float

    @property
    def agrees(self) -> bool:
        """Whether the difference is rounding."""
        return self.error <= self.limit


@dataclass(frozen=True)
class Row:
    """What was compared of a layer, of the loss or of the optimizer, and by what it was computed."""

    path: str
    compared: tuple[Compared, ...]
    forward: tuple[Decision, ...] = ()
    backward: tuple[Decision, ...] = ()

    @property
    def label(self) -> str:
        """Where it stands in the config: `model[3].conv2d`."""
        parts = tuple(int(part) if part.isdecimal() else part for part in self.path.split("."))
        return self.path if self.path in ("loss", "optimizer") else as_text(("model", *parts))

    @property
    def rooms(self) -> str:
        """What computed it: `reference`, `gpucnn.cuda`, or both; `-` where no operation ran."""
        return ", ".join(sorted({d.implementation for d in (*self.forward, *self.backward)})) or "-"

    def problems(self) -> Iterator[str]:
        """Yield a sentence for each difference that is no rounding."""
        for found in self.compared:
            if not found.agrees:
                decisions = self.forward if is_forward(found.what) or not self.backward else self.backward
                by = ", ".join(dict.fromkeys(f"{d.operation} by {d.implementation}" for d in decisions))
                yield (
                    f"{self.label}: {found.what} differs by {found.error:.2g} of its largest number, where rounding "
                    f"explains {found.limit:.1g}" + (f" (computed with {by})" if by else "")
                )


@dataclass(frozen=True)
class Losses:
    """The losses of a step, counted from 1, and the largest difference, relative to the larger, that is rounding."""

    step: int
    ours: float
    theirs: float
    limit: float
    first: float

    @property
    def error(self) -> float:
        """The difference, relative to the larger of this step's loss and the first one's."""
        return abs(self.ours - self.theirs) / max(abs(self.theirs), abs(self.first))

    @property
    def agrees(self) -> bool:
        """Whether the difference is rounding."""
        return self.error <= self.limit


@dataclass
class Parity:
    """All that was compared. ours: the side that is checked, theirs: the one it is checked against.

    computed: what each layer computed on our side. golden: what differs from a golden file.
    """

    ours: str
    theirs: str
    dtype: str
    rows: list[Row]
    losses: list[Losses]
    computed: dict[str, Computed]
    golden: list[str] = field(default_factory=list)

    @property
    def first_difference(self) -> Losses | None:
        """The first step whose losses differ by more than rounding."""
        return next((losses for losses in self.losses if not losses.agrees), None)

    def problems(self) -> list[str]:
        """Return a sentence for everything that does not agree."""
        found = [problem for row in self.rows for problem in row.problems()]
        if first := self.first_difference:
            found.append(
                f"the losses differ from step {first.step} on: {first.ours!r} and {first.theirs!r}, by "
                f"{first.error:.2g}, where rounding explains {first.limit:.1g}"
            )
        return found + self.golden

    def dump(self) -> dict[str, Any]:
        """Return all of it as plain data."""
        return {
            "agree": not self.problems(),
            "ours": self.ours,
            "theirs": self.theirs,
            "dtype": self.dtype,
            "layers": [
                {
                    "layer": row.label,
                    "implementation": row.rooms,
                    "errors": {c.what: {"error": _number(c.error), "limit": c.limit} for c in row.compared},
                }
                for row in self.rows
            ],
            "losses": [[losses.ours, losses.theirs] for losses in self.losses],
            "first_difference": self.first_difference.step if self.first_difference else None,
            "problems": self.problems(),
        }


def _number(error: float) -> float | None:
    """Return a number as JSON can hold it: None for infinity."""
    return error if math.isfinite(error) else None
