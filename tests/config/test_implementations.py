"""What an experiment's settings choose for the CPU: threads, and what the header says of it."""

from __future__ import annotations

from typing import Any

import pytest

from gpucnn.backend import Device
from gpucnn.config import load
from gpucnn.config.experiment import Experiment
from gpucnn.config.implementations import by_what, computing
from gpucnn.cpu import compiled, threads
from gpucnn.errors import ConfigError

CPU = Device("cpu")


def experiment(**settings: Any) -> Experiment:
    return load({"name": "small", "data": {"dataset": "digits"}, "model": ["flatten", {"dense": 10}], **settings})


def test_the_threads_of_the_config_compute_and_those_of_before_come_back():
    library = threads._blas()[0]
    before, outside = library.num_threads, threads.threads()
    with computing(experiment(threads=before + 3)):
        assert threads.threads() == before + 3
        assert library.num_threads == before + 3
        threads.run(lambda i: None, 2)
        assert library.num_threads == before + 3
    assert (library.num_threads, threads.threads()) == (before, outside)


def test_without_a_number_the_environment_decides(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    with computing(experiment()):
        assert threads.threads() == 5
        with threads.using(2), computing(experiment()):
            assert threads.threads() == 2


@pytest.mark.parametrize("value", [0, -1, 1.5, "many", True])
def test_what_is_no_number_of_threads_is_refused(value):
    with pytest.raises(ConfigError, match="threads: must be"):
        experiment(threads=value)


@pytest.mark.parametrize(
    ("settings", "problem", "words"),
    [
        ({}, "", "3 threads, numba 9.9"),
        ({"threads": 1}, "", "1 thread, numba 9.9"),
        ({}, "numba is not installed", '3 threads, NumPy only: pip install "gpucnn[cpu]" is faster'),
        ({"precision": "float64"}, "", "3 threads"),
        ({"impl": "reference"}, "", "3 threads"),
    ],
)
def test_the_header_says_what_computes(settings, problem, words, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    monkeypatch.setattr(compiled, "problem", lambda: problem)
    monkeypatch.setattr(compiled, "version", lambda: "9.9")
    assert by_what(experiment(**settings), CPU) == words
    assert by_what(experiment(**settings), Device("cuda")) == ""
