"""Every registered optimizer: against plain loops and PyTorch over 10 steps, and in what it leaves alone."""

from __future__ import annotations

import math

import numpy as np
import pytest
from checks.halves import HALVES

from gpucnn.cpu import update
from gpucnn.errors import ArgumentError
from gpucnn.layers.base import Parameter
from gpucnn.optimizers.base import Optimizer

VARIANTS = {
    "sgd": [
        {"weight_decay": 0.05},
        {"momentum": 0.9},
        {"momentum": 0.9, "weight_decay": 0.05},
        {"momentum": 0.9, "weight_decay": 0.05, "nesterov": True},
    ],
    "adam": [{"weight_decay": 0.05}, {"beta1": 0.5, "beta2": 0.9, "eps": 0.1}, {"beta1": 0.0, "beta2": 0.0}],
    "adamw": [{"weight_decay": 0.0}, {"beta1": 0.5, "beta2": 0.9, "eps": 0.1, "weight_decay": 0.3}],
    "adagrad": [{"weight_decay": 0.05}, {"eps": 0.1}],
}
CASES = [(name, arguments) for name in Optimizer.registry for arguments in [{}, *VARIANTS.get(name, [])]]
STEPS = 10

every_optimizer = pytest.mark.parametrize(("name", "arguments"), CASES, ids=str)


# --- oracles: one number's values after each step, in Python floats ---


def sgd(w, grads, rates, momentum=0.0, nesterov=False, weight_decay=0.0):
    v = 0.0
    for g, lr in zip(grads, rates, strict=True):
        g = g + weight_decay * w
        v = momentum * v + g
        w = w - lr * (g + momentum * v if nesterov else v)
    return w


def adam(w, grads, rates, beta1=0.9, beta2=0.999, eps=1e-8, weight_decay=0.0, decoupled=False):
    m = v = 0.0
    for t, (g, lr) in enumerate(zip(grads, rates, strict=True), start=1):
        if decoupled:
            w = w - lr * weight_decay * w
        else:
            g = g + weight_decay * w
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g * g
        w = w - lr * (m / (1 - beta1**t)) / (math.sqrt(v / (1 - beta2**t)) + eps)
    return w


def adamw(w, grads, rates, weight_decay=0.01, **arguments):
    return adam(w, grads, rates, weight_decay=weight_decay, decoupled=True, **arguments)


def adagrad(w, grads, rates, eps=1e-10, weight_decay=0.0):
    s = 0.0
    for g, lr in zip(grads, rates, strict=True):
        g = g + weight_decay * w
        s = s + g * g
        w = w - lr * g / (math.sqrt(s) + eps)
    return w


ORACLES = {"sgd": sgd, "adam": adam, "adamw": adamw, "adagrad": adagrad}


def make(name, arguments) -> Optimizer:
    if name not in ORACLES:
        pytest.fail(f"optimizer {name!r} is registered but not tested: add a plain-loop oracle of it to ORACLES")
    return Optimizer.registry[name](**arguments)


def problem(rng, dtype=np.float64, size=(3, 4)):
    """Return a weight and a bias, their gradients at each step, and the learning rates of a schedule."""
    params = {
        "0.dense.w": Parameter(rng.standard_normal(size).astype(dtype)),
        "0.dense.b": Parameter(rng.standard_normal(size[0]).astype(dtype), decay=False),
    }
    grads = [
        {path: rng.standard_normal(p.value.shape).astype(dtype) for path, p in params.items()} for _ in range(STEPS)
    ]
    return params, grads, [0.1 * (1 + step % 3) for step in range(STEPS)]


def run(optimizer, params, grads, rates, first=0):
    for step in range(first, first + len(grads)):
        for path, p in params.items():
            p.grad = grads[step - first][path]
        optimizer.update(params, lr=rates[step - first], step=step)


@every_optimizer
@pytest.mark.parametrize("decay_all", [False, True])
def test_ten_steps_are_the_oracles(name, arguments, decay_all, rng):
    params, grads, rates = problem(rng)
    first = {path: p.value.copy() for path, p in params.items()}
    optimizer = make(name, {**arguments, "decay_all": decay_all})
    optimizer.build(params)
    run(optimizer, params, grads, rates)
    for path, p in params.items():
        rule = arguments if p.decay or decay_all else {**arguments, "weight_decay": 0.0}
        for place in np.ndindex(p.value.shape):
            one = [float(g[path][place]) for g in grads]
            # 10 steps of about 10 roundings each, on numbers of size 1
            assert p.value[place] == pytest.approx(
                ORACLES[name](float(first[path][place]), one, rates, **rule), abs=1e-13
            )


@every_optimizer
@pytest.mark.parametrize("told", [False, True])
def test_biases_of_norms_may_have_a_rate_of_their_own(name, arguments, told, rng):
    """Whether lr and step are given, or the numbers that they make."""
    params, grads, rates = problem(rng)
    params["0.dense.b"].shifts_norm = True
    optimizer, expected = make(name, {**arguments, "norm_bias_lr": 64.0}), make(name, arguments)
    optimizer.build(params)
    expected.build(params)
    for step, rate in enumerate(rates):
        before = {path: p.value.copy() for path, p in params.items()}
        for path, p in params.items():
            p.grad = grads[step][path]
        row = np.array(optimizer.row(rate, step))
        assert len(row) == 2 * len(expected.row(rate, step))
        optimizer.update(params, **({"lr": 0.0, "step": 0, "numbers": row} if told else {"lr": rate, "step": step}))
        for path, factor in (("0.dense.w", 1.0), ("0.dense.b", 64.0)):
            found, params[path].value = params[path].value, before[path]
            expected.update({path: params[path]}, lr=factor * rate, step=step)
            np.testing.assert_array_equal(params[path].value, found)


@pytest.mark.torch
@every_optimizer
def test_ten_steps_are_pytorchs(name, arguments, rng):
    torch = pytest.importorskip("torch")
    names = {"sgd": "SGD", "adam": "Adam", "adamw": "AdamW", "adagrad": "Adagrad"}
    theirs = getattr(torch.optim, names.get(name, ""), None)
    if theirs is None:
        pytest.skip("PyTorch has no such optimizer")
    params, grads, rates = problem(rng)
    copies = {path: torch.nn.Parameter(torch.tensor(p.value)) for path, p in params.items()}
    groups = [{"params": [copies[path]], **({} if p.decay else {"weight_decay": 0.0})} for path, p in params.items()]
    keywords = dict(arguments)
    if "beta1" in keywords:
        keywords["betas"] = (keywords.pop("beta1"), keywords.pop("beta2"))
    their_optimizer = theirs(groups, lr=1.0, **keywords)
    for grad, lr in zip(grads, rates, strict=True):
        for group in their_optimizer.param_groups:
            group["lr"] = lr
        for path, copy in copies.items():
            copy.grad = torch.tensor(grad[path])
        their_optimizer.step()
    optimizer = make(name, arguments)
    optimizer.build(params)
    run(optimizer, params, grads, rates)
    for path, p in params.items():
        np.testing.assert_allclose(p.value, copies[path].detach().numpy(), rtol=1e-12, atol=1e-13)


@every_optimizer
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_updates_in_place_and_leaves_gradients(name, arguments, dtype, rng):
    params, grads, rates = problem(rng, dtype)
    arrays = {path: (p.value, p.value.copy()) for path, p in params.items()}
    kept = [{path: g.copy() for path, g in grad.items()} for grad in grads]
    for grad in grads:
        for g in grad.values():
            g.flags.writeable = False
    optimizer = make(name, arguments)
    optimizer.build(params)
    state = dict(optimizer.state)
    run(optimizer, params, grads, [np.float64(lr) for lr in rates])
    for path, p in params.items():
        array, before = arrays[path]
        assert p.value is array
        assert p.value.dtype == dtype
        assert not np.array_equal(p.value, before)
    assert all(optimizer.state[key] is array and array.dtype == dtype for key, array in state.items())
    assert state.keys() == {f"{slot}:{path}" for slot in optimizer.slots for path in params}
    np.testing.assert_equal(grads, kept)


@every_optimizer
@pytest.mark.parametrize("half", HALVES.values(), ids=HALVES)
def test_half_copies_are_the_weights_rounded(name, arguments, half, rng):
    """Of the parameters that have one; they stay as they are in a step that is skipped."""
    params, grads, rates = problem(rng, np.float32)
    weight = params["0.dense.w"]
    weight.half = np.zeros(weight.value.shape, half.dtype)
    optimizer = make(name, arguments)
    optimizer.build(params)
    run(optimizer, params, grads[:2], rates[:2])
    np.testing.assert_array_equal(weight.half, half.rounded(weight.value))
    weight.half[...] = 7
    optimizer.update(params, lr=rates[2], step=2, skip=np.array([1], np.int32))
    np.testing.assert_array_equal(weight.half, half.rounded(np.full(weight.value.shape, 7)))


@every_optimizer
def test_chunks_do_not_show(name, arguments, monkeypatch):
    """Arrays that span several chunks, and some that cannot be cut into chunks, get the same bits as whole ones."""
    results = []
    for chunk, layout in (10**9, "C"), (7, "C"), (7, "F"):
        monkeypatch.setattr(update, "CHUNK", chunk)
        params, grads, rates = problem(np.random.default_rng(5), np.float32, size=(5, 9))
        params["0.dense.w"].value = np.array(params["0.dense.w"].value, order=layout)
        optimizer = make(name, arguments)
        optimizer.build(params)
        run(optimizer, params, grads, rates)
        results.append({path: p.value for path, p in params.items()})
    np.testing.assert_equal(results[1], results[0])
    np.testing.assert_equal(results[2], results[0])


@every_optimizer
def test_goes_on_from_its_state(name, arguments, rng):
    """Values and state, copied after 4 steps into a new optimizer, end where an unbroken run ends, to the bit."""
    params, grads, rates = problem(rng)
    copies = {path: Parameter(p.value.copy(), p.decay) for path, p in params.items()}
    whole, first, second = (make(name, arguments) for _ in range(3))
    whole.build(params)
    run(whole, params, grads, rates)
    first.build(copies)
    run(first, copies, grads[:4], rates[:4])
    second.build(copies)
    for key, array in first.state.items():
        second.state[key][...] = array
    run(second, copies, grads[4:], rates[4:], first=4)
    for path, p in params.items():
        np.testing.assert_array_equal(copies[path].value, p.value)


@every_optimizer
def test_without_gradient_nothing_changes(name, arguments, rng):
    params, grads, rates = problem(rng)
    optimizer = make(name, arguments)
    optimizer.build(params)
    before = params["0.dense.b"].value.copy()
    params["0.dense.w"].grad = grads[0]["0.dense.w"]
    optimizer.update(params, lr=rates[0], step=0)
    np.testing.assert_array_equal(params["0.dense.b"].value, before)
    assert all(not array.any() for key, array in optimizer.state.items() if key.endswith("0.dense.b"))


@pytest.mark.parametrize("name", list(Optimizer.registry))
def test_finds_a_minimum(name):
    """The minimum of 1/2 (w - 3)^2 is at 3."""
    params = {"w": Parameter(np.zeros(4), decay=False)}
    optimizer = make(name, {})
    optimizer.build(params)
    for step in range(300):
        params["w"].grad = params["w"].value - 3
        optimizer.update(params, lr={"adagrad": 1.0}.get(name, 0.1), step=step)  # whose steps get ever smaller
    np.testing.assert_allclose(params["w"].value, 3, atol=1e-3)


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("sgd", {"nesterov": True}, r"nesterov \(=True\) needs momentum"),
        ("sgd", {"lr": 0.0}, "lr"),
        ("sgd", {"lr": math.inf}, "lr"),
        ("sgd", {"momentum": 1.0}, "momentum"),
        ("sgd", {"weight_decay": -1e-4}, "weight_decay"),
        ("adam", {"beta1": 1.0}, "beta1"),
        ("adam", {"beta2": -0.1}, "beta2"),
        ("adam", {"eps": 0.0}, "eps"),
        ("adamw", {"weight_decay": "0.1"}, "weight_decay"),
        ("adagrad", {"eps": 0.0}, "eps"),
    ],
)
def test_arguments_are_checked(name, arguments, message):
    with pytest.raises(ArgumentError, match=message):
        make(name, arguments)
