"""Whole training steps, ours beside PyTorch's with cuDNN: same weights, same batch, same optimizer, in one process."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median
from typing import Any

import torch

from benchmarks.contest import check_scores
from benchmarks.gpu.ceilings import WHERE, use_tf32
from benchmarks.gpu.clock import Clock, Way
from benchmarks.peers.base import Batch
from benchmarks.peers.gpucnn import Gpucnn
from benchmarks.peers.torch_step import Torch
from gpucnn.backend import Array, Device, to_numpy
from gpucnn.config import Experiment, load
from gpucnn.resources import find_config
from gpucnn.training.parts import build_model

NETWORKS = {"mnist": "LeNet-like", "cifar10": "ResNet-20", "digits": "digits"}
OURS, STRICT, TF32 = "gpucnn", "PyTorch", "PyTorch TF32"


class GpucnnOnDevice(Gpucnn):
    """gpucnn's step on a device; `host`: its network with the same weights on the CPU."""

    def __init__(self, experiment: Experiment, batch: Batch, device: Device) -> None:
        super().__init__(experiment, batch)
        self.host = self.model
        self.model = build_model(experiment, batch.x.shape[1:], device)
        self.batch = Batch(device.asarray(batch.x), device.asarray(batch.labels))
        self.optimizer = experiment.optimizer.build()
        self.optimizer.build(self.model.params)

    def scores(self) -> Array:
        """Return the scores of the batch, on the host."""
        return to_numpy(super().scores())


class TorchOnDevice(Torch):
    """PyTorch's step on the GPU, channels_last. Moved there after it was made: tensors stay those of the optimizer."""

    def __init__(self, experiment: Experiment, batch: Batch, model: Any) -> None:
        super().__init__(experiment, batch, model, channels_last=True)
        self.module.to(WHERE)
        self.loss.to(WHERE)
        self.x, self.labels = self.x.to(WHERE), self.labels.to(WHERE)

    def scores(self) -> Array:
        """Return the scores of the batch, on the host."""
        self.module.eval()
        with torch.inference_mode():
            scores: Array = self.module(self.x).cpu().numpy()
        return scores


def measure(device: Device, *, rounds: int, seconds: float) -> Iterator[dict[str, Any]]:
    """Yield the networks that were measured, one more each time."""
    torch.backends.cudnn.benchmark = True
    rows: list[dict[str, Any]] = []
    for config, name in NETWORKS.items():
        try:
            rows.append({"network": name, **_network(config, device, rounds, seconds)})
        except Exception as error:
            rows.append({"network": name, "error": f"{type(error).__name__}: {error}"[:500]})
        yield {"networks": rows}


def _network(config: str, device: Device, rounds: int, seconds: float) -> dict[str, Any]:
    experiment = load(find_config(config))
    batch = Batch.random(experiment)
    use_tf32(torch, False)
    ours = GpucnnOnDevice(experiment, batch, device)
    theirs = TorchOnDevice(experiment, batch, ours.host)
    check_scores([ours, theirs])
    ways = {
        OURS: Way(lambda _: ours.step()),
        STRICT: Way(lambda _: theirs.step(), lambda: use_tf32(torch, False)),
        TF32: Way(lambda _: theirs.step(), lambda: use_tf32(torch, True)),
    }
    times = Clock(device).interleaved(ways, rounds=rounds, seconds=seconds)
    images = len(batch.x)
    return {
        "batch_size": images,
        "images_per_second": {who: images / median(found["called"]) for who, found in times.items()},
        "ratio": median(times[STRICT]["called"]) / median(times[OURS]["called"]),
        "seconds": times,
    }
