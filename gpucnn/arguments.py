"""The vocabulary of argument types: what a constructor's annotations say, and what a config's values must be."""

from __future__ import annotations

from typing import Annotated, Any

from annotated_types import Ge, Gt, Interval
from pydantic import PlainSerializer, PlainValidator, WithJsonSchema

PositiveInt = Annotated[int, Gt(0)]
NonNegativeInt = Annotated[int, Ge(0)]
PositiveFloat = Annotated[float, Gt(0)]
NonNegativeFloat = Annotated[float, Ge(0)]
Fraction = Annotated[float, Interval(ge=0, lt=1)]
"""A number from 0 up to, not including, 1: a dropout rate, a momentum, a label smoothing."""
Rate = Annotated[float, Interval(ge=0, le=1)]
"""A probability: a number from 0 to 1."""
PixelValue = Annotated[int, Interval(ge=0, le=255)]
"""A raw pixel's value, from 0 to 255."""


def _is_int(value: Any, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _pair_check(least: int, rule: str) -> PlainValidator:
    def check(value: Any) -> Any:
        if _is_int(value, least):
            return value
        if isinstance(value, (list, tuple)) and len(value) == 2 and all(_is_int(v, least) for v in value):
            return tuple(value)
        raise ValueError(f"must be {rule}, or two of them, [height, width]")

    return PlainValidator(check)


def _pair_schema(least: int) -> dict[str, Any]:
    whole = {"type": "integer", "minimum": least}
    return {"anyOf": [whole, {"type": "array", "items": whole, "minItems": 2, "maxItems": 2}]}


def check_padding(value: Any) -> Any:
    """Return a padding unchanged (lists as tuples): n, (h, w), ((top, bottom), (left, right)), "same" or "valid"."""
    if value in ("same", "valid") or _is_int(value, 0):
        return value
    if isinstance(value, (list, tuple)) and len(value) == 2:
        if all(_is_int(v, 0) for v in value):
            return tuple(value)
        sides = [tuple(v) for v in value if isinstance(v, (list, tuple)) and len(v) == 2]
        if len(sides) == 2 and all(_is_int(v, 0) for side in sides for v in side):
            return tuple(sides)
    raise ValueError(
        "must be a whole number from 0, [height, width], [[top, bottom], [left, right]], 'same' or 'valid'"
    )


_SIDE = {"type": "integer", "minimum": 0}
_TWO = {"type": "array", "minItems": 2, "maxItems": 2}
_PADDING_SCHEMA = {
    "anyOf": [_SIDE, {"enum": ["same", "valid"]}, {**_TWO, "items": _SIDE}, {**_TWO, "items": {**_TWO, "items": _SIDE}}]
}

Pair = Annotated[
    int | tuple[int, int],
    _pair_check(1, "a whole number from 1"),
    PlainSerializer(lambda v: v),
    WithJsonSchema(_pair_schema(1)),
]
"""A size of a window, a stride or a dilation: n, or (height, width), from 1."""

NonNegativePair = Annotated[
    int | tuple[int, int],
    _pair_check(0, "a whole number from 0"),
    PlainSerializer(lambda v: v),
    WithJsonSchema(_pair_schema(0)),
]
"""A margin: n, or (height, width), from 0."""

Padding = Annotated[
    int | tuple[int, int] | tuple[tuple[int, int], tuple[int, int]] | str,
    PlainValidator(check_padding),
    PlainSerializer(lambda v: v),
    WithJsonSchema(_PADDING_SCHEMA),
]


def _steps_check(least: int) -> PlainValidator:
    def check(value: Any) -> Any:
        if _is_int(value, least) or (isinstance(value, float) and 0 <= value < 1 and (value > 0 or least == 0)):
            return value
        bound = "from 0 to below 1" if least == 0 else "between 0 and 1"
        raise ValueError(f"must be a whole number of steps from {least}, or a fraction of all steps {bound}")

    return PlainValidator(check)


def _steps_schema(least: int) -> dict[str, Any]:
    fraction = {"minimum": 0} if least == 0 else {"exclusiveMinimum": 0}
    return {"anyOf": [{"type": "integer", "minimum": least}, {"type": "number", **fraction, "exclusiveMaximum": 1}]}


Steps = Annotated[int | float, _steps_check(0), PlainSerializer(lambda v: v), WithJsonSchema(_steps_schema(0))]
"""A part of a run: a whole number of steps from 0, or a fraction of all steps from 0 to below 1."""

PositiveSteps = Annotated[int | float, _steps_check(1), PlainSerializer(lambda v: v), WithJsonSchema(_steps_schema(1))]
"""As Steps, but more than 0."""
