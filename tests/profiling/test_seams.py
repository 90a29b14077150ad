"""Steps are cut at every layer, and are told to be what they are."""

from __future__ import annotations

from typing import Any

import pytest

from gpucnn.backend import Device
from gpucnn.config import load
from gpucnn.layers.dense import Dense
from gpucnn.profiling.meters import HostClock
from gpucnn.profiling.seams import metered, parts
from gpucnn.training.observer import Observer
from gpucnn.training.trainer import Trainer


def passes(trainer: Trainer, path: str) -> list[str]:
    return [part.what for part in parts(trainer) if part.path == path]


def test_gradients_that_are_computed_apart_are_parts_of_their_own(trainer: Trainer) -> None:
    assert passes(trainer, "0.conv2d") == ["forward", "backward data", "backward weight"]
    assert passes(trainer, "8.dense") == ["forward", "backward data", "backward weight"]
    assert passes(trainer, "1.batch_norm") == ["forward", "backward"]
    assert passes(trainer, "2.relu") == ["forward", "backward data"]
    assert passes(trainer, "4.sequential.layers.0.residual") == ["forward", "backward data"]
    assert [part for part in parts(trainer) if "." not in part.path] == [
        ("loss", "forward"), ("loss", "backward data"), ("optimizer", "update"),
    ]  # fmt: skip


def test_layers_stand_in_the_order_of_the_network(trainer: Trainer) -> None:
    paths = list(dict.fromkeys(part.path for part in parts(trainer)))
    assert paths[:-2] == [layer.path for layer in trainer.model.layers.walk()]


@pytest.mark.parametrize("first", ["batch_norm", {"residual": ["relu"]}, {"sequential": {"layers": ["relu"]}}])
def test_a_first_layer_is_heard_once(nested: dict[str, Any], first: Any) -> None:
    """It is only asked for its parameters' gradients, which most compute with all else."""
    trainer = Trainer(load(nested | {"model": [first, "flatten", {"dense": 6}]}), Device("cpu"))
    heard: list[tuple[str, str]] = []

    class Listening(HostClock):
        def begin(self, part: Any) -> None:
            heard.append(tuple(part))
            super().begin(part)

    with metered(trainer, Listening()):
        trainer.step(*next(trainer.batches.batches(0)), 0.1)
    assert len(heard) == len(set(heard))


def test_an_attempt_that_fails_leaves_nothing_open(nested: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory that does not suffice for the batch ends a part in its middle; the step goes on with fewer images."""
    forward = Dense.forward

    def limited(self: Dense, x: Any, *, train: Any = None) -> Any:
        if len(x) > 4:
            raise MemoryError(f"no room for {len(x)} images")
        return forward(self, x, train=train)

    monkeypatch.setattr(Dense, "forward", limited)
    trainer, clock = Trainer(load(nested | {"training": {"micro_batch": "auto"}}), Device("cpu")), HostClock()
    trainer.observer = Observer()
    with metered(trainer, clock):
        trainer.step(*next(trainer.batches.batches(0)), 0.1)
    assert trainer.gradients.part == 4
    assert clock._open == []
