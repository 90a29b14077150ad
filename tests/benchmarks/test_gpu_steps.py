"""Training steps as the benchmark of a GPU measures them, on the CPU."""

from __future__ import annotations

import json
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from cushim import cupy_stand_in

from benchmarks.gpu import networks
from gpucnn.backend import Device
from gpucnn.config import load
from gpucnn.resources import find_config

pytestmark = [
    pytest.mark.torch,
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),  # a tensor becomes a NumPy array
    pytest.mark.usefixtures("on_the_cpu"),
]


def test_steps(monkeypatch):
    from benchmarks.gpu import steps

    monkeypatch.setitem(networks.CONFIGS, "LeNet", "digits")
    *_, known = steps.measure(Device("cuda", 0), part="steps", name="LeNet:float32", rounds=2, seconds=0.0)
    (row,) = known["networks"]
    assert row["seconds"].keys() == {"gpucnn", "PyTorch"}
    assert max(row["errors"].values()) < 1e-5
    assert "gpucnn graph" in row["failed"]  # nor graphs on a stand-in
    assert "PyTorch graph" in row["failed"]  # no streams on a CPU
    assert (row["batch_size"], row["floor"] > 0, row["images_per_second"].keys()) == (
        32,
        True,
        row["seconds"].keys(),
    )
    json.dumps(known, allow_nan=False)
    *_, known = steps.measure(Device("cuda", 0), part="jax", name="LeNet:float32", rounds=1, seconds=0.0, until=0.0)
    assert known["networks"][0]["left_out"] == ["JAX"]


def test_another_network_is_not_timed(monkeypatch):
    from benchmarks.gpu import contenders, steps, torch_contenders

    monkeypatch.setitem(networks.CONFIGS, "LeNet", "digits")
    monkeypatch.setitem(contenders.PARTS, "steps", ("gpucnn", "PyTorch"))
    scores = torch_contenders.TorchOnDevice.scores
    monkeypatch.setattr(torch_contenders.TorchOnDevice, "scores", lambda self: scores(self) + 1)
    *_, known = steps.measure(Device("cuda", 0), part="steps", name="LeNet:float32", rounds=1, seconds=0.0)
    assert known["networks"][0]["seconds"].keys() == {"gpucnn"}
    assert "other scores than this network's" in known["networks"][0]["failed"]["PyTorch"]


def test_a_step_is_captured_once_after_others(torch, monkeypatch):
    """With a fake graph, which notes what was computed while it was open."""
    from benchmarks.gpu import contenders, torch_contenders
    from benchmarks.peers.base import Batch

    events: list[str] = []
    noting = lambda name: contextmanager(lambda *_: iter([events.append(name)]))  # noqa: E731
    stream = SimpleNamespace(wait_stream=lambda other: None)
    fakes = {
        "Stream": lambda: stream,
        "current_stream": lambda: stream,
        "stream": noting("aside"),
        "graph": noting("capture"),
        "CUDAGraph": lambda: SimpleNamespace(replay=lambda: events.append("replay")),
    }
    for name, fake in fakes.items():
        monkeypatch.setattr(torch.cuda, name, fake)
    monkeypatch.setattr(torch_contenders.TorchOnDevice, "step", lambda self: events.append("step"))
    experiment = load(find_config("digits"), ["optimizer=adam"])
    batch = Batch.random(experiment)
    host = contenders.build_model(experiment, batch.x.shape[1:], Device("cpu"))
    graph = contenders.make("PyTorch graph", experiment, batch, host, Device("cpu"), steps=2)
    for _ in range(2):
        graph.step()
    assert events == ["aside", "step", "step", "step", "capture", "step", "step", "replay", "replay"]
    assert all(group["capturable"] for group in graph.optimizer.param_groups)


def test_our_graph_is_made_of_the_experiment_and_a_batch_on_the_device(cupy, monkeypatch):
    from benchmarks.gpu import contenders, modes
    from benchmarks.peers.base import Batch
    from benchmarks.processes import Failed

    experiment = load(find_config("digits"), ["precision=float64", "impl=reference", "data.batch_size=3"])
    batch = Batch.random(experiment)
    same = contenders.Ours(experiment, batch, Device("cuda", 0))
    same.step()

    class CapturedStep:
        wrong = 0.0

        def __init__(self, *given: Any) -> None:
            assert given[0] is experiment
            assert [type(array) for array in given[1:3]] == [cupy_stand_in.ndarray] * 2
            assert given[3:] == (Device("cuda", 0), 4)
            assert modes.numerics.current() == experiment.numerics

        def __call__(self) -> str:
            return "replayed"

        def losses(self) -> Any:
            return np.array([float(same.loss_value) + self.wrong])

    monkeypatch.setattr(contenders, "CapturedStep", CapturedStep)
    graph = contenders.OursAsGraph(experiment, batch, Device("cuda", 0), steps=4)
    assert (graph.step(), graph.steps, graph.scores().shape) == ("replayed", 4, (3, 10))
    CapturedStep.wrong = 0.1
    with pytest.raises(Failed, match="the graph's first loss is"):
        contenders.OursAsGraph(experiment, batch, Device("cuda", 0), steps=4).scores()
