"""Floating-point operations and bytes of a step's parts, counted by hand from the shapes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gpucnn.backend import Device
from gpucnn.config import load
from gpucnn.config.implementations import computing
from gpucnn.ops.batch_norm import Saved
from gpucnn.profiling.seams import Part
from gpucnn.profiling.work import Work, observed
from gpucnn.training.trainer import Trainer

N = 16
FLOAT = 4
X, Y = N * 8 * 8 * 1 * FLOAT, N * 8 * 8 * 4 * FLOAT  # images, and the maps of the first convolution
POOLED = N * 4 * 4 * 4 * FLOAT
W, B = 4 * 3 * 3 * 1 * FLOAT, 4 * FLOAT
ROW, HALF = N * 4 * 4 * 10 * FLOAT, N * 4 * 4 * 2 * FLOAT  # concat's 4 + 4 + 2 channels; its last branch

SAVED = {"deviation": Y, "x": Y, "mean": B, "inverse": B, "gamma": B}  # what batch_norm saves, and may save
KEPT = sum(SAVED[name] for name in Saved._fields)
NEW = sum(SAVED[name] for name in Saved._fields if name not in ("x", "gamma"))  # those are its operands

BYTES = {
    ("0.conv2d", "forward"): X + W + B + Y,
    ("0.conv2d", "backward weight"): Y + X + W + B,
    ("1.batch_norm", "forward"): Y + 2 * B + Y + NEW,  # x, gamma, beta; y, and what is saved
    ("1.batch_norm", "backward"): Y + KEPT + Y + 2 * B,  # dy, what was saved; dx, dgamma, dbeta
    ("2.relu", "forward"): 2 * POOLED,  # computed after the pooling
    ("2.relu", "backward data"): 3 * POOLED,
    ("3.max_pool2d", "forward"): Y + POOLED + POOLED // FLOAT,  # and a byte for where each maximum stood
    ("3.max_pool2d", "backward data"): POOLED + POOLED // FLOAT + Y,
    ("4.sequential", "forward"): 0,
    ("4.sequential", "backward data"): 0,
    ("4.sequential.layers.0.residual", "forward"): 3 * POOLED,
    ("4.sequential.layers.0.residual", "backward data"): 3 * POOLED,
    ("4.sequential.layers.0.residual.layers.0.tanh", "forward"): 2 * POOLED,
    ("4.sequential.layers.0.residual.layers.0.tanh", "backward data"): 3 * POOLED,
    ("5.concat", "forward"): 2 * ROW,
    ("5.concat", "backward data"): 4 * POOLED,
    ("5.concat.branches.1.0.relu", "forward"): 2 * POOLED,
    ("5.concat.branches.1.0.relu", "backward data"): 3 * POOLED,
    ("5.concat.branches.2.0.conv2d", "forward"): POOLED + 8 * FLOAT + 2 * FLOAT + HALF,
    ("5.concat.branches.2.0.conv2d", "backward data"): HALF + 8 * FLOAT + POOLED,
    ("5.concat.branches.2.0.conv2d", "backward weight"): HALF + POOLED + 10 * FLOAT,
    ("6.flatten", "forward"): 0,
    ("6.flatten", "backward data"): 0,
    ("7.dropout", "forward"): 2 * ROW + ROW // 4,  # x; y and a byte an element
    ("7.dropout", "backward data"): 2 * ROW + ROW // 4,
    ("8.dense", "forward"): ROW + (160 * 6 + 6) * FLOAT + N * 6 * FLOAT,
    ("8.dense", "backward data"): N * 6 * FLOAT + 160 * 6 * FLOAT + ROW,
    ("8.dense", "backward weight"): N * 6 * FLOAT + ROW + (160 * 6 + 6) * FLOAT,
    ("optimizer", "update"): (36 + 4 + 8 + 10 + 960 + 6) * FLOAT * 5,  # gradients; weights and velocities, in and out
}

FLOPS = {
    "0.conv2d": N * 2 * 8 * 8 * 4 * 9,
    "1.batch_norm": N * 8 * 8 * 4,
    "2.relu": N * 4 * 4 * 4,
    "3.max_pool2d": N * 4 * 4 * 4 * 4,
    "4.sequential": 0,
    "4.sequential.layers.0.residual": N * 4 * 4 * 4,
    "5.concat": 0,
    "5.concat.branches.2.0.conv2d": N * 2 * 4 * 4 * 2 * 4,
    "6.flatten": 0,
    "8.dense": N * 2 * 160 * 6,
}


def step(trainer: Trainer) -> dict[Part, Work]:
    x, labels = next(trainer.batches.batches(0))
    with computing(trainer.experiment), observed(trainer) as work:
        trainer.step(x, labels, 0.1)
    return work


def test_each_operand_is_read_once_and_each_result_written_once(trainer: Trainer) -> None:
    found = {tuple(part): work.bytes for part, work in step(trainer).items() if part.path != "loss"}
    assert found == BYTES


def test_a_loss_reads_scores_and_labels(trainer: Trainer) -> None:
    work = step(trainer)
    scores, labels = N * 6 * FLOAT, N * 8
    assert work[Part("loss", "forward")].bytes == scores + labels + FLOAT + scores + FLOAT  # loss, logs, total
    assert work[Part("loss", "backward data")].bytes == labels + scores + FLOAT + scores
    assert work[Part("loss", "forward")].flops is None


def test_a_pass_backwards_counts_as_many_operations_as_the_one_forwards(trainer: Trainer) -> None:
    work = step(trainer)
    for path, flops in FLOPS.items():
        counted = {part.what: done.flops for part, done in work.items() if part.path == path}
        assert len(counted) >= 2
        assert set(counted.values()) == {flops}, path


def test_float64_is_twice_as_large(nested: dict[str, Any]) -> None:
    work = step(Trainer(load(nested | {"precision": "float64"}), Device("cpu")))
    assert work[Part("0.conv2d", "forward")].bytes == 2 * BYTES["0.conv2d", "forward"]


def test_parts_of_a_batch_add_up_to_its_operations(nested: dict[str, Any]) -> None:
    """Their images are all counted, and their weights are read once for each."""
    work = step(Trainer(load(nested | {"training": {"micro_batch": 5}}), Device("cpu")))
    assert work[Part("0.conv2d", "forward")].flops == FLOPS["0.conv2d"]
    assert work[Part("0.conv2d", "backward weight")].flops == FLOPS["0.conv2d"]
    assert work[Part("0.conv2d", "forward")].bytes == BYTES["0.conv2d", "forward"] + 3 * (W + B)


def test_what_computed_a_part_is_noted_with_it(trainer: Trainer) -> None:
    work = step(trainer)

    def operations(*part: str) -> list[str]:
        return [decision.operation for decision in work[Part(*part)].decisions]

    inner = "5.concat.branches.2.0.conv2d"
    assert operations(inner, "forward") == ["conv2d"]
    assert operations(inner, "backward data") == ["conv2d_backward_data"]
    assert operations(inner, "backward weight")[0] == "conv2d_backward_weight"
    assert operations("4.sequential.layers.0.residual", "forward") == ["add"]
    assert set(operations("optimizer", "update")) == {"sgd_update"}
    assert operations("6.flatten", "forward") == []
    assert {decision.implementation for done in work.values() for decision in done.decisions} == {"reference"}


def test_the_algorithm_of_a_convolution_is_named(nested: dict[str, Any]) -> None:
    layers = [
        {"conv2d": {"out_channels": 16, "kernel_size": 1}},
        {"conv2d": {"out_channels": 16, "padding": "same", "groups": 16}},
        {"conv2d": {"out_channels": 16, "padding": "same"}},
        "flatten",
        {"dense": 6},
    ]
    work = step(Trainer(load(nested | {"model": layers, "impl": "auto"}), Device("cpu")))
    named = {part.path: set(done.kernels) for part, done in work.items() if part.path.endswith("conv2d")}
    assert len(named["0.conv2d"]) == len(named["2.conv2d"]) == 1
    assert named["1.conv2d"] == {"depthwise"}
    assert named["0.conv2d"] != named["2.conv2d"]
    exact = step(Trainer(load(nested | {"model": layers, "impl": "auto", "numerics": "exact"}), Device("cpu")))
    assert exact[Part("2.conv2d", "forward")].kernels != work[Part("2.conv2d", "forward")].kernels


@pytest.mark.parametrize("impl", ["auto", "reference"])
def test_nothing_is_left_behind(nested: dict[str, Any], impl: str) -> None:
    """Not on the layers, and not in the weights: they are those of a step that was not looked at."""
    watched, other = (Trainer(load(nested | {"impl": impl}), Device("cpu")) for _ in range(2))
    before = [set(vars(layer)) for layer in watched.model.layers.walk()]
    step(watched)
    assert [set(vars(layer)) for layer in watched.model.layers.walk()] == before
    assert "update" not in vars(watched.optimizer)
    assert "forward" not in vars(watched.loss)
    with computing(other.experiment):
        other.step(*next(other.batches.batches(0)), 0.1)
    for name, value in other.model.arrays().items():
        np.testing.assert_array_equal(watched.model.arrays()[name], value)
