"""What the README shows is so: its config loads, its code runs, its links lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from checks.examples import built
from checks.gradient import check_gradients

import gpucnn
from gpucnn import config
from gpucnn.layers.base import Layer

ROOT = Path(gpucnn.__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def block(language: str, word: str) -> str:
    """Return the one block of code of this language that holds `word`."""
    (found,) = [text for text in re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL) if word in text]
    return found


def test_the_config_is_an_experiment():
    text = block("yaml", "name: fashion")
    experiment = config.load(yaml.safe_load(text))
    assert (experiment.name, len(experiment.model)) == ("fashion", 6)
    assert len([line for line in text.splitlines() if not line.startswith(" ")]) <= 10


def test_the_layer_has_the_gradient_it_says(rng):
    try:
        space: dict[str, Any] = {"__name__": "gpucnn.layers.square"}
        exec(block("python", "class Square"), space)
        check_gradients(built(space["Square"](0.5)), rng)
    finally:
        Layer.registry._classes.pop("square", None)


def test_the_operations_fit_together(rng):
    space = {"x": rng.standard_normal((2, 9, 9, 8)), "w": rng.standard_normal((12, 3, 3, 2)), "b": np.zeros(12)}
    code = block("python", "ops.conv2d(")
    exec(code.replace("dw =", "dy = y\ndw =").replace("dx =", "dy = y\ndx ="), space)
    assert space["dx"].shape == space["x"].shape
    assert space["dw"].shape == space["w"].shape


@pytest.mark.slow
def test_the_run_from_python(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    space: dict[str, Any] = {"images": np.zeros((3, 8, 8), np.uint8)}
    exec(block("python", "gpucnn.train").replace("epochs=5", "epochs=1"), space)
    assert space["run"].predict(space["images"]).shape == (3, 10)


def test_every_name_that_a_config_may_use_is_there():
    """The lists of layers, losses and so on are complete."""
    from gpucnn.registry import Registry

    config.load({"name": "a", "data": {"dataset": "digits"}, "model": ["flatten", {"dense": 10}]})
    for kind, registry in Registry.kinds.items():
        missing = [name for name in registry if not re.search(rf"\b{name}\b", README)]
        assert not missing, f"the README does not mention {kind} {', '.join(missing)}"


def test_links_lead_to_files():
    links = re.findall(r"\]\(([^)]+)\)", README)
    assert links
    assert [link for link in links if "://" not in link and not (ROOT / link).exists()] == []
