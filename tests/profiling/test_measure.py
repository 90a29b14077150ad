"""A training that is timed is the training, and the times of its parts are the time of its steps."""

from __future__ import annotations

from itertools import islice
from typing import Any

import numpy as np
import pytest

from gpucnn.backend import Device
from gpucnn.config import load
from gpucnn.config.implementations import computing
from gpucnn.errors import ArgumentError
from gpucnn.profiling.measure import WARM_UP, _Steps, profile
from gpucnn.training.trainer import Trainer

CPU = Device("cpu")


def unprofiled(config: dict[str, Any], steps: int) -> list[float]:
    """Return the losses of so many steps, the epoch's smaller last batch left out."""
    trainer, losses = Trainer(load(config), CPU), []
    with computing(trainer.experiment):
        for epoch in range(steps):
            for x, labels in islice(trainer.batches.batches(epoch), 7):
                losses.append(trainer.step(x, labels, trainer.learning_rate(trainer.progress.step))[0])
                trainer.progress.step += 1
    return losses[:steps]


@pytest.mark.parametrize("impl", ["auto", "reference"])
def test_the_losses_are_those_of_a_training_that_nobody_looks_at(
    nested: dict[str, Any], small_peaks: None, impl: str
) -> None:
    nested |= {"impl": impl}
    found = profile(load(nested), CPU, 3)
    assert len(found.losses) == WARM_UP + 1 + 2 * 3
    assert list(found.losses) == unprofiled(nested, len(found.losses))


def test_the_parts_of_a_step_never_overlap(nested: dict[str, Any], small_peaks: None) -> None:
    found = profile(load(nested), CPU, 4)
    assert len(found.step) == len(found.plain) == 4
    for i, whole in enumerate(found.step):
        parts = [row.times[i] for row in found.rows]
        assert all(seconds > 0 for seconds in parts)
        assert sum(parts) < whole
        assert sum(parts) + found.rest[i] == pytest.approx(whole)


def test_every_part_that_ran_has_a_row_in_the_order_of_the_network(nested: dict[str, Any], small_peaks: None) -> None:
    found = profile(load(nested), CPU, 1)
    assert [tuple(row.part) for row in found.rows][:5] == [
        ("data", "wait"),
        ("0.conv2d", "forward"),
        ("0.conv2d", "backward weight"),  # nobody asks the first layer for dx
        ("1.batch_norm", "forward"),
        ("1.batch_norm", "backward"),
    ]
    assert [tuple(row.part) for row in found.rows][-3:] == [
        ("loss", "forward"), ("loss", "backward data"), ("optimizer", "update"),
    ]  # fmt: skip
    assert (found.batch, found.dtype, found.device, found.on_gpu) == (16, "float32", "cpu", False)


def test_a_layer_that_another_computes_as_well_is_listed(
    nested: dict[str, Any], small_peaks: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where two layers are one operation: here dropout's methods are never called."""
    build = Trainer.__init__

    def without_dropout(self: Trainer, *arguments: Any) -> None:
        build(self, *arguments)
        self.model.layers._computed = [
            each for each in self.model.layers._computed if not each.path.endswith("dropout")
        ]

    monkeypatch.setattr(Trainer, "__init__", without_dropout)
    rows = [row for row in profile(load(nested), CPU, 2).rows if row.part.path in ("6.flatten", "7.dropout")]
    assert [row.part.what for row in rows] == ["forward", "backward data", "with another"]
    assert rows[-1].times == (0, 0)


def test_batches_go_on_over_epochs_and_are_all_of_one_size(nested: dict[str, Any]) -> None:
    steps = _Steps(load(nested), CPU)
    batches = [x for x, _ in islice(steps.batches, 9)]
    steps.batches.close()
    assert {len(x) for x in batches} == {16}
    again = list(islice(steps.trainer.batches.batches(1), 2))
    np.testing.assert_array_equal(batches[8], again[1][0])


def test_a_data_set_smaller_than_a_batch_is_one(nested: dict[str, Any], small_peaks: None) -> None:
    experiment = load(nested)
    data = experiment.data.model_copy(update={"batch_size": 500})  # as of a data set whose size its files alone tell
    assert profile(experiment.model_copy(update={"data": data}), CPU, 1).batch == 120


def test_more_steps_than_the_training_has_are_no_error(nested: dict[str, Any], small_peaks: None) -> None:
    short = nested | {"training": {"epochs": 1}, "schedule": {"one_cycle": {"warmup": 0.2}}}
    assert len(profile(load(short), CPU, 5).step) == 5


def test_no_steps_are_an_error(nested: dict[str, Any]) -> None:
    with pytest.raises(ArgumentError, match=r"steps \(=0\) must be at least 1"):
        profile(load(nested), CPU, 0)


def test_what_is_measured_is_told(nested: dict[str, Any], small_peaks: None) -> None:
    told: list[str] = []
    profile(load(nested), CPU, 2, told.append)
    assert told[1:4] == ["warming up", "timing step 1 of 2", "timing step 2 of 2"]
