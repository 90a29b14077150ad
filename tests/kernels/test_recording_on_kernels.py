"""What is registered, recorded on CuPy's stand-in: nothing in it needs the host, and replays compute the same bits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from checks.examples import examples, made
from cushim import cupy_stand_in

from gpucnn.backend import Array, Device, to_numpy
from gpucnn.constants import constant
from gpucnn.cuda.graph import Recorder, fetch, pinned
from gpucnn.errors import ShapeError
from gpucnn.layers.base import Builder, Layer, Parameter
from gpucnn.losses.base import Loss
from gpucnn.optimizers.base import Optimizer
from gpucnn.random import Step

IMAGE, FLAT = (3, 4, 4), (5,)


@pytest.fixture
def device(modules: Any, monkeypatch: pytest.MonkeyPatch) -> Device:
    """CuPy's stand-in, with the kernels' CPU build behind it."""
    cupy_stand_in.install(monkeypatch, lambda kernel, dtype: modules[dtype].get_function(kernel.name))
    return Device.named("cuda")


def assert_replayed(device: Device, work: Callable[[], list[Array]]) -> None:
    """Fail unless work, run and recorded and replayed twice, gives the same bits each time."""
    expected, found = [to_numpy(array) for array in work()], []
    replay = Recorder(device).record(lambda: found.extend(work()))
    for _ in range(2):
        replay()
        for array, wanted in zip(found, expected, strict=True):
            np.testing.assert_array_equal(array.get(), wanted)


LAYERS = [(name, i) for name in Layer.registry for i in range(len(examples(Layer.registry[name])))]


@pytest.mark.parametrize(("name", "number"), LAYERS)
def test_layers(device, name, number):
    """Forward and backward, with the step's number on the device."""
    cls = Layer.registry[name]
    layer, step = made(cls, examples(cls)[number]), Step(5, 0, now=device.asarray([3], np.int32))
    shape = next(shape for shape in (IMAGE, FLAT) if fits(layer, shape))
    layer.build(shape, Builder(1, np.float32, device, "layer"))
    rng = np.random.default_rng(0)
    x = device.asarray(rng.standard_normal((2, *shape)), np.float32)
    dy = device.asarray(rng.standard_normal((2, *layer.output_shape(shape))), np.float32)
    params = [p for one in layer.walk() for p in one.params.values()]

    def work() -> list[Array]:
        for parameter in params:
            parameter.grad = None
        y, saved = layer.forward(x, train=step)
        return [y, layer.backward(dy, saved), *(p.grad for p in params if p.grad is not None)]

    assert_replayed(device, work)


def fits(layer: Layer, shape: tuple[int, ...]) -> bool:
    """Return whether a layer takes images, or features, of this shape."""
    try:
        layer.output_shape(shape)
    except ShapeError:
        return False
    return True


@pytest.mark.parametrize("name", list(Loss.registry))
def test_losses(device, name):
    loss = Loss.registry[name](**({"class_weights": [1.0, 2.0, 3.0]} if name == "cross_entropy" else {}))
    scores = device.asarray(np.random.default_rng(0).standard_normal((4, 3)), np.float32)
    labels = device.asarray([0, 2, 1, 1], np.int64)

    def work() -> list[Array]:
        value, saved = loss.forward(scores, labels)
        return [value, loss.backward(saved)]

    assert_replayed(device, work)


@pytest.mark.parametrize("name", list(Optimizer.registry))
def test_optimizers(device, name):
    """Their numbers on the device, they give the bits that they give by lr and step."""
    rng = np.random.default_rng(0)
    start, grads = (rng.standard_normal((3, 5)).astype(np.float32) for _ in range(2))
    found = []
    for queued in (True, False):
        optimizer, params = Optimizer.registry[name](), {"w": Parameter(device.asarray(start.copy()))}
        params["w"].grad = device.asarray(grads)
        optimizer.build(params)
        numbers = device.asarray(np.array(optimizer.numbers(0.3, 4)), np.float32)
        told = {"numbers": numbers, "skip": device.xp.zeros(1, np.int32)} if queued else {}
        given = {"lr": 0.0, "step": 0} if queued else {"lr": 0.3, "step": 4}

        def work(optimizer: Any = optimizer, params: Any = params, given: Any = given, told: Any = told) -> None:
            optimizer.update(params, **given, **told)

        Recorder(device).record(work)()
        found.append([to_numpy(array) for array in (params["w"].value, *optimizer.state.values())])
    np.testing.assert_equal(found[0], found[1])
    assert (found[0][0] != start).all()


def test_constants_are_copied_beside_a_capture_and_kept(device):
    """Those of a graph are its own; others are remembered by their content."""
    like, numbers, found = device.xp.zeros(1), np.arange(3), []
    replay = Recorder(device).record(lambda: found.append(constant(numbers, like) + like.astype(int)))
    replay()
    assert found[0].get().tolist() == [0, 1, 2]
    assert constant(numbers, like) is constant(np.arange(3), like)


def test_what_needs_the_host_is_refused_and_ends_the_capture(device):
    x, recorder = device.xp.zeros(3), Recorder(device)
    for work in (lambda: float(x[0]), lambda: x.get(), lambda: device.asarray(np.ones(3)), lambda: x.tolist()):
        with pytest.raises(RuntimeError, match="operation not permitted when stream is capturing"):
            recorder.record(work)
    recorder.record(lambda: x.fill(1))()
    assert x.get().tolist() == [1, 1, 1]
    assert recorder.stream.graph is None


def test_copies_arrive_when_they_are_awaited(device):
    """Until then nobody knows what is in pinned memory."""
    recorder, host = Recorder(device), pinned(device.xp.cuda, (2,), np.int32)
    fetch(device.asarray([5, 6], np.int32), host, recorder.stream)
    assert host.tolist() == [-1, -1]
    recorder.stream.synchronize()
    assert host.tolist() == [5, 6]
