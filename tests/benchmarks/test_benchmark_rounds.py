"""Taking turns, and who won."""

from __future__ import annotations

import pytest

from benchmarks.rounds import interleaved


def test_every_way_has_its_turn_in_every_round():
    calls: list[str] = []
    ways = {"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}
    times = interleaved(ways, rounds=3, seconds=0.0)
    assert [len(found) for found in times.values()] == [3, 3]
    assert "".join(calls) == "aaa" + "bbb" + 3 * ("aa" + "bb")  # warm-up; then a call beside the clock, one timed


def test_the_ratio_is_to_the_fastest_peer(torch):
    from benchmarks.contest import Outcome

    outcome = Outcome(100, {"ours": [2.0, 4.0, 2.0], "slow": [9.0, 9.0, 0.1], "fast": [1.0, 1.0, 3.0]})
    assert outcome.best_peer == "fast"
    assert outcome.ratios == [0.5, 0.25, 1.5]
    assert outcome.images_per_second("ours") == 50
    assert outcome.dump()["ratio"] == pytest.approx(0.5)
