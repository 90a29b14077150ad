"""A model: shapes before anything runs, names, seeds, saving and loading, and a gradient through all of it."""

from __future__ import annotations

import numpy as np
import pytest
from checks.gradient import assert_gradient, spread
from cushim import cupy_stand_in

from gpucnn.backend import Device
from gpucnn.errors import ArgumentError, CheckpointError, DeviceError, ShapeError
from gpucnn.halves import named
from gpucnn.layers.base import Layer
from gpucnn.model import Model, infer
from gpucnn.random import Step

LENET = [  # without relu and max_pool2d, whose bends a gradient check would meet somewhere inside
    {"conv2d": {"out_channels": 4, "kernel_size": 3, "padding": "same", "bias": False}},
    "batch_norm",
    "tanh",
    {"avg_pool2d": 2},
    {"residual": {"layers": [{"conv2d": {"out_channels": 4, "padding": 1}}, "silu"]}},
    {"dropout": 0.2},
    "flatten",
    {"dense": 3},
]
STEP = Step(seed=2, index=1)


def layers(configs: list) -> list[Layer]:
    return [Layer.registry.validate(config).build() for config in configs]


def lenet(**arguments) -> Model:
    return Model(layers(LENET), (6, 6, 2), **arguments)


def test_shapes_are_inferred_without_building():
    assert infer(layers(LENET), (6, 6, 2)) == (3,)
    model = lenet()
    assert (model.input_shape, model.output_shape) == ((6, 6, 2), (3,))


def test_a_shape_that_does_not_fit_says_where_and_what():
    configs = ["relu", {"residual": {"layers": ["relu", {"conv2d": {"out_channels": 2, "kernel_size": 9}}]}}]
    for call in (infer, Model):
        with pytest.raises(ShapeError, match=r"9x9.*6x6") as caught:
            call(layers(configs), (6, 6, 2))
        assert caught.value.location == (1, "residual", "layers", 1, "conv2d")


def test_where_inside_of_every_kind_of_container():
    bad = {"conv2d": {"out_channels": 2, "kernel_size": 9}}
    for config, location in [
        ({"residual": {"layers": ["relu"], "shortcut": ["relu", bad]}}, ("residual", "shortcut", 1)),
        ({"concat": {"branches": [["relu"], ["relu", bad]]}}, ("concat", "branches", 1, 1)),
        ({"sequential": {"layers": ["relu", bad], "repeat": 2}}, ("sequential", "layers", 1)),
    ]:
        with pytest.raises(ShapeError) as caught:
            infer(layers([config]), (6, 6, 2))
        assert caught.value.location == (0, *location, "conv2d")


def test_parameters_and_state_are_named_by_where_they_stand():
    model = lenet()
    assert list(model.params) == [
        "0.conv2d.w",
        "1.batch_norm.gamma",
        "1.batch_norm.beta",
        "4.residual.layers.0.conv2d.w",
        "4.residual.layers.0.conv2d.b",
        "7.dense.w",
        "7.dense.b",
    ]
    assert list(model.state) == ["1.batch_norm.mean", "1.batch_norm.var"]


def test_weights_are_the_seeds():
    first, same, other = lenet(seed=1), lenet(seed=1), lenet(seed=2)
    for path, p in first.params.items():
        np.testing.assert_array_equal(same.params[path].value, p.value)
    assert not np.array_equal(other.params["0.conv2d.w"].value, first.params["0.conv2d.w"].value)


def test_float64_and_float32_start_from_the_same_weights():
    single, double = lenet(), lenet(dtype=np.float64)
    assert (single.dtype, double.dtype) == (np.float32, np.float64)
    for path, p in double.params.items():
        np.testing.assert_array_equal(single.params[path].value, p.value.astype(np.float32))


def test_the_gradient_of_a_whole_network(rng):
    model = lenet(dtype=np.float64)
    x, dy = spread((3, 6, 6, 2), rng), rng.standard_normal((3, 3))
    _, saved = model.forward(x, train=STEP)
    model.backward(dy, saved)
    for path, p in model.params.items():
        assert_gradient(path, lambda: float((model.forward(x, train=STEP)[0] * dy).sum()), p.value, p.grad, rng)


def test_gradients_add_up_until_they_are_cleared(rng):
    model = lenet()
    x, dy = rng.standard_normal((2, 6, 6, 2)).astype(np.float32), np.ones((2, 3), np.float32)
    for times in (1, 2):
        _, saved = model.forward(x, train=STEP)
        model.backward(dy, saved)
        bias = model.params["7.dense.b"].grad
        assert bias.tolist() == [2.0 * times] * 3
    model.zero_grad()
    assert all(p.grad is None or not p.grad.any() for p in model.params.values())


def test_evaluating_drops_nothing_and_depends_on_no_step(rng):
    model = lenet()
    x = rng.standard_normal((2, 6, 6, 2)).astype(np.float32)
    first, again = model.forward(x)[0], model.forward(x)[0]
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(model.forward(x, train=STEP)[0], first)


def test_what_is_saved_is_loaded(rng):
    model, other = lenet(seed=1), lenet(seed=2)
    x = rng.standard_normal((4, 6, 6, 2)).astype(np.float32)
    model.forward(x, train=STEP)  # the running statistics are part of it
    arrays = model.arrays()
    assert set(arrays) == {*model.params, *model.state}
    other.load(arrays)
    np.testing.assert_array_equal(other.forward(x)[0], model.forward(x)[0])
    arrays["7.dense.w"][...] = 0  # a copy: neither model sees it
    np.testing.assert_array_equal(other.forward(x)[0], model.forward(x)[0])
    assert model.params["7.dense.w"].value.any()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda a: a.pop("7.dense.w"), ["7.dense.w", "missing"]),
        (lambda a: a.update({"9.dense.w": np.zeros(3)}), ["9.dense.w"]),
        (lambda a: a.update({"7.dense.w": np.zeros((3, 7))}), ["7.dense.w", "(3, 7)", "(3, 36)"]),
    ],
)
def test_arrays_of_another_network_are_refused_and_change_nothing(change, words):
    model = lenet()
    before, arrays = model.arrays(), lenet(seed=9).arrays()
    change(arrays)
    with pytest.raises(CheckpointError) as caught:
        model.load(arrays)
    for word in words:
        assert word in str(caught.value)
    for path, array in model.arrays().items():
        np.testing.assert_array_equal(array, before[path])


def test_rows_tell_every_layer():
    rows = lenet().rows()
    assert [row.name for row in rows if row.params] == ["conv2d", "batch_norm", "conv2d", "dense"]
    assert sum(row.params for row in rows) == 4 * 9 * 2 + 8 + 4 * 9 * 4 + 4 + 3 * 36 + 3


@pytest.mark.torch
def test_a_whole_network_is_pytorchs(torch, rng):
    """Forward and every gradient of a small residual network, without dropout, through PyTorch's own modules."""
    block = [{"conv2d": {"out_channels": 8, "stride": 2, "padding": 1, "bias": False}}, "batch_norm", "relu"]
    configs = [
        {"conv2d": {"out_channels": 6, "kernel_size": 3, "padding": 1}},
        "relu",
        {"residual": {"layers": block, "shortcut": [{"conv2d": {"out_channels": 8, "kernel_size": 1, "stride": 2}}]}},
        {"max_pool2d": {"kernel_size": 3, "stride": 2, "padding": 1}},
        "global_avg_pool2d",
        {"dense": 5},
    ]
    model = Model(layers(configs), (9, 7, 3), dtype=np.float64)
    weights = {path: torch.tensor(array) for path, array in model.arrays().items()}
    weights = {k: (w.permute(0, 3, 1, 2) if w.ndim == 4 else w).contiguous() for k, w in weights.items()}
    tensors = {path: weights[path].requires_grad_() for path in model.params}
    at = [path.rpartition(".")[0] for path in model.params]
    first, inner, norm, shortcut, dense = dict.fromkeys(at)
    F = torch.nn.functional

    x, dy = rng.standard_normal((4, 9, 7, 3)), rng.standard_normal((4, 5))
    t = F.conv2d(torch.tensor(x).permute(0, 3, 1, 2), tensors[f"{first}.w"], tensors[f"{first}.b"], padding=1).relu()
    left = F.conv2d(t, tensors[f"{inner}.w"], stride=2, padding=1)
    left = F.batch_norm(left, None, None, tensors[f"{norm}.gamma"], tensors[f"{norm}.beta"], training=True).relu()
    t = left + F.conv2d(t, tensors[f"{shortcut}.w"], tensors[f"{shortcut}.b"], stride=2)
    t = F.max_pool2d(t, 3, 2, 1).mean(dim=(2, 3))
    t = F.linear(t, tensors[f"{dense}.w"], tensors[f"{dense}.b"])
    t.backward(torch.tensor(dy))

    y, saved = model.forward(x, train=STEP)
    model.backward(dy, saved)
    np.testing.assert_allclose(y, t.detach().numpy(), rtol=1e-11, atol=1e-12)
    for path, p in model.params.items():
        grad = tensors[path].grad
        grad = (grad.permute(0, 2, 3, 1) if grad.ndim == 4 else grad).numpy()
        np.testing.assert_allclose(p.grad, grad, rtol=1e-9, atol=1e-10, err_msg=path)


def test_images_in_float32_are_rounded_for_a_network_of_halves_and_no_others(rng):
    model = Model([Layer.registry["flatten"](), Layer.registry["dense"](2)], (2, 2, 1), dtype=np.float16)
    x = rng.standard_normal((3, 2, 2, 1)).astype(np.float32)
    scores = model.forward(x)[0]
    assert scores.dtype == np.float32
    np.testing.assert_array_equal(scores, model.forward(x.astype(np.float16))[0])
    with pytest.raises(ArgumentError, match=r"dtypes differ \(x float64, w float16\)"):
        model.forward(x.astype(np.float64))


def test_bfloat16_on_an_old_cupy_is_refused(monkeypatch):
    def layers():
        return [Layer.registry["flatten"](), Layer.registry["dense"](2)]

    cupy = cupy_stand_in.install(monkeypatch)
    device = Device.named("cuda")
    Model(layers(), (2, 2, 1), dtype=named("bfloat16"), device=device)
    monkeypatch.setattr(type(cupy), "__version__", "13.6.0")
    Model(layers(), (2, 2, 1), dtype=np.float16, device=device)
    with pytest.raises(DeviceError, match=r"cuda:0: CuPy 13.6.0 has no bfloat16, CuPy 14 has: install that, set prec"):
        Model(layers(), (2, 2, 1), dtype=named("bfloat16"), device=device)
