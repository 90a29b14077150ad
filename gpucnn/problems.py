"""What is wrong with a value, and where: pydantic's findings turned into one plain sentence each."""

from __future__ import annotations

import difflib
import typing
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError

Location = tuple[str | int, ...]

_UNSHOWN = {"Cc", "Cs"}  # Unicode's control characters; surrogates, which stand for bytes that are no UTF-8


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong, and where: `location` is the path of keys and indices from the value's root."""

    location: Location
    message: str

    def __str__(self) -> str:
        return f"{path(self.location)}: {self.message}" if self.location else self.message


def problems(error: ValidationError, model: type[BaseModel], raw: Any) -> list[Problem]:
    """Return everything a pydantic error holds: one problem a mistake, problems of nested specs included.

    model, raw: what was validated against what. Where a value may be one of several things (a union), pydantic tells
    what each of them misses; here that is the one that was meant, or a single `must be A or B`.
    """
    found: list[Problem] = []
    unions: dict[Location, dict[str, list[tuple[Problem, bool]]]] = {}
    for item in error.errors(include_url=False):
        location, union, branch = _place(item, raw)
        if item["type"] == "nested":
            these = [Problem(location + p.location, p.message) for p in item["ctx"]["problems"]]
        else:
            these = [Problem(location, _message(item, location, model))]
        if branch:
            mismatch = location == union and item["type"] in _MISMATCHES
            unions.setdefault(union, {}).setdefault(str(branch[0]), []).extend((problem, mismatch) for problem in these)
        else:
            found += these
    for union, branches in unions.items():
        found += _one_of(union, list(branches.values()))
    return _without_echoes(found)


def suggestion(name: str, known: Iterable[str]) -> str:
    """Return `; did you mean 'x'? known: ...` for a name that is not known."""
    known = list(known)
    close = closest(name, known)
    return (f"; did you mean {close!r}?" if close else ";") + f" known: {', '.join(known) or 'none'}"


def closest(name: str, known: Iterable[str]) -> str | None:
    """Return the one of `known` that `name` was probably meant to be."""
    by_lower = {one.lower(): one for one in known}
    close = difflib.get_close_matches(name.lower(), by_lower, n=1, cutoff=0.5)
    close = close or [one for one in by_lower if name and one.startswith(name.lower())]
    return by_lower[close[0]] if close else None


def path(location: Location) -> str:
    """Return a location as text.

    >>> path(("model", 3, "conv2d", "kernel_size"))
    'model[3].conv2d.kernel_size'
    """
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location).lstrip(".")


def short(value: Any, limit: int = 60) -> str:
    """Return a value as a config shows it, cut where it is long.

    >>> print(short({"bias": True, "padding": [1, 2], "init": None, "name": "x"}))
    {bias: true, padding: [1, 2], init: null, name: 'x'}
    """
    text = _flow(value)
    return text if len(text) <= limit else text[: limit - 3] + "..."


def plural(count: float, noun: str) -> str:
    """Return a count with its noun.

    >>> plural(1, "thread"), plural(2000, "layer")
    ('1 thread', '2,000 layers')
    """
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def printable(text: str) -> str:
    r"""Return text with control characters and undecodable bytes escaped: one line, which commands no terminal.

    >>> print(printable("a\nb\x1b[31m \udcff"))
    a\nb\x1b[31m \udcff
    """
    return "".join(c.encode("unicode_escape").decode() if unicodedata.category(c) in _UNSHOWN else c for c in text)


def _flow(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(_flow, value)) + "]"
    return repr(value)


_TYPES = {
    "bool_type": "true or false",
    "dict_type": "a mapping, `key: value`",
    "float_type": "a number",
    "int_from_float": "a whole number",
    "int_type": "a whole number",
    "list_type": "a list (`- item` lines, or [item, item])",
    "string_type": "text",
    "tuple_type": "a list",
}
"""pydantic's error types for a value of another type, and what was expected instead."""

_WORDS = {
    "Input should": "must",
    "List should": "must",
    " after validation": "",
    "greater than or equal to": "at least",
    "less than or equal to": "at most",
    "greater than": "above",
    "less than": "below",
}

_MISMATCHES = {*_TYPES, "literal_error", "model_type", "model_attributes_type"}


def _message(item: Any, location: Location, model: type[BaseModel]) -> str:
    """Return pydantic's message as this project words it."""
    kind, value = item["type"], item["input"]
    if kind == "extra_forbidden":
        return f"unknown key{suggestion(str(location[-1]), fields(model, location[:-1]))}"
    if kind == "missing":
        return "required, but missing"
    if kind == "literal_error":
        return f"must be {item['ctx']['expected']}; got {short(value)}{_meant(value, item['ctx']['expected'])}"
    if kind in ("model_type", "model_attributes_type"):
        return f"must be a mapping with {', '.join(fields(model, location))}; got {short(value)}"
    if kind in _TYPES:
        return f"must be {_TYPES[kind]}; got {short(value)}{_converted(kind, value)}"
    text = item["msg"].removeprefix("Value error, ")
    for jargon, plain in _WORDS.items():
        text = text.replace(jargon, plain)
    return f"{text[0].lower()}{text[1:]}; got {short(value)}"


def _converted(kind: str, value: Any) -> str:
    """Return `; did you mean 5000?` for text that reads like what was expected."""
    if kind == "string_type" and isinstance(value, (int, float)) and not isinstance(value, bool):
        return f"; did you mean '{value}', in quotes?"
    if not isinstance(value, str):
        return ""
    if kind == "bool_type":
        meant = {"yes": "true", "on": "true", "true": "true", "no": "false", "off": "false", "false": "false"}
        return f"; did you mean {meant[value.lower()]}?" if value.lower() in meant else ""
    try:
        number = float(value.replace("_", "").replace(",", "."))
    except ValueError:
        return ""
    return f"; did you mean {number:.15g}?" if kind in ("int_type", "float_type") else ""


def _meant(value: Any, expected: str) -> str:
    known = expected.replace("'", "").replace(" or ", ", ").split(", ")
    close = closest(value, known) if isinstance(value, str) else None
    return f"; did you mean {close!r}?" if close else ""


def fields(model: type[BaseModel], location: Location) -> list[str]:
    """Return the field names of the model that stands at `location` below `model`."""
    for part in location:
        annotation = model.model_fields[str(part)].annotation if str(part) in model.model_fields else None
        candidates = [annotation, *typing.get_args(annotation)]
        model = next((c for c in candidates if isinstance(c, type) and issubclass(c, BaseModel)), model)
    return list(model.model_fields)


def _place(item: Any, raw: Any) -> tuple[Location, Location, Location]:
    """Return an error's location in `raw`; where pydantic tried a union on the way: also its location and the branch.

    pydantic mixes the names of the branches it tried into the location: the parts that `raw` does not have.
    """
    location: list[str | int] = []
    branch: list[str | int] = []
    union: Location = ()
    value = raw
    for i, part in enumerate(item["loc"]):
        absent = item["type"] == "missing" and i == len(item["loc"]) - 1
        inside = (
            isinstance(part, int) if isinstance(value, (list, tuple)) else isinstance(value, dict) and part in value
        )
        if inside or absent:
            location.append(part)
            value = value[part] if inside else None
        else:
            union = union if branch else tuple(location)
            branch.append(part)
    return tuple(location), union, tuple(branch)


def _one_of(union: Location, branches: list[list[tuple[Problem, bool]]]) -> list[Problem]:
    """Return the problems of that branch of a union that was meant, or one problem that names every branch.

    branches: the problems of each, and whether they say only that the value is of another type.
    """
    meant = [branch for branch in branches if not all(mismatch for _, mismatch in branch)]
    chosen = min(meant, key=len) if meant else [item for branch in branches for item in branch]
    messages: dict[Location, list[str]] = {}
    for problem, _ in chosen:
        messages.setdefault(problem.location, []).append(problem.message)
    return [Problem(location, _either(several)) for location, several in messages.items()]


def _either(messages: list[str]) -> str:
    """Return `must be A, or B; got C` for `must be A; got C` and `must be B; got C`."""
    if len(messages) == 1:
        return messages[0]
    rules, tails = zip(*(message.split("; got ", 1) for message in messages), strict=True)
    wanted = dict.fromkeys(rule.removeprefix("must be ") for rule in rules)
    return f"must be {', or '.join(wanted)}; got {max(tails, key=len)}"


def _without_echoes(found: list[Problem]) -> list[Problem]:
    """Return the problems but for `missing` ones whose key stands there misspelt: that is told already."""
    unknown = [p for p in found if p.message.startswith("unknown key; did you mean '")]
    misspelt = {(*p.location[:-1], p.message.split("'")[1]) for p in unknown}
    return [p for p in found if not (p.message == "required, but missing" and p.location in misspelt)]
