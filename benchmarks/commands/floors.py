"""`python -m benchmarks floors`: the least time of each pass and step that `gpu` measures, by an H100's data sheet."""

from __future__ import annotations

from typing import Any

import typer

from benchmarks.options import Output

PASS_HEADS = [
    "convolution, a pass",
    "N",
    "GFLOP",
    "MB float32",
    "FFMA us",
    "TF32 us",
    "bf16 us",
    "bytes f32",
    "bf16 us",
]
STEP_HEADS = ["step", "batch", "GFLOP", "MB", "operations us", "bytes us", "floor us", "others us", "goal us"]


def floors(output: Output = None) -> None:
    """Print the least time of passes and steps: operations and bytes, divided by an H100's rates. Needs no GPU.

    A pass takes at least the larger of its two times. Of a step, convolutions and dense layers are counted; `others`
    is what all other layers would take by their bytes alone, each as a pass of its own: what fusion can save.
    """
    from benchmarks.gpu.floors import H100, Work, work
    from benchmarks.gpu.networks import CASES
    from benchmarks.gpu.suite import SUITE
    from benchmarks.report import Report
    from gpucnn.backend import Device
    from gpucnn.cli.tables import table
    from gpucnn.training.parts import build_model

    report = Report("floors", output)
    passes, steps = [], []
    for shape in SUITE:
        times = {name: shape.operations / H100.operations[name] for name in ("float32", "tf32", "bf16")}
        memory = {"float32": 4 * shape.elements / H100.bytes, "bf16": 2 * shape.elements / H100.bytes}
        passes.append({"shape": shape.name, "n": shape.n, "operations": shape.operations, "elements": shape.elements,
                       "operations_seconds": times, "bytes_seconds": memory})  # fmt: skip
    for case in CASES:
        experiment = case.experiment("float32")
        model = build_model(experiment, experiment.data.dataset.build().info().shape, Device("cpu"))
        done, size = work(model, experiment.data.batch_size), Work.itemsize(case.precision)
        rate = H100.operations[case.precision]
        steps.append({"step": case.name, "batch_size": experiment.data.batch_size, "operations": done.operations,
                      "bytes": size * done.elements, "operations_seconds": done.operations / rate,
                      "bytes_seconds": size * done.elements / H100.bytes,
                      "floor_seconds": done.seconds(rate, H100.bytes, size),
                      "others_seconds": size * done.others / H100.bytes, "goal_seconds": case.goal})  # fmt: skip
    rows = [
        [
            str(one["shape"]),
            str(one["n"]),
            f"{one['operations'] / 1e9:.2f}",
            f"{4 * one['elements'] / 1e6:.1f}",
            *(_micros(one["operations_seconds"][name]) for name in ("float32", "tf32", "bf16")),
            *(_micros(one["bytes_seconds"][name]) for name in ("float32", "bf16")),
        ]
        for one in passes
    ]
    report.finish({"device": H100.name, "passes": passes, "steps": steps}, PASS_HEADS, rows)
    typer.echo("\n" + table(STEP_HEADS, [_step_row(one) for one in steps]))


def _step_row(one: dict[str, Any]) -> list[str]:
    times = [one[f"{key}_seconds"] for key in ("operations", "bytes", "floor", "others", "goal")]
    sizes = [f"{one['operations'] / 1e9:,.1f}", f"{one['bytes'] / 1e6:,.0f}"]
    return [one["step"], str(one["batch_size"]), *sizes, *("-" if time is None else _micros(time) for time in times)]


def _micros(seconds: float) -> str:
    return f"{1e6 * seconds:,.1f}"
