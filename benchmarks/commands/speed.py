"""`python -m benchmarks speed`: images/s of training steps and of evaluation, beside PyTorch's."""

from __future__ import annotations

import importlib.util
from statistics import median
from typing import TYPE_CHECKING, Annotated

import typer

from benchmarks.machine import usable_cpus, use_threads
from benchmarks.options import Output
from benchmarks.processes import Failed
from benchmarks.report import Report, spread

if TYPE_CHECKING:
    from benchmarks.contest import Outcome

NETWORKS = ["mnist", "cifar10", "digits"]
PASSES = {"training step": "step", "evaluation": "evaluate"}
HEADS = ["network", "batch", "pass", "gpucnn images/s", "PyTorch images/s", "ratio", "spread", "PyTorch's best"]


def speed(
    what: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="CONFIG | KEY.PATH=VALUE",
            help=f"Whose networks, and settings for all of them.  [default: {' '.join(NETWORKS)}]",
        ),
    ] = None,
    rounds: Annotated[int, typer.Option(min=1, help="Turns of each contender.")] = 7,
    seconds: Annotated[float, typer.Option(min=0.0, help="Length of a turn.")] = 1.0,
    threads: Annotated[int | None, typer.Option(min=1, help="For all.  [default: one for each usable CPU]")] = None,
    compiled: Annotated[bool, typer.Option("--compile", help="Measure torch.compile too: minutes to start.")] = False,
    output: Output = None,
) -> None:
    """Time the networks of configs beside the same in PyTorch: same weights, batch, threads, optimizer, process.

    The contenders take turns. The ratio is our images/s divided by PyTorch's, above 1 where gpucnn is faster;
    PyTorch's is what was fastest of eager NCHW, eager channels_last and, with --compile, both compiled.
    """
    if importlib.util.find_spec("torch") is None:
        raise Failed("PyTorch is not installed, and it is what gpucnn is compared with: pip install torch")
    threads = threads or usable_cpus()
    use_threads(threads)
    import torch

    torch.set_num_threads(threads)
    report = Report("speed", output)
    overrides = [text for text in what or [] if "=" in text]
    configs = [text for text in what or [] if text not in overrides] or NETWORKS
    results = dict(_measure(name, overrides, compiled, rounds, seconds) for name in configs)
    rows = [_row(name, label, outcome) for name, outcomes in results.items() for label, outcome in outcomes.items()]
    measured = {
        "runs": rounds,
        "threads": threads,
        "overrides": overrides,
        "not_measured": [] if compiled else ["torch.compile (--compile)"],
        "networks": {
            name: {label: outcome.dump() for label, outcome in outcomes.items()} for name, outcomes in results.items()
        },
    }
    report.finish(measured, HEADS, rows)


def _measure(
    config: str, overrides: list[str], compiled: bool, rounds: int, seconds: float
) -> tuple[str, dict[str, Outcome]]:
    """Return the name of a config's experiment and the outcome of each pass of its network."""
    from benchmarks.contest import compete, contenders
    from gpucnn.config import load
    from gpucnn.resources import find_config

    experiment, outcomes = load(find_config(config), overrides), {}
    found = contenders(experiment, compiled=compiled)
    for label, method in PASSES.items():
        typer.echo(f"{experiment.name}: {label}", err=True)
        outcomes[label] = compete(found, method, experiment.data.batch_size, rounds=rounds, seconds=seconds)
    return experiment.name, outcomes


def _row(name: str, label: str, outcome: Outcome) -> list[str]:
    ours, theirs = (f"{outcome.images_per_second(who):,.0f}" for who in (outcome.ours, outcome.best_peer))
    ratio = f"{median(outcome.ratios):.2f}"
    peer = outcome.best_peer.removeprefix("PyTorch ")
    return [name, str(outcome.images), label, ours, theirs, ratio, spread(outcome.ratios), peer]
