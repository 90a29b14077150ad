"""What `gpucnn profile` found: the times of a step's parts beside what they have to do and what the device can do."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median, quantiles
from typing import Any

from gpucnn.problems import path as as_text
from gpucnn.profiling.peaks import Peaks
from gpucnn.profiling.seams import BATCH, BOTH, ELSEWHERE, LOSS, OPTIMIZER, WEIGHT, Part
from gpucnn.profiling.work import Work
from gpucnn.training.tracing import DATA, FORWARD
from gpucnn.tuning.choices import RunnerUp


@dataclass(frozen=True)
class Row:
    """A part of the step: its seconds, those of each step that was timed, and its work.

    host: on a GPU, the seconds that Python took to launch it; None on the CPU. runners_up: of the plans that computed
    it on a GPU, the best beside each.
    """

    part: Part
    times: tuple[float, ...]
    work: Work
    host: float | None = None
    runners_up: tuple[RunnerUp | None, ...] = ()

    @property
    def is_layer(self) -> bool:
        """Whether it is a layer's."""
        return self.part.path not in (LOSS, OPTIMIZER, BATCH)

    @property
    def label(self) -> str:
        """Where it stands in the config: `model[3].conv2d`."""
        if not self.is_layer:
            return self.part.path
        return as_text(("model", *(int(key) if key.isdecimal() else key for key in self.part.path.split("."))))

    @property
    def seconds(self) -> float:
        """The median of its times."""
        return median(self.times)

    @property
    def computed_by(self) -> str:
        """The packages that computed it, the plans they chose, the kernels that ran; `-` where no operation did."""
        rooms = _listed(decision.implementation for decision in self.work.decisions)
        chosen, kernels = _listed(str(plan) for _, plan in self.work.plans), _listed(self.work.kernels)
        by = f"{chosen} ({kernels})" if chosen else kernels
        return f"{rooms or '-'}{': ' * bool(by)}{by}"

    @property
    def runner_up(self) -> str:
        """What would have computed it else; `-` where nothing would, or nobody knows how fast, as on the CPU."""
        return "; ".join(map(str, dict.fromkeys(filter(None, self.runners_up)))) or "-"

    def roofline(self, peaks: Peaks) -> float | None:
        """Return the least time for its work over its time; None where no work is counted."""
        least = peaks.seconds(self.work.flops or 0, self.work.bytes)
        return least / self.seconds if least and self.seconds else None


@dataclass(frozen=True)
class Profile:
    """The times of some steps of an experiment's training, and of their parts, in the order of the network.

    threads: those that compute on the CPU; None on a GPU. batch: images of a step. step: seconds of whole steps, from
    asking for the batch until the update is done; on the CPU of those that were cut into parts, on a GPU of those that
    were not. plain: of steps that were not cut. losses: of all steps in order, those that warmed up included.
    """

    name: str
    device: str
    threads: int | None
    dtype: str
    batch: int
    peaks: Peaks
    rows: list[Row]
    step: tuple[float, ...]
    plain: tuple[float, ...]
    losses: tuple[float, ...]

    @property
    def seconds(self) -> float:
        """The median of a whole step."""
        return median(self.step)

    @property
    def parts(self) -> float:
        """The sum of the parts' medians."""
        return sum(row.seconds for row in self.rows)

    @property
    def rest(self) -> tuple[float, ...]:
        """What each step took beside its parts: less than nothing is measuring error."""
        return tuple(whole - sum(row.times[i] for row in self.rows) for i, whole in enumerate(self.step))

    @property
    def jitter(self) -> float:
        """What is left of the step: what delays a part in fewer than half of the steps, and so is in no median."""
        return self.seconds - self.parts - median(self.rest)

    @property
    def on_gpu(self) -> bool:
        """Whether the parts' times are the device's own, and launching them took others."""
        return any(row.host is not None for row in self.rows)

    def share(self, seconds: float) -> float:
        """Return a time as a part of the step."""
        return seconds / self.seconds

    def by_pass(self) -> dict[str, float]:
        """Return the seconds of each pass, over all layers; of loss, optimizer and data; and of all else."""
        found = dict.fromkeys((FORWARD, DATA, WEIGHT, BOTH, LOSS, OPTIMIZER, BATCH), 0.0)
        for row in self.rows:
            if row.part.what != ELSEWHERE:
                found[row.part.what if row.is_layer else row.part.path] += row.seconds
        found["all else"] = self.seconds - self.parts
        return {name: seconds for name, seconds in found.items() if seconds}

    def most_expensive(self, count: int = 5) -> list[Row]:
        """Return the rows that take longest, the longest first."""
        return sorted(self.rows, key=lambda row: -row.seconds)[:count]

    def dump(self) -> dict[str, Any]:
        """Return all of it as plain data; times in seconds."""
        return {
            "name": self.name,
            "device": self.device,
            "threads": self.threads,
            "dtype": self.dtype,
            "batch_size": self.batch,
            "steps": len(self.step),
            "peaks": {"flops_per_second": self.peaks.flops, "bytes_per_second": self.peaks.bytes},
            "step": _times(self.step),
            "unprofiled_step": _times(self.plain),
            "parts_seconds": self.parts,
            "rest": _times(self.rest),
            "jitter_seconds": self.jitter,
            "parts": [self._dump(row) for row in self.rows],
            "losses": list(self.losses),
        }

    def _dump(self, row: Row) -> dict[str, Any]:
        work = row.work
        return {
            "layer": row.label,
            "path": row.part.path,
            "pass": row.part.what,
            **_times(row.times),
            "share": self.share(row.seconds),
            "flops": work.flops,
            "bytes": work.bytes,
            "flops_per_second": _rate(work.flops, row.seconds),
            "bytes_per_second": _rate(work.bytes, row.seconds),
            "roofline": row.roofline(self.peaks),
            "operations": [dataclasses.asdict(decision) for decision in work.decisions],
            "kernels": work.kernels,
            "plans": [
                {"task": str(task), "plan": str(plan), "runner_up": other and other._asdict()}
                for (task, plan), other in zip(work.plans, row.runners_up, strict=True)
            ],
            **({} if row.host is None else {"host_seconds": row.host}),
        }


def _listed(names: Iterable[str]) -> str:
    """Return each name once."""
    return ", ".join(dict.fromkeys(names))


def spread(times: Sequence[float]) -> float | None:
    """Return half the distance between the quartiles, as a part of the median; None for fewer than two times.

    >>> round(spread([1.0, 2.0, 3.0, 4.0, 5.0]), 6)
    0.333333
    """
    if len(times) < 2 or not median(times):
        return None
    first, _, third = quantiles(times, n=4, method="inclusive")
    return (third - first) / 2 / median(times)


def _times(times: Sequence[float]) -> dict[str, Any]:
    return {"seconds": median(times), "spread": spread(times), "times": list(times)}


def _rate(count: int | None, seconds: float) -> float | None:
    return count / seconds if count and seconds else None
