"""YAML to plain data, and where each setting stands: safe, bounded, and without the surprises of YAML 1.1.

Scalars are those of YAML 1.2's core schema: `1e-3` is a number, `yes`, `on`, `1:30` and `2026-01-01` are text, only
`true` and `false` are booleans. Tags and merge keys are refused, and so are duplicate keys.

Source: YAML 1.2.2, section 10.3 (core schema).
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from gpucnn.errors import ConfigError
from gpucnn.problems import Location, Problem, closest, short

MAX_BYTES = 256 * 1024
MAX_DEPTH = 50
MAX_VALUES = 50_000
"""How many values a file may hold once its aliases are unfolded."""

_PREFIX = "tag:yaml.org,2002:"
_BITS = 63
_LINE_BREAKS = set("\x85\u2028\u2029")
_PATTERNS = {
    "null": (r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    "bool": (r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    "int": (r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", list("-+0123456789")),
    "float": (
        r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        list("-+.0123456789"),
    ),
}


class Place(NamedTuple):
    """Where a setting was written: what messages begin with, and what they are sorted by."""

    order: tuple[int, int, int]
    text: str


class Written(NamedTuple):
    """What a file says: plain data, the place of every key and list item, and what is wrong without being fatal."""

    data: Any
    places: dict[Location, Place]
    problems: list[tuple[Place, Problem]]


def read_file(path: str | Path) -> Written:
    """Read one YAML file. Raises ConfigError, one line, where it cannot be read or is not YAML."""
    path = Path(path)
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"{short_path(path)}: cannot be read: {error.strerror or error}{_neighbour(path)}") from None
    if len(raw) > MAX_BYTES:
        raise ConfigError(f"{path}: is larger than {MAX_BYTES // 1024} KiB: a config is a short text; is it this file?")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = raw[: error.start].decode("utf-8-sig")
        raise ConfigError(f"{_at(str(path), before)}: is not UTF-8 text: save the file as UTF-8") from None
    return read_text(text, str(path))


def read_text(text: str, name: str) -> Written:
    r"""Read YAML from text that messages call `name`. Raises ConfigError where it is not YAML.

    >>> read_text("lr: 1e-3\nflags: [yes, true]", "my.yaml").data
    {'lr': 0.001, 'flags': ['yes', True]}
    """
    try:
        node = yaml.compose(text, Loader=_Loader)
        reader = _Reader(name)
        return Written(None if node is None else reader.value(node, ()), reader.places, reader.problems)
    except yaml.reader.ReaderError as error:
        place = _at(name, text[: error.position])
        raise ConfigError(f"{place}: holds the character {chr(error.character)!r}, which text files do not") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"{name}:{mark.line + 1}:{mark.column + 1}" if mark else name
        raise ConfigError(f"{place}: {_explained(error)}") from None


def write_text(data: Any) -> str:
    """Return plain data as YAML that `read_text` reads back equal: the innermost mappings and lists on one line."""
    return yaml.dump(data, Dumper=_Dumper, sort_keys=False, default_flow_style=None, width=120, allow_unicode=True)


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader with the scalars of YAML 1.2 and a bound on depth."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012  # PyYAML's own way to be told
    depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.MarkedYAMLError(problem=f"is nested more than {MAX_DEPTH} levels deep", problem_mark=mark)
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


class _Dumper(yaml.SafeDumper):
    """PyYAML's safe dumper; quotes whatever YAML 1.1 or 1.2 would read as something else than text."""

    def ignore_aliases(self, data: Any) -> bool:
        """Write everything out: no anchors."""
        return True

    def represent_str(self, data: str) -> Any:
        """Write text with Unicode's line breaks in double quotes, escaped: between others they are read as a space."""
        return self.represent_scalar(f"{_PREFIX}str", data, style='"' if set(data) & _LINE_BREAKS else None)


_Dumper.add_representer(str, _Dumper.represent_str)


for _name, (_pattern, _first) in _PATTERNS.items():
    for _class in (_Loader, _Dumper):
        _class.add_implicit_resolver(f"{_PREFIX}{_name}", re.compile(f"(?:{_pattern})\\Z"), _first)


class _Reader:
    """Turns PyYAML's nodes into plain data, and writes down where each stands."""

    def __init__(self, name: str) -> None:
        self.name, self.count = name, 0
        self.places: dict[Location, Place] = {}
        self.problems: list[tuple[Place, Problem]] = []

    def value(self, node: yaml.Node, location: Location) -> Any:
        self.count += 1
        if self.count > MAX_VALUES or len(location) > MAX_DEPTH:
            limit = f"{MAX_VALUES} values" if self.count > MAX_VALUES else f"{MAX_DEPTH} levels"
            problem = f"is more than {limit}, with its aliases (*name) unfolded"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark)
        self.places.setdefault(location, self._place(node))
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, location)
        plain = "map" if isinstance(node, yaml.MappingNode) else "seq"
        if node.tag != f"{_PREFIX}{plain}":
            return self._refuse(node, location, f"the tag {_tag(node)} is not allowed: write plain values")
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, location)
        return [self.value(item, (*location, i)) for i, item in enumerate(node.value)]

    def _mapping(self, node: yaml.MappingNode, location: Location) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                self._refuse(key, location, "a key must be one word, not a list or mapping (quote it if it has braces)")
                continue
            inside = (*location, key.value)
            if key.value == "<<":
                self._refuse(key, inside, "merge keys are not allowed: write the settings out")
            elif key.value in found:
                first = self.places[inside].text.removeprefix(f"{self.name}:")
                self._refuse(key, inside, f"stands here a second time; the first is at {first}: keep one")
            else:
                self.places[inside] = self._place(key)
                found[key.value] = self.value(value, inside)
        return found

    def _scalar(self, node: yaml.ScalarNode, location: Location) -> Any:
        kind, text = node.tag.removeprefix(_PREFIX), node.value
        if kind == "str":
            return text
        if kind not in _PATTERNS:
            return self._refuse(node, location, f"the tag {_tag(node)} is not allowed: write plain values")
        if re.fullmatch(_PATTERNS[kind][0], text) is None:
            return self._refuse(node, location, f"{short(text)} is not of the type that its tag {_tag(node)} names")
        if kind == "int":
            number = int(text, 0) if text.startswith(("0o", "0x")) else int(text[:30])
            if number.bit_length() > _BITS:
                return self._refuse(node, location, f"{text[:30]}... is too large a number: at most 2^{_BITS} - 1")
            return number
        if kind == "float":
            return float(re.sub(r"\.(inf|nan)$", r"\1", text.lower()))
        return None if kind == "null" else text.lower() == "true"

    def _place(self, node: yaml.Node) -> Place:
        line, column = node.start_mark.line + 1, node.start_mark.column + 1
        return Place((0, line, column), f"{self.name}:{line}:{column}")

    def _refuse(self, node: yaml.Node, location: Location, message: str) -> None:
        self.problems.append((self._place(node), Problem(location, message)))


def _tag(node: yaml.Node) -> str:
    return str(node.tag).replace(_PREFIX, "!!")


def _at(name: str, before: str) -> str:
    """Return `name:LINE:COLUMN` of what follows the text `before`."""
    return f"{name}:{before.count(chr(10)) + 1}:{len(before) - before.rfind(chr(10))}"


def _explained(error: yaml.MarkedYAMLError) -> str:
    """Return what PyYAML's message most often means, and the message."""
    problem = str(error.problem or error.context)
    hints = {
        "'\\t'": "YAML is indented with spaces: replace the tab",
        "<stream end>": "a bracket, brace or quote is not closed",
        "mapping values are not allowed here": "two `key:` on a line need braces, `a: {b: c}`; or the indent is wrong",
        "could not find expected ':'": "a setting is written `key: value`",
        "expected ',' or": "a comma is missing, or a bracket or brace is not closed",
        "but found another document": "one file is one experiment: remove the '---'",
        "expected <block end>": "this line is indented unlike those before it, or a '- ' is missing",
        "undefined alias": "name the value first, with &name",
        "found unexpected end of stream": "a quote or bracket is not closed",
        "cannot start any token": "put the text in quotes",
    }
    hint = next((hint for part, hint in hints.items() if part in problem), "")
    return f"{hint} (YAML: {problem})" if hint else problem


def short_path(path: Path) -> str:
    """Return a path as text, cut where it is no path at all but a text given by mistake."""
    return str(path) if len(str(path)) <= 200 else short(str(path))


def _neighbour(path: Path) -> str:
    """Return `; did you mean X?` for a file that is not there but has a neighbour of a similar name."""
    try:
        close = closest(path.name, [one.name for one in path.parent.iterdir() if one.suffix in (".yaml", ".yml")])
    except (OSError, ValueError):
        return ""
    return f"; did you mean {path.with_name(close)}?" if close and close != path.name else ""
