from __future__ import annotations

import inspect
import sys
import types
from typing import Annotated, Any, Literal

import pytest
from annotated_types import MinLen
from pydantic import BaseModel, ValidationError, create_model

from gpucnn.arguments import Fraction, Padding, Pair, PositiveInt
from gpucnn.errors import ArgumentError
from gpucnn.problems import Problem, closest, path, problems, short, suggestion
from gpucnn.registry import STRICT, Registered, Registry, Spec, arguments_model


class Shape(Registered, kind="test shape", package="test_shapes"):
    """Stands for any kind of thing."""


class Circle(Shape, name="circle"):
    """A circle."""

    def __init__(self, radius: PositiveInt, colour: Literal["red", "green"] = "red", open: bool = False) -> None:
        if radius > 9 and open:
            raise ArgumentError(f"Circle: radius (={radius}) must be at most 9 where open")
        self.radius, self.colour, self.open = radius, colour, open


class Disc(Circle, name="disc"):
    """A circle that is filled: another constructor, which calls that of its base."""

    def __init__(self, filling: str = "wool") -> None:
        super().__init__(2)
        self.filling = filling


class Ring(Circle, name="ring"):
    """A circle with its base's constructor."""


class Point(Shape, name="point"):
    """Takes no arguments."""


class Group(Shape, name="group"):
    """Holds others."""

    def __init__(self, members: list[Shape], frame: Shape | None = None, gap: int | list[Fraction] = 0) -> None:
        self.members, self.frame, self.gap = members, frame, gap


Registry.kinds.pop("test shape")  # no other test shall meet it


@pytest.fixture(autouse=True)
def package(monkeypatch: pytest.MonkeyPatch) -> None:
    """The package that the kind's files would live in."""
    module = types.ModuleType("test_shapes")
    module.__path__ = []
    monkeypatch.setitem(sys.modules, "test_shapes", module)


def wrong(raw: Any) -> list[str]:
    """What is wrong with a spec, as lines."""
    model = create_model("Holder", __config__=STRICT, it=(Spec[Shape], ...))
    with pytest.raises(ValidationError) as caught:
        model.model_validate({"it": raw})
    return [str(problem) for problem in problems(caught.value, model, {"it": raw})]


def test_names_are_sorted_and_found() -> None:
    assert list(Shape.registry) == ["circle", "disc", "group", "point", "ring"]
    assert Shape.registry["point"] is Point
    with pytest.raises(ArgumentError, match=r"unknown test shape 'pint'; did you mean 'point'\? known: circle, disc"):
        Shape.registry["pint"]


def test_a_name_is_registered_once() -> None:
    with pytest.raises(ArgumentError, match="'circle' is registered twice"):
        type("Other", (Shape,), {}, name="circle")


@pytest.mark.parametrize(
    ("raw", "dumped"),
    [
        ("point", "point"),
        ({"point": None}, "point"),
        ({"point": {}}, "point"),
        ("disc", {"disc": {"filling": "wool"}}),
        ({"disc": "silk"}, {"disc": {"filling": "silk"}}),
        ({"circle": 3}, {"circle": {"radius": 3, "colour": "red", "open": False}}),
        ({"circle": {"radius": 3, "open": True}}, {"circle": {"radius": 3, "colour": "red", "open": True}}),
        ({"group": ["point"]}, {"group": {"members": ["point"], "frame": None, "gap": 0}}),
        (
            {"group": {"members": [{"group": []}], "frame": "point", "gap": [0.5]}},
            {
                "group": {
                    "members": [{"group": {"members": [], "frame": None, "gap": 0}}],
                    "frame": "point",
                    "gap": [0.5],
                }
            },
        ),
    ],
)
def test_short_and_long_forms_are_one(raw: Any, dumped: Any) -> None:
    spec = Shape.registry.validate(raw)
    assert spec.dump() == dumped
    assert Shape.registry.validate(spec.dump()) == spec
    assert spec.build().spec.dump() == dumped


def test_a_spec_builds_new_objects_with_those_inside() -> None:
    spec = Shape.registry.validate({"group": {"members": [{"circle": 3}, "point"], "frame": {"disc": "silk"}}})
    first, second = spec.build(), spec.build()
    assert [type(member) for member in first.members] == [Circle, Point]
    assert (first.members[0].radius, first.frame.filling) == (3, "silk")
    assert first.members[0] is not second.members[0]


def test_an_object_in_python_may_hold_objects_and_knows_its_spec() -> None:
    circle = Circle(3, open=True)
    group = Group([circle, Point()])
    assert group.members[0] is circle
    assert (
        group.spec.dump()
        == Shape.registry.validate({"group": [{"circle": {"radius": 3, "open": True}}, "point"]}).dump()
    )


def test_a_subclass_checks_its_own_arguments_and_its_base_is_called_without() -> None:
    disc, ring = Disc("silk"), Ring(3)
    assert (disc.filling, disc.radius, ring.radius) == ("silk", 2, 3)
    assert (disc.spec.name, ring.spec.name) == ("disc", "ring")
    assert list(arguments_model(Disc).model_fields) == ["filling"]
    with pytest.raises(ArgumentError, match="Disc: filling: must be text; got 3"):
        Disc(3)  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="Ring: radius: must be above 0; got 0"):
        Ring(0)


def test_a_constructor_keeps_its_signature() -> None:
    assert list(inspect.signature(Circle).parameters) == ["radius", "colour", "open"]


KNOWN = "circle, disc, group, point, ring"
PINT = f"unknown test shape 'pint'; did you mean 'point'? known: {KNOWN}"
FORMS = f"must be one test shape: a name, or `name: arguments` (known: {KNOWN})"


@pytest.mark.parametrize(
    ("raw", "lines"),
    [
        ("pint", [f": {PINT}"]),
        ("zzz", [f": unknown test shape 'zzz'; known: {KNOWN}"]),
        ({"point": 3}, [".point: point takes no arguments; got 3"]),
        ({"point": {"x": 3}}, [".point.x: unknown key; known: none"]),
        ("circle", [".circle.radius: required, but missing"]),
        ({"circle": {"radiu": 3}}, [".circle.radiu: unknown key; did you mean 'radius'? known: radius, colour, open"]),
        ({"circle": "3"}, [".circle: must be a whole number; got '3'; did you mean 3?"]),
        (
            {"circle": {"radius": 3, "colour": "gren"}},
            [".circle.colour: must be 'red' or 'green'; got 'gren'; did you mean 'green'?"],
        ),
        ({"circle": {"radius": 10, "open": True}}, [".circle: radius (=10) must be at most 9 where open"]),
        (
            {"circle": None, "radius": 3},
            [": must be one test shape: indent 'radius' further than 'circle', whose argument it is"],
        ),
        (
            {"point": 1, "disc": 2},
            [": must be one test shape: a name, or `name: arguments`; got 2 names: point, disc"],
        ),
        ({3: 1}, [f": {FORMS}; got {{3: 1}}"]),
        ({}, [f": {FORMS}; got {{}}"]),
        (None, [f": {FORMS}; got null"]),
        (["point"], [f": {FORMS}; got ['point']"]),
        ({"group": [{"circle": 0}, "pint"]}, [".group[0].circle: must be above 0; got 0", f".group[1]: {PINT}"]),
        (
            {"group": {"members": [{"group": [{"circle": True}]}]}},
            [".group.members[0].group[0].circle: must be a whole number; got true"],
        ),
        (
            {"group": {"members": [], "gap": "x"}},
            [".group.gap: must be a whole number, or a list (`- item` lines, or [item, item]); got 'x'"],
        ),
        ({"group": {"members": [], "gap": [0.5, 1.5]}}, [".group.gap[1]: must be below 1; got 1.5"]),
        ({"group": {"members": [], "frame": "pint"}}, [f".group.frame: {PINT}"]),
    ],
)
def test_each_mistake_gets_one_message(raw: Any, lines: list[str]) -> None:
    assert wrong(raw) == [f"it{line}" for line in lines]


def test_a_spec_of_another_kind_is_no_spec_of_this_one() -> None:
    class Colour(Registered, kind="test colour", package="test_shapes"):
        pass

    type("Red", (Colour,), {}, name="red")
    Registry.kinds.pop("test colour")
    (line,) = wrong(Colour.registry.validate("red"))
    assert line.startswith("it: must be one test shape")


class Unions(BaseModel):
    model_config = STRICT

    either: int | Literal["all", "none"] | list[int] = 0
    nested: int | Annotated[list[int | Literal["x"]], MinLen(2)] = 0


@pytest.mark.parametrize(
    ("raw", "line"),
    [
        (
            {"either": "al"},
            "either: must be a whole number, or 'all' or 'none', or a list (`- item` lines, or [item, item]); "
            "got 'al'; did you mean 'all'?",
        ),
        ({"either": [1, "a"]}, "either[1]: must be a whole number; got 'a'"),
        ({"nested": [1, "y"]}, "nested[1]: must be a whole number, or 'x'; got 'y'"),
        ({"nested": [1]}, "nested: must have at least 2 items"),
    ],
)
def test_a_union_gets_one_message(raw: dict[str, Any], line: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Unions.model_validate(raw)
    (found,) = problems(caught.value, Unions, raw)
    assert str(found).startswith(line)


@pytest.mark.parametrize(
    ("annotation", "raw", "line"),
    [
        (bool, "yes", "must be true or false; got 'yes'; did you mean true?"),
        (bool, 1, "must be true or false; got 1"),
        (float, "1_000,5", "must be a number; got '1_000,5'; did you mean 1000.5?"),
        (float, True, "must be a number; got true"),
        (float, None, "must be a number; got null"),
        (float, 1e999, "must be a finite number; got inf"),
        (int, 2.0, "must be a whole number; got 2.0"),
        (str, 12, "must be text; got 12; did you mean '12', in quotes?"),
        (str, ["a"], "must be text; got ['a']"),
        (list[int], 3, "must be a list (`- item` lines, or [item, item]); got 3"),
        (dict[str, int], 3, "must be a mapping, `key: value`; got 3"),
        (Pair, [1, 2, 3], "must be a whole number from 1, or two of them, [height, width]; got [1, 2, 3]"),
        (Pair, True, "must be a whole number from 1, or two of them, [height, width]; got true"),
        (Padding, "fll", "must be a whole number from 0, [height, width], [[top, bottom], [left, right]], 'same' or"),
        (Fraction, 1, "must be below 1; got 1"),
    ],
)
def test_pydantic_is_put_in_plain_words(annotation: Any, raw: Any, line: str) -> None:
    model = create_model("Model", __config__=STRICT, x=(annotation, ...))
    with pytest.raises(ValidationError) as caught:
        model.model_validate({"x": raw})
    (found,) = problems(caught.value, model, {"x": raw})
    assert str(found).startswith(f"x: {line}")


def test_small_words() -> None:
    assert path(("a", 0, 1, "b")) == "a[0][1].b"
    assert path(()) == ""
    assert str(Problem((), "x")) == "x"
    assert short("a" * 100) == "'" + "a" * 56 + "..."
    assert closest("Conv2D", ["conv2d", "dense"]) == "conv2d"
    assert closest("", ["conv2d"]) is None
    assert suggestion("x", []) == "; known: none"


@pytest.mark.parametrize("kind", ["layer", "loss", "optimizer", "schedule", "augmentation", "dataset"])
def test_everything_registered_is_documented_and_has_typed_arguments(kind: str) -> None:
    import gpucnn.config  # noqa: F401  # registers all kinds

    assert list(Registry.kinds[kind])
    for name, cls in Registry.kinds[kind].classes.items():
        assert cls.__doc__, name
        assert cls.__module__.startswith(Registry.kinds[kind].package), name
        arguments_model(cls)
