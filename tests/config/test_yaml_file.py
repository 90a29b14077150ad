from __future__ import annotations

import math
import string
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from gpucnn.config import yaml_file
from gpucnn.config.yaml_file import MAX_BYTES, MAX_DEPTH, MAX_VALUES, read_file, read_text, write_text
from gpucnn.errors import ConfigError


def read(text: str) -> Any:
    written = read_text(text, "f")
    assert not written.problems
    return written.data


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 1e-3),
        ("1.0e5", 1e5),
        (".5", 0.5),
        ("+2.", 2.0),
        ("-1E+2", -100.0),
        ("010", 10),
        ("0x1F", 31),
        ("0o17", 15),
        ("9223372036854775807", 2**63 - 1),
        ("-.inf", -math.inf),
        ("true", True),
        ("False", False),
        ("yes", "yes"),
        ("on", "on"),
        ("1:30", "1:30"),
        ("2026-01-01", "2026-01-01"),
        ("1_000", "1_000"),
        ("'1'", "1"),
        ("!!str 1", "1"),
        ("e3", "e3"),
        (".", "."),
        ("~", None),
        ("null", None),
        ("", None),
    ],
)
def test_scalars_are_those_of_yaml_1_2(text: str, value: object) -> None:
    (found,) = read(f"- {text}")
    assert found == value
    assert type(found) is type(value)


def test_nan_is_read_as_a_number() -> None:
    assert math.isnan(read(".nan"))


def test_keys_are_text() -> None:
    assert read("{1: a, true: b, null: c, on: d}") == {"1": "a", "true": "b", "null": "c", "on": "d"}


def test_places_are_where_keys_and_items_begin() -> None:
    written = read_text("a: 1\nb:\n  - x\n  - {c: 2, d:  3}\n", "f")
    places = {location: place.text for location, place in written.places.items()}
    assert places == {
        (): "f:1:1",
        ("a",): "f:1:1",
        ("b",): "f:2:1",
        ("b", 0): "f:3:5",
        ("b", 1): "f:4:5",
        ("b", 1, "c"): "f:4:6",
        ("b", 1, "d"): "f:4:12",
    }


def test_an_alias_is_unfolded_into_values_of_its_own() -> None:
    data = read("a: &x [1, {b: 2}]\nc: *x")
    assert data == {"a": [1, {"b": 2}], "c": [1, {"b": 2}]}
    assert data["a"][1] is not data["c"][1]


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("a: 1\nb: 2\na: 3", "f:3:1", ["a:", "second time", "1:1"]),
        ("a: !!python/object:os.system {}", "f:1:4", ["tag !!python/object:os.system", "not allowed"]),
        ("a: !mine 3", "f:1:4", ["tag !mine"]),
        ("a: !!timestamp 2026-01-01", "f:1:4", ["tag !!timestamp"]),
        ("a: !!set {b}", "f:1:4", ["tag !!set"]),
        ("a: !!int b", "f:1:4", ["'b'", "!!int"]),
        ("a: &x {b: 1}\nc: {<<: *x}", "f:2:5", ["merge keys"]),
        ("{a: 1}: 2", "f:1:1", ["a key must be one word"]),
        ("a: 9223372036854775808", "f:1:4", ["too large"]),
        ("a: 1" + "0" * 6000, "f:1:4", ["too large"]),
    ],
)
def test_what_yaml_allows_and_a_config_does_not(text: str, place: str, words: list[str]) -> None:
    ((where, problem),) = read_text(text, "f").problems
    assert where.text == place
    assert all(word in str(problem) for word in words), str(problem)


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("a:\n\tb: 1", "f:2:1", ["tab", "spaces"]),
        ("a: [1, 2\nb: 3", "f:2:2", ["bracket"]),
        ("a: {b: 1", "f:1:9", ["not closed"]),
        ("a: b: c", "f:1:5", ["braces"]),
        ("a: 'b", "f:1:6", ["not closed"]),
        ("a: @b", "f:1:4", ["quotes"]),
        ("a: *b", "f:1:4", ["undefined alias", "&name"]),
        ("a: 1\n---\nb: 2", "f:2:1", ["one file is one experiment"]),
        ("a:\n  - b\n - c", "f:3:2", ["indented unlike"]),
        ("a: \x07", "f:1:4", ["'\\x07'"]),
        ("a: b\x00", "f:1:5", ["'\\x00'"]),
        ("[" * 60, f"f:1:{MAX_DEPTH + 1}", ["nested", "50"]),
        ("{a: " * 5000, f"f:1:{MAX_DEPTH * 4 - 2}", ["nested"]),
        ("&a [*a]", "f:1:1", ["aliases"]),
        ("&a {b: {c: *a}}", "f:1:8", ["aliases"]),
    ],
)
def test_what_is_not_yaml_is_told_in_one_line(text: str, place: str, words: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        read_text(text, "f")
    message = str(caught.value)
    assert message.startswith(f"{place}: ")
    assert "\n" not in message
    assert all(word in message for word in words), message


def test_an_alias_bomb_is_defused() -> None:
    levels = "\n".join(f"l{i}: &l{i} [{', '.join([f'*l{i - 1}'] * 9)}]" for i in range(1, 9))
    with pytest.raises(ConfigError, match=f"more than {MAX_VALUES} values"):
        read_text(f"l0: &l0 [a]\n{levels}", "f")


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "digits.yaml").write_text("a: 1")
    (tmp_path / "large.yaml").write_bytes(b"#" * (MAX_BYTES + 1))
    (tmp_path / "latin.yaml").write_bytes(b"name: x\nother: caf\xe9\n")
    (tmp_path / "utf16.yaml").write_bytes("name: x".encode("utf-16"))
    expected = {
        "digit.yaml": ["No such file", "did you mean", "digits.yaml?"],
        ".": ["directory"],
        "large.yaml": ["larger than 256 KiB"],
        "latin.yaml": ["latin.yaml:2:11: ", "UTF-8"],
        "utf16.yaml": ["utf16.yaml:1:1: ", "UTF-8"],
        "a\nb: " + "c" * 5000: ["cannot be read"],
    }
    for name, words in expected.items():
        with pytest.raises(ConfigError) as caught:
            read_file(tmp_path / name)
        assert all(word in str(caught.value) for word in words), str(caught.value)
        assert len(str(caught.value)) < 500


def test_the_largest_file_and_a_byte_order_mark_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(b"\xef\xbb\xbfa: 1\r\n#" + b"x" * (MAX_BYTES - 10))
    assert path.stat().st_size == MAX_BYTES
    assert read_file(path).data == {"a": 1}


TRICKY = [
    "1e-3",
    "yes",
    "null",
    "~",
    "1:30",
    "2026-01-01",
    "0o17",
    "<<",
    "=",
    "",
    " a",
    "a: b",
    "#x",
    "- x",
    "*a",
    "\t",
    "\x85",
    "a\u2028b",
]
TEXT = st.sampled_from(TRICKY) | st.text(max_size=8) | st.text(string.digits + "eE.+-_:xo", max_size=8)
SCALAR = st.none() | st.booleans() | st.integers(-(2**63) + 1, 2**63 - 1) | st.floats(allow_nan=False) | TEXT
KEY = TEXT.filter(lambda text: text != "<<")
PLAIN = st.recursive(SCALAR, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEY, inner, max_size=4))


@given(PLAIN)
def test_what_is_written_is_read_back_equal(data: object) -> None:
    written = read_text(write_text(data), "f")
    assert not written.problems
    assert repr(written.data) == repr(data)  # by repr: 1, 1.0 and True are different here, and so are 0.0 and -0.0


@given(st.text(max_size=60) | st.text("ab:-[]{}&*!'\"#\n ,?|>%@`0.", max_size=60))
def test_any_text_is_read_or_refused_in_one_line(text: str) -> None:
    message = "f: fine"
    try:
        read_text(text, "f")
    except ConfigError as error:
        message = str(error)
    assert message.startswith("f:")
    assert "\n" not in message


@given(st.text("ab1: -[]{},'\"\n", max_size=40))
def test_structure_is_that_of_pyyaml(text: str) -> None:
    try:
        expected = yaml.load(text, Loader=yaml.BaseLoader)
        mine = read_text(text, "f")
    except (yaml.YAMLError, ConfigError, TypeError, ValueError):
        return
    if not mine.problems:
        assert _structure(mine.data) == _structure(expected)


def _structure(data: Any) -> Any:
    if isinstance(data, dict):
        return {key: _structure(value) for key, value in data.items()}
    return [_structure(value) for value in data] if isinstance(data, list) else "a scalar"


def test_the_limits_are_those_the_messages_name() -> None:
    assert (yaml_file.MAX_DEPTH, yaml_file.MAX_BYTES) == (50, 256 * 1024)
