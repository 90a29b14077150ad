"""Frames drawn for images."""

from __future__ import annotations

from typing import Any

from ops.test_frames import example

from gpucnn import ops
from mutants.mutant import Mutant, Run


def drawn() -> list[Any]:
    """For images of more than one block, of a seed and an epoch of several bytes."""
    return [ops.draw_frames(*example(60, seed=2**40 + 5, epoch=1000)[0])]


RUNS: dict[str, Run] = {"frames": drawn}

MUTANTS = [
    Mutant("frames", "if (e >= count) return;", "", "frames"),
    Mutant("frames", "[e % changes]", "[e / changes]", "frames"),
    Mutant("frames", "indices[e / changes]", "indices[e % changes]", "frames"),
    Mutant("frames", "0, uint32(d.epoch)", "uint32(d.epoch), 0", "frames"),
    Mutant("frames", "uint32(d.seed_low), uint32(d.seed_high)", "uint32(d.seed_high), uint32(d.seed_low)", "frames"),
    Mutant("frames", "drawn.word[1]", "drawn.word[0]", "frames"),
    Mutant("frames", "< d.chance", "< uint32(d.chance)", "frames"),
    Mutant("frames", "!= (d.mirrored != 0)", "|| d.mirrored", "frames"),
    Mutant("frames", "if (d.hides)", "if (!d.hides)", "frames"),
    Mutant("frames", "frame.to_row += row", "frame.to_row += column", "frames"),
]
