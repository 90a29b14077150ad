"""The numbers of `python -m benchmarks gpu` as short tables.

Ratios are times, ours divided by the peer's: below 1, we are faster.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from statistics import geometric_mean, median
from typing import Any

from benchmarks.gpu.suite import PASSES, SUITE
from gpucnn.cli.tables import table

CONV_HEADS = ["mode", "convolution", "pass", "gpucnn", "us", "cuDNN us", "ratio", "roofline", "error", "bound", "right"]
MEAN_HEADS = ["gpucnn / cuDNN", *PASSES, "all", "passes"]
STEP_HEADS = ["network", "precision", "gpucnn us", "eager us", "best peer us", "which", "ratio", "goal us", "roofline"]
OURS, PEERS = ("gpucnn", "gpucnn graph"), ("PyTorch", "JAX")
PEERS_PARTS = ("jax", "compiled")
"""Parts in which nothing of ours is timed."""


def conv_rows(found: Mapping[str, Any]) -> list[list[str]]:
    """Return a row for each way of ours to compute a pass."""
    rows = []
    for row in found.get("passes", []):
        head = [row["mode"], row["shape"], row["pass"]]
        if "error" in row:
            rows.append([*head, *["-"] * 7, "failed"])
            continue
        micros = {who: f"{1e6 * median(times):,.1f}" for who, times in row["seconds"].items()}
        for who in row["ratio"]:
            error = "-" if row["errors"][who] is None else f"{row['errors'][who]:.1e}"
            right = "yes" if row["right"][who] else "NO"
            share = f"{100 * row['roofline'][who]:.0f} %"
            times = [who, micros[who], micros["cuDNN"], f"{row['ratio'][who]:.2f}", share]
            rows.append([*head, *times, error, f"{row['bound']:.1e}", right])
        rows += [[*head, who, *["-"] * 6, "failed"] for who in row.get("failed", {})]
    return rows


def means(found: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """Return for each of our ways the geometric means of its ratios: of each kind of pass, and of all."""
    ratios: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for row in found.get("passes", []):
        for who, ratio in row.get("ratio", {}).items():
            ratios[who][row["pass"]].append(ratio)
            ratios[who]["all"].append(ratio)
    return {
        who: {name: geometric_mean(each) for name, each in found.items()} | {"passes": len(found["all"])}
        for who, found in ratios.items()
    }


def mean_rows(found: Mapping[str, Any]) -> list[list[str]]:
    """Return a row for each of our ways: the means, and over how many passes of the suite they are."""
    rows = []
    for who, each in means(found).items():
        values = [f"{each[name]:.2f}" if name in each else "-" for name in (*PASSES, "all")]
        rows.append([who, *values, f"{each['passes']:.0f} of {len(SUITE) * len(PASSES)}"])
    return rows


def merged(parts: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return a row for each network and precision, with the times of all who took part in any part."""
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for found in parts.values():
        for row in found.get("networks", []):
            whole = rows.setdefault((row["network"], row["precision"]), {"seconds": {}, "failed": {}})
            whole |= {key: row[key] for key in ("network", "precision", "goal", "batch_size", "floor") if key in row}
            whole["seconds"] |= row.get("seconds", {})
            whole["failed"] |= row.get("failed", {}) | dict.fromkeys(row.get("left_out", ()), "no time was left")
            if "error" in row:
                whole["failed"][f"part {row['part']}"] = row["error"]
    return [one | standing(one) for one in rows.values()]


def standing(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a row of times amounts to: ours, the best peer's, both divided, the shares of goal and roofline."""
    times = {who: median(found) for who, found in row["seconds"].items()}
    ours = min((times[who] for who in OURS if who in times), default=math.nan)
    peers = {who: time for who, time in times.items() if who.startswith(PEERS)}
    best = min(peers, key=lambda who: peers[who], default="")
    known = {"ours": ours, "best_peer": best, "ratio": ours / peers.get(best, math.nan)}
    known |= {"of_goal": ours / (row.get("goal") or math.nan), "roofline": row.get("floor", math.nan) / ours}
    return {key: value for key, value in known.items() if isinstance(value, str) or not math.isnan(value)}


def step_rows(parts: Mapping[str, Any]) -> list[list[str]]:
    """Return a row for each network and precision."""
    rows = []
    for row in merged(parts):
        times = {who: f"{1e6 * median(found):,.0f}" for who, found in row["seconds"].items()}
        peer = row.get("best_peer", "")
        values = [f"{1e6 * row['ours']:,.0f}" if "ours" in row else "failed", times.get("gpucnn", "-")]
        values += [times.get(peer, "-"), peer or "-", f"{row['ratio']:.2f}" if "ratio" in row else "-"]
        values += [f"{1e6 * row['goal']:,.0f}" if row.get("goal") else "-"]
        share = f"{100 * row['roofline']:.0f} %" if "roofline" in row else "-"
        rows.append([row["network"], row["precision"], *values, share])
    return rows


def notes(parts: Mapping[str, Any]) -> list[str]:
    """Return the tables of means and of steps, what was not measured, and a line for each part: how it ended."""
    lines = []
    if rows := mean_rows(parts.get("conv", {})):
        lines += ["", table(MEAN_HEADS, rows)]
    if rows := step_rows(parts):
        lines += ["", table(STEP_HEADS, rows)]
    lines += ["", *missing(merged(parts))]
    for name, found in parts.items():
        lines += [f"{name}: {text}" for text in _ends(name, found)]
    return lines


def missing(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return a line for each contender that was not timed, with the reason."""
    return [f"{row['network']}, {row['precision']}: {who}: {why}" for row in rows for who, why in row["failed"].items()]


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
    rows = [*found.get("passes", []), *found.get("networks", []), *found.get("tuned", [])]
    wrong = sum(_is_wrong(row) for row in rows)
    words = [f"{count} {name}" for name, count in found.get("tests", {}).items()]
    words += [f"{wrong} of {len(rows)} failed or wrong"] if wrong else []
    words += [found["summary"]] if found.get("summary") else []
    words += found.get("problems", [])[:3]
    if left := found.get("left_out", sum("left_out" in row for row in rows)):
        words.append(f"no time for {left} more")
    if found["exit_code"] is None:
        words.append("stopped after its time")
    good = found["exit_code"] == 0 and not wrong
    return f"{'ok' if good else 'FAILED'} in {found['seconds']:.0f} s" + "".join(f"; {word}" for word in words)


def _is_wrong(row: Mapping[str, Any]) -> bool:
    """Return whether a row says that something of ours failed, or is wrong; what peers cannot do is no failure."""
    if row.get("part") in PEERS_PARTS:
        return False
    ours_failed = any(not who.startswith(PEERS) for who in row.get("failed", {}))
    return "error" in row or not all(row.get("right", {}).values()) or ours_failed
