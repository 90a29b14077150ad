"""Tables stay aligned, and on their lines, whatever is in their cells."""

from __future__ import annotations

from gpucnn.cli.tables import table


def test_control_characters_are_escaped():
    assert table(["class", "n"], [["a\nb", "1"], ["\x1b[31mred", "23"]]).splitlines() == [
        "class         n",
        r"a\nb          1",
        r"\x1b[31mred  23",
    ]


def test_wide_characters_count_twice_and_combining_ones_not_at_all():
    lines = table(["class", "n"], [["\u65e5\u672c", "1"], ["abcd", "2"], ["ab\u0301cd", "3"]]).splitlines()
    assert lines == ["class  n", "\u65e5\u672c   1", "abcd   2", "ab\u0301cd   3"]
