"""Parity: other implementations that compute the same agree, and those that do not are found and named."""

from __future__ import annotations

import json
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gpucnn import dispatch, ops
from gpucnn.backend import Device
from gpucnn.cli import main
from gpucnn.config import load
from gpucnn.errors import ArgumentError
from gpucnn.layers.conv2d import Conv2d
from gpucnn.layers.pool2d import MaxPool2d
from gpucnn.training import golden
from gpucnn.training.comparison import Parity
from gpucnn.training.parity import Side, parity
from gpucnn.training.rounding import FLOAT64, limit, relative_error, terms

GOLDEN = Path(__file__).parents[1] / "golden" / "digits.json"
CPU = Device("cpu")


def reference(name: str) -> Callable[..., Any]:
    """Return the reference of an operation, which asks no dispatcher."""
    function = getattr(ops, name)
    module = sys.modules[function.__module__]
    return (vars(module).get(f"_{name}") or function).__wrapped__


@pytest.fixture
def implement(monkeypatch: pytest.MonkeyPatch):
    """Return a function that makes another implementation of an operation for NumPy arrays, in a room of its own."""
    package = types.ModuleType("room")
    package.__path__ = []
    monkeypatch.setitem(sys.modules, "room", package)
    monkeypatch.setitem(dispatch.ROOMS, "numpy", "room")

    def implement(name: str, function: Callable[..., Any]) -> None:
        file = getattr(ops, name).__module__.rpartition(".")[2]
        module = sys.modules.get(f"room.{file}") or types.ModuleType(f"room.{file}")
        module.__spec__ = types.SimpleNamespace(name=f"room.{file}")
        setattr(module, name, function)
        monkeypatch.setitem(sys.modules, f"room.{file}", module)
        dispatch._find.cache_clear()

    yield implement
    dispatch._find.cache_clear()


def compared(config: dict[str, Any], *overrides: str, steps: int = 1, impl: Any = "auto") -> Parity:
    experiment = load(config, overrides)
    return parity(Side(experiment, CPU, impl), Side(experiment, CPU, "reference"), steps)


def test_the_same_computation_agrees_to_the_last_bit(small: dict[str, Any]) -> None:
    found = compared(small, steps=2, impl="reference")
    assert [row.label for row in found.rows] == [
        *("model[0].conv2d", "model[1].batch_norm", "model[2].relu", "model[3].max_pool2d", "model[4].flatten"),
        *("model[5].dropout", "model[6].dense", "loss", "optimizer"),
    ]
    assert [c.what for c in found.rows[1].compared] == [
        *("forward", "backward data", "gamma", "beta", "running mean", "running var"),
    ]
    assert {c.error for row in found.rows for c in row.compared} == {0.0}
    assert [losses.error for losses in found.losses] == [0, 0]
    assert found.problems() == []


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_other_roundings_agree(small: dict[str, Any], implement: Any, precision: str) -> None:
    """A sum taken in two halves is another one, and as good."""
    conv2d, dense = reference("conv2d_backward_weight"), reference("dense")

    def halves(x: Any, dy: Any, *rest: Any) -> Any:
        return conv2d(x[::2], dy[::2], *rest) + conv2d(x[1::2], dy[1::2], *rest)

    implement("conv2d_backward_weight", halves)
    implement("dense", lambda x, w, b: dense(x[:, ::2], w[:, ::2], b) + dense(x[:, 1::2], w[:, 1::2], None))
    found = compared(small, f"precision={precision}", steps=3)
    errors = {row.label: {c.what: c.error for c in row.compared} for row in found.rows}
    assert 0 < errors["model[0].conv2d"]["w"] < limit(precision, 1000)
    assert 0 < errors["model[6].dense"]["forward"] < limit(precision, 1000)
    assert found.problems() == []
    assert found.rows[0].rooms == "reference, room"


def first_tap_left_out(x: Any, w: Any, *rest: Any) -> Any:
    w = w.copy()
    w[:, 0, 0] = 0
    return reference("conv2d")(x, w, *rest)


def last_image_left_out(x: Any, dy: Any, *rest: Any) -> Any:
    return reference("conv2d_backward_weight")(x[:-1], dy[:-1], *rest)


def without_its_bias(x: Any, w: Any, b: Any, *rest: Any) -> Any:
    return reference("conv2d")(x, w, None, *rest)


def scaled(name: str, of: int | None = None) -> Callable[..., Any]:
    """Return an operation one result of which is a thousandth too large."""

    def wrong(*args: Any, **kwargs: Any) -> Any:
        result = reference(name)(*args, **kwargs)
        if of is None:
            return result * 1.001
        return tuple(array * 1.001 if i == of else array for i, array in enumerate(result))

    return wrong


def without_momentum(values: Any, grads: Any, velocities: Any, decayed: Any, **options: Any) -> None:
    reference("sgd_update")(values, grads, None, decayed, **options)


@pytest.mark.parametrize(
    ("name", "wrong", "found_at"),
    [
        ("conv2d", first_tap_left_out, "model[0].conv2d: forward"),
        ("conv2d", without_its_bias, "model[0].conv2d: forward"),
        ("conv2d_backward_data", scaled("conv2d_backward_data"), "model[0].conv2d: backward data"),
        ("conv2d_backward_weight", last_image_left_out, "model[0].conv2d: w"),
        ("batch_norm_train", scaled("batch_norm_train", 2), "model[1].batch_norm: running var"),
        ("batch_norm_backward", scaled("batch_norm_backward", 1), "model[1].batch_norm: gamma"),
        ("relu_backward", lambda dy, x, y: dy * (y >= 0), "model[2].relu: backward data"),
        ("max_pool2d_backward", scaled("max_pool2d_backward"), "model[3].max_pool2d: backward data"),
        ("dropout", lambda x, *_: (x, np.ones_like(x)), "model[5].dropout: forward"),
        ("dense_backward_data", lambda dy, w: dy @ w[:, ::-1], "model[6].dense: backward data"),
        ("cross_entropy_backward", scaled("cross_entropy_backward"), "loss: backward data"),
        ("sgd_update", without_momentum, "optimizer: 0.conv2d.w"),
    ],
)
def test_a_wrong_implementation_is_found_and_named(
    small: dict[str, Any], implement: Any, name: str, wrong: Any, found_at: str
) -> None:
    implement(name, wrong)
    problems = compared(small).problems()
    layers = [problem for problem in problems if not problem.startswith("the losses")]
    assert layers[0].startswith(f"{found_at} differs by "), layers
    assert all(problem.startswith(found_at.split(":")[0]) for problem in layers), "named where it is not"
    assert f"{name} by room" in layers[0]


def test_the_first_step_whose_losses_differ_is_told(small: dict[str, Any], implement: Any) -> None:
    """The first update still is the same: momentum acts from the second on, which the third loss shows."""
    implement("sgd_update", without_momentum)
    found = compared(small, "optimizer={sgd: {lr: 0.1, momentum: 0.9}}", steps=4)
    assert found.first_difference
    assert found.first_difference.step == 3
    assert any(problem.startswith("the losses differ from step 3 on: ") for problem in found.problems())


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_what_is_no_number_does_not_agree(small: dict[str, Any], implement: Any, wrong: float) -> None:
    conv2d = reference("conv2d_backward_data")
    implement("conv2d_backward_data", lambda *args: conv2d(*args) * wrong)
    found = compared(small)
    assert "model[0].conv2d: backward data differs by inf" in found.problems()[0]
    dumped = json.loads(json.dumps(found.dump(), allow_nan=False))
    assert dumped["layers"][0]["errors"]["backward data"]["error"] is None
    assert dumped["agree"] is False


def test_steps_go_on_in_the_next_epoch(small: dict[str, Any]) -> None:
    found = compared(small, steps=8)
    assert len(found.losses) == 8  # of 6 batches an epoch
    assert len({losses.ours for losses in found.losses}) == 8
    with pytest.raises(ArgumentError, match="steps"):
        compared(small, steps=0)


def test_differences_are_relative_to_the_largest_number() -> None:
    expected = np.array([1.0, -4.0])
    assert relative_error(expected + np.array([0.0, 0.2]), expected) == pytest.approx(0.05)
    assert relative_error(np.zeros(2), np.zeros(2)) == 0
    assert relative_error(np.zeros((0, 2)), np.zeros((0, 2))) == 0
    assert relative_error(np.ones(2), np.zeros(2)) == np.inf
    assert relative_error(np.zeros(3), np.zeros(2)) == np.inf
    assert relative_error(np.zeros(2, np.float32), np.zeros(2)) == np.inf
    # The gradient of a bias before a batch norm: noise, held against that of the weights.
    assert relative_error(np.array([2e-9]), np.array([1e-9]), scale=1.0) == pytest.approx(1e-7)


def test_what_rounding_explains_grows_with_the_sum_and_ends_where_mistakes_begin() -> None:
    assert limit(np.float32, 400) == 20 * limit(np.float32, 1) == pytest.approx(16 * 20 * 2.0**-23)
    assert limit(np.float32, 0) == limit(np.float32, 1)
    assert limit(np.float32, 4, times=3) == 3 * limit(np.float32, 4)
    assert limit(np.float64, 1) == limit(np.float64, 1e6) == FLOAT64 == 1e-10


def test_terms_are_those_of_the_sums(small: dict[str, Any]) -> None:
    conv, pool = Conv2d(8, 3, padding=1), MaxPool2d(2)
    conv.input_shape = pool.input_shape = (6, 6, 4)
    assert terms(conv, 5) == (9 * 4, 9 * 8, 5 * 6 * 6)
    assert terms(pool, 5)[0] == 4


def test_layers_inside_others_are_named_by_their_place(small: dict[str, Any], implement: Any) -> None:
    small["model"][2] = {"residual": ["relu", {"conv2d": {"out_channels": 4, "padding": "same"}}]}
    conv2d = reference("conv2d_backward_weight")
    implement("conv2d_backward_weight", lambda x, *rest: conv2d(x, *rest) * (1.01 if x.shape[3] == 4 else 1))
    problems = compared(small).problems()
    assert problems[0].startswith("model[2].residual.layers[1].conv2d: w differs by 0.01 of its largest number")


class TestGolden:
    def test_what_was_written_agrees_and_what_was_changed_does_not(self, small: dict[str, Any], tmp_path: Path) -> None:
        file, experiment = tmp_path / "golden.json", load(small)
        found = compared(small, steps=3)
        golden.write(file, experiment, found)
        assert golden.compare(file, experiment, found) == []
        assert golden.compare(file, experiment, compared(small, steps=2)) == []
        document = json.loads(file.read_bytes())
        del document["config"]["training"]["keep_every"]  # as a file of a version that had no such setting
        file.write_text(json.dumps(document))
        assert golden.compare(file, experiment, found) == []
        for place in (("losses", 1), ("layers", "0.conv2d", "w", "rms"), ("layers", "loss", "forward", "mean")):
            changed = json.loads(file.read_bytes())
            inner = changed
            for key in place[:-1]:
                inner = inner[key]
            inner[place[-1]] *= 1.02
            (tmp_path / "changed.json").write_text(json.dumps(changed))
            (problem,) = golden.compare(tmp_path / "changed.json", experiment, found)
            assert "in the file" in problem
        del document["layers"]["2.relu"]["forward"]
        file.write_text(json.dumps(document))
        assert golden.compare(file, experiment, found) == [f"{file}: model[2].relu: forward is not in the file"]

    def test_a_wrong_implementation_is_noticed(self, small: dict[str, Any], tmp_path: Path, implement: Any) -> None:
        file, experiment = tmp_path / "golden.json", load(small)
        golden.write(file, experiment, compared(small))
        implement("conv2d_backward_weight", last_image_left_out)
        problems = golden.compare(file, experiment, compared(small))
        assert all(": model[0].conv2d: " in problem and " of w is " in problem for problem in problems)
        assert len(problems) == 1

    def test_files_of_other_experiments_are_refused(self, small: dict[str, Any], tmp_path: Path) -> None:
        file, found = tmp_path / "golden.json", compared(small)
        golden.write(file, load(small), found)
        with pytest.raises(ArgumentError, match=r"other settings:\n  training.epochs: 4 in the file, 7 now\nwrite"):
            golden.compare(file, load(small, ["training.epochs=7"]), found)
        assert golden.compare(file, load(small, ["name=other", "data.workers=0"]), found) == []
        with pytest.raises(ArgumentError, match="holds 1 steps: compare no more"):
            golden.compare(file, load(small), compared(small, steps=2))

    def test_files_of_versions_with_other_settings_are_refused(self, small: dict[str, Any], tmp_path: Path) -> None:
        file, found = tmp_path / "golden.json", compared(small)
        golden.write(file, load(small), found)
        document = json.loads(file.read_bytes())
        document["config"]["forgotten"] = 1
        file.write_text(json.dumps(document))
        with pytest.raises(ArgumentError, match=r"another version: (.|\n)*forgotten"):
            golden.compare(file, load(small), found)

    @pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": "another"}', "\xff"])
    def test_what_is_no_golden_file_is_refused(self, small: dict[str, Any], tmp_path: Path, text: str) -> None:
        (tmp_path / "x").write_text(text, encoding="latin-1")
        with pytest.raises(ArgumentError, match="no golden file"):
            golden.compare(tmp_path / "x", load(small), compared(small))


DIGITS = ["parity", "digits", "precision=float64", "--device", "cpu", "--steps", "4"]
"""How tests/golden/digits.json is written: gpucnn, these, and --write FILE."""


class TestCommand:
    @pytest.fixture
    def config(self, small: dict[str, Any], tmp_path: Path) -> str:
        file = tmp_path / "small.yaml"
        file.write_text(json.dumps(small))  # which is YAML too
        return str(file)

    def test_digits_are_what_they_were(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main([*DIGITS, "--golden", str(GOLDEN)]) == 0, capsys.readouterr().out
        assert capsys.readouterr().out.endswith("all agree\n")

    def test_it_shows_layers_losses_and_the_verdict(self, config: str, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["parity", config, "--device", "cpu", "--impl", "reference", "--steps", "2"]) == 0
        first, layers, losses, last = capsys.readouterr().out.split("\n\n")
        assert first == "cpu (reference) against cpu (reference), float32"
        assert layers.splitlines()[1].split() == ["model[0].conv2d", "0.0e+00", "0.0e+00", "0.0e+00", "w", "reference"]
        assert losses.startswith("losses of 2 steps: ")
        assert last == "all agree\n"

    def test_what_disagrees_ends_in_1(self, config: str, implement: Any, capsys: pytest.CaptureFixture[str]) -> None:
        implement("conv2d", first_tap_left_out)
        assert main(["parity", config, "--device", "cpu", "--against", "reference", "--steps", "1"]) == 1
        out = capsys.readouterr().out
        row = next(line for line in out.splitlines() if line.startswith("model[0].conv2d "))
        assert row.split()[1].endswith("!")
        assert "model[0].conv2d: forward differs by " in out

    def test_json_and_files(self, config: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        file, common = str(tmp_path / "g.json"), ["parity", config, "--device", "cpu", "--steps", "1"]
        assert main([*common, "--json", "--write", file]) == 0
        report = json.loads(capsys.readouterr().out)
        assert (report["agree"], report["first_difference"], len(report["losses"])) == (True, None, 1)
        assert main([*common, "--golden", file]) == 0
        document = json.loads(Path(file).read_bytes())
        document["losses"][0] += 1
        Path(file).write_text(json.dumps(document))
        assert main([*common, "--golden", file]) == 1
        assert "g.json: the loss of step 1 is " in capsys.readouterr().out

    def test_what_cannot_be_compared(
        self, config: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setitem(sys.modules, "cupy", None)
        for options, code, message in [
            ([], 1, "error: device cuda: CuPy is not installed"),
            (["--device", "cpu", "--against", "torch"], 2, "error: against (='torch') must be numpy or reference"),
            (["--device", "cpu", "--impl", "quick"], 2, "error: impl (='quick') must be one of"),
            (["--device", "cpu", "--impl", "fast"], 2, "error: impl is fast, but "),
            (["--device", "cpu", "--golden", "/nowhere/g.json"], 1, "error: /nowhere/g.json: No such file"),
        ]:
            assert main(["parity", config, "--steps", "1", *options]) == code
            assert capsys.readouterr().err.startswith(message)


def test_the_golden_file_tells_nothing_of_the_machine() -> None:
    assert "/" not in GOLDEN.read_text()
