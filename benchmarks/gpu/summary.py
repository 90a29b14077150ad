"""The numbers of `python -m benchmarks gpu` as short tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from benchmarks.report import spread
from gpucnn.cli.tables import table

CONV_HEADS = [
    "convolution",
    "pass",
    "gpucnn us",
    "spread",
    "PyTorch us",
    "ratio",
    "roofline",
    "PyTorch TF32 us",
    "right",
]
STEP_HEADS = ["network", "batch", "gpucnn images/s", "PyTorch images/s", "ratio", "PyTorch TF32 images/s"]
_OURS, _STRICT, _TF32 = "gpucnn", "PyTorch", "PyTorch TF32"


def conv_rows(found: Mapping[str, Any]) -> list[list[str]]:
    """Return a row for each pass that was timed."""
    rows = []
    for row in found.get("passes", []):
        if "error" in row:
            rows.append([row["shape"], row["pass"], "-", "-", "-", "-", "-", "-", "failed"])
            continue
        micros = {who: [1e6 * value for value in times["queued"]] for who, times in row["seconds"].items()}
        ours, strict, tf32 = (f"{median(micros[who]):,.1f}" for who in (_OURS, _STRICT, _TF32))
        share = f"{100 * row['roofline'][_OURS]:.0f} %"
        right = "yes" if row["right"] else "NO"
        around = spread(micros[_OURS], 1)
        rows.append([row["shape"], row["pass"], ours, around, strict, f"{row['ratio']:.2f}", share, tf32, right])
    return rows


def step_rows(found: Mapping[str, Any]) -> list[list[str]]:
    """Return a row for each network that was timed."""
    rows = []
    for row in found.get("networks", []):
        if "error" in row:
            rows.append([row["network"], "-", "-", "-", "-", "failed"])
            continue
        speeds = [f"{row['images_per_second'][who]:,.0f}" for who in (_OURS, _STRICT, _TF32)]
        rows.append([row["network"], str(row["batch_size"]), *speeds[:2], f"{row['ratio']:.2f}", speeds[2]])
    return rows


def notes(parts: Mapping[str, Any]) -> list[str]:
    """Return a line for each part: how it ended, and the steps' table."""
    lines = []
    if rows := step_rows(parts.get("steps", {})):
        lines += ["", table(STEP_HEADS, rows)]
    lines.append("")
    for name, found in parts.items():
        lines += [f"{name}: {text}" for text in _ends(name, found)]
    return lines


def failed(parts: Mapping[str, Any]) -> bool:
    """Return whether anything went wrong, or is wrong."""
    return any("FAILED" in text for name, found in parts.items() for text in _ends(name, found))


def _ends(name: str, found: Mapping[str, Any]) -> Sequence[str]:
    """Return in words how a part ended, `FAILED` where it did."""
    if "skipped" in found:
        return [f"skipped: {found['skipped']}"]
    if "crashed" in found:
        return [f"FAILED: {found['crashed']}"]
    if name in ("parity", "sanitize"):
        return [f"{inner}: {_end(each)}" for inner, each in found.items()]
    return [_end(found)]


def _end(found: Mapping[str, Any]) -> str:
    rows = [*found.get("passes", []), *found.get("networks", [])]
    wrong = sum("error" in row or not row.get("right", True) for row in rows)
    words = [f"{count} {name}" for name, count in found.get("tests", {}).items()]
    words += [f"{wrong} of {len(rows)} failed or wrong"] if wrong else []
    words += [found["summary"]] if found.get("summary") else []
    words += found.get("problems", [])[:3]
    if found["exit_code"] is None:
        words.append("stopped after its time")
    good = found["exit_code"] == 0 and not wrong
    return f"{'ok' if good else 'FAILED'} in {found['seconds']:.0f} s" + "".join(f"; {word}" for word in words)
