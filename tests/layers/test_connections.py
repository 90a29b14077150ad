"""conv2d with connections: against a convolution for each link, and in what it holds, counts, draws and refuses."""

from __future__ import annotations

import numpy as np
import pytest
from checks.examples import STEP, built, made
from cushim import cupy_stand_in
from oracles import connections as oracle

from gpucnn.backend import Device
from gpucnn.config import load
from gpucnn.dispatch import using
from gpucnn.errors import ArgumentError, ConfigError, ShapeError
from gpucnn.layers.base import Builder
from gpucnn.layers.connections import Connections
from gpucnn.layers.conv2d import Conv2d
from gpucnn.layers.scale import Scale
from gpucnn.model import Model
from gpucnn.optimizers.adagrad import Adagrad

PAPER = """
    X . . . X X X . . X X X X . X X
    X X . . . X X X . . X X X X . X
    X X X . . . X X X . . X . X X X
    . X X X . . X X X X . . X . X X
    . . X X X . . X X X X . X X . X
    . . . X X X . . X X X X . X X X
"""
"""Table I of the paper: a row for each map of S2, a column for each of C3."""

TABLE = [[2], [0, 1], [3, 1, 0], [2]]
WINDOW = {"stride": (1, 2), "padding": ((1, 0), (2, 1)), "dilation": (2, 1)}


def c3(**arguments):
    return Conv2d(out_channels=16, kernel_size=5, connections="lecun", **arguments)


def test_lecuns_table_is_the_papers():
    links = np.array([line.split() for line in PAPER.split("\n") if line.strip()]) == "X"
    assert links.shape == (6, 16)
    expected = [[c for c in range(6) if links[c, k]] for k in range(16)]
    assert sorted(map(sorted, Connections("lecun", 16).rows)) == sorted(expected)
    assert Connections("lecun", 16).rows == expected


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_each_link_is_a_convolution(rng, dtype):
    layer = built(Conv2d(4, (3, 2), connections=TABLE, **WINDOW), shape=(6, 5, 4), dtype=dtype).layer
    w, b = layer.params["w"], layer.params["b"]
    b.value += rng.standard_normal(4).astype(dtype)
    x = rng.standard_normal((2, 6, 5, 4)).astype(dtype)
    y, saved = layer.forward(x, train=STEP)
    dy = rng.standard_normal(y.shape).astype(dtype)
    dx = layer.backward(dy, saved)
    expected_dx, expected_dw = oracle.backward(x, w.value, dy, TABLE, **WINDOW)
    tolerance = 100 * np.finfo(dtype).eps  # sums of at most 40 products of numbers of size 1 to 3
    np.testing.assert_allclose(y, oracle.forward(x, w.value, b.value, TABLE, **WINDOW), rtol=0, atol=tolerance)
    np.testing.assert_allclose(dx, expected_dx, rtol=0, atol=tolerance)
    np.testing.assert_allclose(w.grad, expected_dw, rtol=0, atol=tolerance)
    np.testing.assert_allclose(b.grad, dy.sum(axis=(0, 1, 2)), rtol=0, atol=tolerance)


def test_only_links_have_weights_and_are_counted():
    model = Model([c3()], (14, 14, 6))
    (row,) = model.rows()
    assert model.params["0.conv2d.w"].value.shape == (60, 5, 5)
    assert row.params == 60 * 25 + 16 == 1516
    assert row.flops == 2 * 10 * 10 * 60 * 25
    assert {name: array.shape for name, array in model.arrays().items()} == {
        "0.conv2d.w": (60, 5, 5),
        "0.conv2d.b": (16,),
    }


def test_a_table_of_all_links_is_a_plain_convolution(rng):
    plain, full = Conv2d(3, 3), Conv2d(3, 3, connections=[[0, 1], [0, 1], [0, 1]])
    built(plain, shape=(5, 5, 2)), built(full, shape=(5, 5, 2))
    full.params["w"].value[...] = plain.params["w"].value.transpose(0, 3, 1, 2).reshape(6, 3, 3)
    x = rng.standard_normal((2, 5, 5, 2))
    np.testing.assert_array_equal(full.forward(x)[0], plain.forward(x)[0])


def test_weights_are_drawn_by_the_inputs_of_their_own_output():
    """he_normal: variance 2 / fan_in, where the fan-in of output 0 is 1 * 40 * 40 and that of output 1 is 4 times it.

    Five standard errors of a variance of n normal numbers, v sqrt(2 / n).
    """
    layer = Conv2d(2, 40, connections=[[0], [0, 1, 2, 3]], init="he_normal")
    layer.build((40, 40, 4), Builder(0, np.float64, Device("cpu"), "layer"))
    w = layer.params["w"].value
    for part, fan_in in [(w[:1], 1600), (w[1:], 6400)]:
        assert part.var() == pytest.approx(2 / fan_in, rel=5 * (2 / part.size) ** 0.5)


def test_fans_count_links():
    fan_in, fan_out = Connections([[0, 2], [2], [1, 0, 2]], 3).fans()
    assert fan_in.ravel().tolist() == [2, 2, 1, 3, 3, 3]
    assert fan_out.ravel().tolist() == [2, 3, 3, 1, 2, 3]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"out_channels": 6, "connections": "lecun"}, ["16 rows", "out_channels is 6"]),
        ({"out_channels": 2, "connections": [[0]]}, ["1 row, ", "out_channels is 2", "each output"]),
        ({"out_channels": 2, "connections": []}, ["0 rows"]),
        ({"out_channels": 2, "connections": [[0], []]}, ["row 1 is empty"]),
        ({"out_channels": 2, "connections": [[0], [1, 0, 0]]}, ["row 1", "channel 0 twice"]),
        ({"out_channels": 1, "connections": [[-1]]}, ["connections[0][0]", "at least 0"]),
        ({"out_channels": 1, "connections": "lenet"}, ["connections", "'lecun'", "lenet"]),
        ({"out_channels": 2, "groups": 2, "connections": [[0], [1]]}, ["connections", "groups (=2)"]),
    ],
)
def test_what_is_no_table_is_refused(arguments, words):
    with pytest.raises(ArgumentError) as caught:
        Conv2d(**arguments)
    assert all(word in str(caught.value) for word in words), caught.value


@pytest.mark.parametrize(
    ("connections", "channels", "message"),
    [
        ("lecun", 5, "lecun is a table for 6 input channels, but 5 come in"),
        ("lecun", 7, "lecun is a table for 6 input channels, but 7 come in"),
        ([[0]] * 15 + [[1, 3]], 3, "row 15 has channel 3, but 3 come in: 0 to 2"),
    ],
)
def test_a_table_for_other_images_is_refused(connections, channels, message):
    layer = made(Conv2d, {"out_channels": 16, "kernel_size": 3, "connections": connections})
    with pytest.raises(ShapeError, match=message):
        layer.output_shape((8, 8, channels))


def test_a_config_is_told_where(tmp_path):
    file = tmp_path / "wrong.yaml"
    file.write_text(
        "name: wrong\ndata: {dataset: digits}\nmodel:\n"
        "  - conv2d: {out_channels: 16, connections: lecun}\n  - flatten\n  - dense: 10\n"
    )
    with pytest.raises(ConfigError, match=r"wrong.yaml:4:\d+: model\[0\].conv2d: connections: lecun is a table for 6"):
        load(file)


def test_a_step_on_a_device_is_one_on_the_cpu(monkeypatch, rng):
    """By the references, on arrays that do not mix with NumPy's."""
    cupy_stand_in.install(monkeypatch)
    x, dy = rng.standard_normal((2, 6, 5, 4)), rng.standard_normal((2, 3, 4, 4))
    results = []
    for device in (Device("cpu"), Device("cuda")):
        layers = [Conv2d(4, (3, 2), connections=TABLE, **WINDOW), Scale()]
        model, optimizer = Model(layers, (6, 5, 4), dtype=np.float64, device=device), Adagrad(lr=0.1)
        optimizer.build(model.params)
        with using("reference"):
            _, saved = model.forward(device.asarray(x), train=STEP)
            model.backward(device.asarray(dy), saved)
            optimizer.update(model.params, lr=0.1, step=0)
        results.append(model.arrays())
    assert results[0].keys() == {"0.conv2d.w", "0.conv2d.b", "1.scale.gamma", "1.scale.beta"}
    for name, value in results[0].items():
        np.testing.assert_allclose(results[1][name], value, rtol=1e-12, atol=1e-12, err_msg=name)
