"""A training step, and evaluation, of whole networks."""

from __future__ import annotations

from collections.abc import Sequence

import typer

from benchmarks.cpu.networks import NETWORKS, goal
from benchmarks.cpu.turns import COMPARED, Part, Settings, compared, measure

METHODS = {"training step": "step", "evaluation": "evaluate"}


def steps(networks: Sequence[str], settings: Settings) -> Part:
    """Measure networks by name."""
    measured, rows = {}, []
    for network in networks or NETWORKS:
        typer.echo(network, err=True)
        measured[network] = measure(network, METHODS, settings)
        rows += [[network, label, *compared(times, goal(network, label))] for label, times in measured[network].items()]
    return Part(measured, ["network", "pass", *COMPARED], rows)
