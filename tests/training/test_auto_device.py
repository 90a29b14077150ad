"""`device: auto`: what it chose, and why, is said once."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from cushim import cupy_stand_in

import gpucnn
from gpucnn.training.observer import Observer

pytestmark = pytest.mark.usefixtures("no_plots")


class Messages(Observer):
    """Remembers what it was told of the device, and what the header says."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.device = ""

    def started(self, info: Any) -> None:
        self.device = info["device"]

    def message(self, text: str) -> None:
        if text.startswith("device"):
            self.heard.append(text)


def heard(small: dict[str, Any], folder: Path, device: str) -> Messages:
    messages = Messages()
    gpucnn.train(small, run_dir=folder, device=device, overrides=["training.epochs=1"], observer=messages)
    return messages


def test_why_it_is_the_cpu_is_said_once(small: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cupy", None)
    messages = heard(small, tmp_path / "auto", "auto")
    assert messages.heard == ["device auto: the CPU, since CuPy is not installed (more: gpucnn doctor)"]
    assert messages.device == "cpu"
    assert heard(small, tmp_path / "cpu", "cpu").heard == []


def test_nothing_is_said_where_there_is_a_gpu(
    small: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cupy_stand_in.install(monkeypatch)
    messages = heard(small, tmp_path / "auto", "auto")
    assert (messages.heard, messages.device) == ([], "cuda:0")
