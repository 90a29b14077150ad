"""Every registered loss: against plain loops, against differences, against PyTorch, and at its edges."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpucnn.errors import ArgumentError, ShapeError
from gpucnn.losses.base import Loss

VARIANTS = {
    "cross_entropy": [{"label_smoothing": 0.1}, {"class_weights": [0.5, 2.0, 3.0]}],
    "mse": [{"reduction": "half_sum"}, {"low": -0.8, "high": 0.8}],
    "binary_cross_entropy": [],
}
VARIANTS["cross_entropy"].append(VARIANTS["cross_entropy"][0] | VARIANTS["cross_entropy"][1])
CASES = [(name, arguments) for name in Loss.registry for arguments in [{}, *VARIANTS.get(name, [])]]
CLASSES = 3

every_loss = pytest.mark.parametrize(("name", "arguments"), CASES, ids=str)
batches = st.builds(
    lambda images, seed, scale: (
        np.random.default_rng(seed).standard_normal((images, CLASSES)) * scale,
        np.random.default_rng(seed).integers(0, CLASSES, images),
    ),
    st.integers(1, 5), st.integers(0, 2**32 - 1), st.sampled_from([0.01, 1.0, 30.0]),
)  # fmt: skip


# --- oracles: plain loops over Python floats ---


def cross_entropy(scores, labels, label_smoothing=0.0, class_weights=(1.0,) * CLASSES):
    total = weight = 0.0
    for row, label in zip(scores, labels, strict=True):
        top = max(row)
        logarithm = top + math.log(sum(math.exp(x - top) for x in row))
        weight += class_weights[label]
        for k, x in enumerate(row):
            target = label_smoothing / len(row) + (1 - label_smoothing if k == label else 0)
            total += class_weights[k] * target * (logarithm - x)
    return total / weight


def mse(scores, labels, reduction="mean", low=0.0, high=1.0):
    squares = [
        (x - (high if k == label else low)) ** 2
        for row, label in zip(scores, labels, strict=True)
        for k, x in enumerate(row)
    ]
    return sum(squares) / len(squares) if reduction == "mean" else sum(squares) / 2 / len(scores)


def binary_cross_entropy(scores, labels):
    def softplus(z):
        return z + math.log1p(math.exp(-z)) if z > 0 else math.log1p(math.exp(z))

    parts = [softplus(-x if k == labels[n] else x) for n, row in enumerate(scores) for k, x in enumerate(row)]
    return sum(parts) / len(parts)


ORACLES = {"cross_entropy": cross_entropy, "mse": mse, "binary_cross_entropy": binary_cross_entropy}


def make(name, arguments) -> Loss:
    loss = Loss.registry[name](**arguments)
    if name not in ORACLES:
        pytest.fail(f"loss {name!r} is registered but not tested: add a plain-loop oracle of it to ORACLES")
    return loss


@every_loss
@given(batch=batches)
def test_value_is_the_oracles(name, arguments, batch):
    scores, labels = batch
    value, _ = make(name, arguments).forward(scores, labels)
    assert value.shape == ()
    # A few dozen operations, each within eps of terms no larger than the result's own size (all terms are positive;
    # the logarithms are differences of numbers up to max|score|, whose rounding is absolute).
    expected = ORACLES[name](scores.tolist(), labels.tolist(), **arguments)
    assert value == pytest.approx(expected, rel=1e-13, abs=1e-14 * (1 + abs(scores).max()))


@every_loss
@given(batch=batches)
def test_gradient_is_the_slope(name, arguments, batch):
    """Central differences with h = 1e-5 are wrong by about h^2 = 1e-10 and eps / h = 2e-11."""
    scores, labels = np.clip(batch[0], -3, 3), batch[1]
    loss = make(name, arguments)
    gradient = loss.backward(loss.forward(scores, labels)[1])
    assert gradient.shape == scores.shape
    direction = gradient / np.linalg.norm(gradient) + np.random.default_rng(1).standard_normal(scores.shape) / 9
    up, down = (loss.forward(scores + h * direction, labels)[0] for h in (1e-5, -1e-5))
    slope, expected = (up - down) / 2e-5, (gradient * direction).sum()
    assert abs(expected) > 1e-4, "a check of nothing: both sides are near zero"
    assert abs(slope - expected) / abs(expected) < 1e-6


@pytest.mark.torch
@every_loss
@given(batch=batches)
def test_is_pytorchs(name, arguments, batch):
    torch = pytest.importorskip("torch")
    functional = torch.nn.functional
    scores, labels = batch
    x, truth = torch.tensor(scores, requires_grad=True), torch.tensor(labels)
    one_hot = functional.one_hot(truth, CLASSES).to(x.dtype)
    if name == "cross_entropy":
        weights = arguments.get("class_weights")
        expected = functional.cross_entropy(
            x,
            truth,
            weight=None if weights is None else torch.tensor(weights, dtype=x.dtype),
            label_smoothing=arguments.get("label_smoothing", 0.0),
        )
    elif name == "mse":
        low, high = arguments.get("low", 0.0), arguments.get("high", 1.0)
        half_sum = arguments.get("reduction") == "half_sum"
        expected = functional.mse_loss(x, low + (high - low) * one_hot, reduction="sum" if half_sum else "mean")
        expected = expected / 2 / len(x) if half_sum else expected
    elif name == "binary_cross_entropy":
        expected = functional.binary_cross_entropy_with_logits(x, one_hot)
    else:
        pytest.skip("PyTorch has no such loss")
    expected.backward()
    loss = make(name, arguments)
    value, saved = loss.forward(scores, labels)
    size = 1 + abs(scores).max()
    assert value == pytest.approx(expected.item(), rel=1e-13, abs=1e-14 * size)
    np.testing.assert_allclose(loss.backward(saved), x.grad.numpy(), rtol=1e-12, atol=1e-14 * size)


@every_loss
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dtype_is_kept_and_inputs_are_not_changed(name, arguments, dtype, rng):
    scores, labels = rng.standard_normal((8, CLASSES)).astype(dtype)[::2], rng.integers(0, CLASSES, 8)[::2]
    before = scores.copy(), labels.copy()
    scores.flags.writeable = labels.flags.writeable = False
    loss = make(name, arguments)
    value, saved = loss.forward(scores, labels)
    kept = copy.deepcopy(saved)
    gradient, again = loss.backward(saved), loss.backward(saved)
    assert value.dtype == gradient.dtype == loss.probabilities(scores).dtype == dtype
    np.testing.assert_array_equal(gradient, again)
    np.testing.assert_equal(saved, kept)
    np.testing.assert_equal((scores, labels), before)
    single = make(name, arguments).forward(scores.astype(np.float32), labels.astype(np.uint8))[0]
    assert single == pytest.approx(float(value), rel=1e-5)


@pytest.mark.parametrize(("name", "arguments"), [c for c in CASES if "class_weights" not in c[1]], ids=str)
@pytest.mark.parametrize("scale", [1e3, 1e18, 3e38])
def test_scores_of_any_finite_size(name, arguments, scale):
    scores = np.array([[1, -1, 0], [-1, 1, 1], [0, 0, 0]], np.float32) * np.float32(scale)
    loss = make(name, arguments)
    value, saved = loss.forward(scores, np.array([1, 2, 0]))
    held = name != "mse" or scale < 1e19  # the square of what is more is no float32
    assert np.isfinite(value) if held else np.isposinf(value)
    assert np.isfinite(loss.backward(saved)).all()
    assert np.isfinite(loss.probabilities(scores)).all()


@every_loss
@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
def test_scores_that_are_not_finite_show_in_the_loss(name, arguments, value):
    loss, _ = make(name, arguments).forward(np.array([[value, 0.0, 1.0]]), np.array([0]))
    other, _ = make(name, arguments).forward(np.array([[value, 0.0, 1.0]]), np.array([1]))
    assert not (np.isfinite(loss) and np.isfinite(other))


@every_loss
@given(batch=batches)
def test_probabilities_are_a_distribution_that_follows_the_scores(name, arguments, batch):
    scores, _ = batch
    loss = make(name, arguments)
    shares = loss.probabilities(scores)
    assert shares.shape == scores.shape
    assert ((shares >= 0) & (shares <= 1)).all()
    np.testing.assert_allclose(shares.sum(axis=1), 1, rtol=1e-14)
    best = scores.argmax(axis=1)
    np.testing.assert_array_equal(shares[np.arange(len(best)), best], shares.max(axis=1))


@every_loss
@pytest.mark.parametrize(
    ("scores", "labels", "message"),
    [
        ((4, 3), [0, 1, 2, 3], r"labels\[3\] is 3: for 3 classes it must be 0 to 2"),
        ((4, 3), [0, -1, 2, 1], r"labels\[1\] is -1"),
        ((4, 3), [0, 1, 2], r"labels have shape \(3,\).*must be \(4,\)"),
        ((4, 3), [[0], [1], [2], [0]], r"labels have shape \(4, 1\)"),
        ((4, 3), [0.0, 1.0, 2.0, 0.0], "labels are float64: they must be integers"),
        ((4, 3), [True, False, True, False], "labels are bool"),
        ((2, 2, 3), [0, 1], r"scores have shape \(2, 2, 3\)"),
        ((3,), [0, 1, 2], r"scores have shape \(3,\)"),
        ((0, 3), [], r"scores have shape \(0, 3\)"),
    ],
)
def test_what_does_not_fit_is_refused(name, arguments, scores, labels, message):
    with pytest.raises(ArgumentError, match=message):
        make(name, arguments).forward(np.zeros(scores), np.array(labels))


@every_loss
def test_network_must_end_in_the_classes(name, arguments):
    loss = make(name, arguments)
    loss.check((CLASSES,), CLASSES)
    with pytest.raises(ShapeError, match="ends in 4x4x3, but the data has 3 classes"):
        loss.check((4, 4, 3), CLASSES)


def test_class_weights_must_be_one_for_each_class():
    loss = make("cross_entropy", {"class_weights": [1.0, 2.0]})
    with pytest.raises(ArgumentError, match="class_weights has 2 numbers, the data 3 classes"):
        loss.check((3,), 3)
    with pytest.raises(ArgumentError, match="class_weights has 2 numbers"):
        loss.forward(np.zeros((1, 3)), np.array([0]))


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("cross_entropy", {"label_smoothing": 1.0}, "label_smoothing"),
        ("cross_entropy", {"label_smoothing": -0.1}, "label_smoothing"),
        ("cross_entropy", {"class_weights": [1.0, 0.0]}, "class_weights"),
        ("cross_entropy", {"class_weights": [1.0, math.inf]}, "class_weights"),
        ("mse", {"reduction": "sum"}, "reduction"),
        ("mse", {"low": 0.5, "high": 0.5}, r"low \(=0.5\) must be below high \(=0.5\)"),
        ("mse", {"high": math.nan}, "high"),
    ],
)
def test_arguments_are_checked(name, arguments, message):
    with pytest.raises(ArgumentError, match=message):
        make(name, arguments)


def test_mse_by_hand():
    """Scores [0.5, -0.5], class 0, levels -0.8 and 0.8: differences -0.3 and 0.3."""
    loss = make("mse", {"reduction": "half_sum", "low": -0.8, "high": 0.8})
    value, saved = loss.forward(np.array([[0.5, -0.5]]), np.array([0]))
    assert value == pytest.approx(0.09)
    np.testing.assert_allclose(loss.backward(saved), [[-0.3, 0.3]])
    np.testing.assert_allclose(loss.probabilities(np.array([[0.8, 0.0], [-1.0, -0.9]])), [[2 / 3, 1 / 3], [0.5, 0.5]])


def test_weights_count_by_their_ratios_alone(rng):
    scores, labels = rng.standard_normal((6, 3)), rng.integers(0, 3, 6)
    small, large = (
        make("cross_entropy", {"class_weights": [1 * c, 2 * c, 5 * c]}).forward(scores, labels)[0]
        for c in (1e-60, 1e60)
    )
    assert small == pytest.approx(float(large), rel=1e-14)
