"""Names to classes: how a config's `conv2d: {out_channels: 32}` becomes a `Conv2d(out_channels=32)`.

Every kind of thing that a config names (layer, loss, optimizer, ...) has a base class that derives from
`Registered` and states its `kind` and the package its files live in; every class of that kind states its `name`:

    class Layer(Registered, kind="layer", package="gpucnn.layers"): ...
    class Conv2d(Layer, name="conv2d"):
        def __init__(self, out_channels: PositiveInt, kernel_size: Pair, *, bias: bool = True) -> None: ...

That is all. The constructor's signature is the schema: the same pydantic model, derived from it, checks a config
and a call from Python. A parameter annotated with a base class (`list[Layer]`) nests: in a config it is written as
specs, which are validated into `Spec` and built before the constructor sees them.

A config may write `relu` for `relu: {}`, and `dense: 10` or `residual: [...]` for the first parameter alone.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import pkgutil
import typing
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Generic, TypeVar, cast

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler, GetJsonSchemaHandler, ValidationError, create_model
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from gpucnn.errors import ArgumentError
from gpucnn.problems import Problem, problems, short, suggestion

__all__ = ["STRICT", "Registered", "Registry", "Spec", "arguments_model"]

T = TypeVar("T", bound="Registered", covariant=True)

STRICT = ConfigDict(
    strict=True, extra="forbid", allow_inf_nan=False, arbitrary_types_allowed=True, protected_namespaces=()
)
"""What every pydantic model here has in common: no silent conversions, no unknown keys, finite numbers."""


class Registered:
    """Base of everything that a config can name."""

    kind: ClassVar[str]
    name: ClassVar[str]
    registry: ClassVar[Registry]
    spec: Spec[Any]
    """What a config would have to say to get this object."""

    def __init__(self) -> None:
        """Take no arguments, unless a class says otherwise."""

    def __init_subclass__(cls, *, kind: str = "", package: str = "", name: str = "") -> None:
        if kind:
            cls.kind, cls.registry = kind, Registry(kind, package, cls)
        if name:
            cls.name = name
            cls.registry.add(cls)
            cls.__init__ = _checked(cls.__init__)  # type: ignore[method-assign]  # one check for config and Python

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            cls.registry.validate, serialization=core_schema.plain_serializer_function_ser_schema(_dump)
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"kind": cls.kind}  # gpucnn.config.schema puts the kind's own schema here


class Spec(Generic[T]):  # no dataclass: pydantic would take the generic one for a model of its own
    """A validated `name: arguments` of a config, not yet built. As a field's type, `Spec[Layer]`: a spec of a layer."""

    def __init__(self, cls: type[T], arguments: BaseModel) -> None:
        self.cls, self.arguments = cls, arguments

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Spec) and (self.cls, self.arguments) == (other.cls, other.arguments)

    def __repr__(self) -> str:
        return f"Spec({self.name}: {self.arguments!r})"

    @property
    def name(self) -> str:
        """The name that the config uses."""
        return self.cls.name

    def build(self) -> T:
        """Return a new object: nested specs first, then this one's constructor."""
        return self.cls(**{key: _build(value) for key, value in self.arguments})

    def dump(self) -> str | dict[str, Any]:
        """Return the spec as a config writes it, every default included."""
        arguments = self.arguments.model_dump(mode="json")
        return {self.name: arguments} if arguments else self.name

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        (base,) = typing.get_args(source)
        return core_schema.no_info_plain_validator_function(
            lambda raw: _spec(base.registry.validate(raw)),
            serialization=core_schema.plain_serializer_function_ser_schema(_dump),
            metadata={"pydantic_js_functions": [base.__get_pydantic_json_schema__]},
        )


class Registry:
    """The classes of one kind by name. Files of the kind's package are imported at the first look-up."""

    kinds: ClassVar[dict[str, Registry]] = {}

    def __init__(self, kind: str, package: str, base: type[Registered]) -> None:
        self.kind, self.package, self.base = kind, package, base
        self._classes: dict[str, type[Registered]] = {}
        Registry.kinds[kind] = self

    def add(self, cls: type[Registered]) -> None:
        """Register a class under its name, once."""
        if self._classes.get(cls.name, cls).__qualname__ != cls.__qualname__:
            raise ArgumentError(f"{self.kind} {cls.name!r} is registered twice: {self._classes[cls.name]} and {cls}")
        self._classes[cls.name] = cls

    @functools.cached_property
    def classes(self) -> Mapping[str, type[Registered]]:
        """Name to class, sorted by name."""
        package = importlib.import_module(self.package)
        for module in pkgutil.iter_modules(package.__path__):
            importlib.import_module(f"{self.package}.{module.name}")
        return dict(sorted(self._classes.items()))

    def __iter__(self) -> Iterator[str]:
        return iter(self.classes)

    def __getitem__(self, name: str) -> type[Registered]:
        if name not in self.classes:
            raise ArgumentError(f"unknown {self.kind} {name!r}{suggestion(name, self.classes)}")
        return self.classes[name]

    def validate(self, raw: Any) -> Any:
        """Return the Spec of what a config wrote; an object that is built already is returned as it is.

        Raises PydanticCustomError of type `nested`, whose context holds the list of problems.
        """
        if isinstance(raw, self.base) or (isinstance(raw, Spec) and issubclass(raw.cls, self.base)):
            return raw
        try:
            name, arguments, shorthand = self._split(raw)
            cls = self[name]
        except ArgumentError as error:
            raise _nested([Problem((), str(error))]) from None
        model = arguments_model(cls)
        if not isinstance(arguments, dict):
            if not model.model_fields:
                raise _nested([Problem((name,), f"{name} takes no arguments; got {short(arguments)}")])
            shorthand, arguments = True, {next(iter(model.model_fields)): arguments}
        try:
            spec: Spec[Any] = Spec(cls, model.model_validate(arguments))
            spec.build()  # for the rules that a constructor adds to the types of its arguments
            return spec
        except ArgumentError as error:
            raise _nested([Problem((name,), str(error).removeprefix(f"{cls.__name__}: "))]) from None
        except ValidationError as error:
            found = problems(error, model, arguments)
            inside = [p.location[1:] if shorthand else p.location for p in found]
            raise _nested([Problem((name, *loc), p.message) for loc, p in zip(inside, found, strict=True)]) from None

    def _split(self, raw: Any) -> tuple[str, Any, bool]:
        if isinstance(raw, str):
            return raw, {}, False
        if isinstance(raw, dict) and len(raw) == 1 and isinstance(next(iter(raw)), str):
            ((name, arguments),) = raw.items()
            return name, {} if arguments is None else arguments, False
        raise ArgumentError(f"must be one {self.kind}: {self._forms(raw)}")

    def _forms(self, raw: Any) -> str:
        """Return how a thing of this kind is written, in view of what was written instead."""
        names = list(raw) if isinstance(raw, dict) else []
        if len(names) > 1 and names[0] in self.classes and raw[names[0]] is None:
            return f"indent {names[1]!r} further than {names[0]!r}, whose argument it is"
        if len(names) > 1:
            return f"a name, or `name: arguments`; got {len(names)} names: {', '.join(map(str, names))}"
        return f"a name, or `name: arguments` (known: {', '.join(self.classes)}); got {short(raw)}"


_MODELS: dict[type[Registered], type[BaseModel]] = {}


def arguments_model(cls: type[Registered]) -> type[BaseModel]:
    """Return the pydantic model of a class's constructor: a field for each parameter."""
    if cls not in _MODELS:
        _MODELS[cls] = _arguments_model(cls)
    return _MODELS[cls]


def _arguments_model(cls: type[Registered]) -> type[BaseModel]:
    constructor = inspect.unwrap(cls.__init__)
    hints = typing.get_type_hints(constructor, include_extras=True)
    parameters = list(inspect.signature(constructor).parameters.values())[1:]
    fields: dict[str, Any] = {
        p.name: (hints[p.name], ... if p.default is p.empty else p.default)
        for p in parameters
        if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
    }
    return create_model(cls.__name__, __config__=STRICT, __doc__=inspect.getdoc(cls), **fields)


def _nested(found: list[Problem]) -> PydanticCustomError:
    return PydanticCustomError("nested", "{problems}", {"problems": found})


def _checked(constructor: Any) -> Any:
    """Return a constructor that checks its arguments by the model derived from its own signature."""
    if hasattr(constructor, "__wrapped__"):
        return constructor
    signature = inspect.signature(constructor)

    @functools.wraps(constructor)
    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        if type(self).__init__ is not init:  # called by a subclass's constructor, whose arguments are checked
            constructor(self, *args, **kwargs)
            return
        given = dict(list(signature.bind(self, *args, **kwargs).arguments.items())[1:])
        model = arguments_model(type(self))
        try:
            checked = model.model_validate(given)
        except ValidationError as error:
            found = problems(error, model, given)
            raise ArgumentError(f"{type(self).__name__}: " + "; ".join(map(str, found))) from None
        self.spec = Spec(type(self), checked)
        constructor(self, **{key: _build(value) for key, value in checked})

    return init


def _build(value: Any) -> Any:
    if isinstance(value, Spec):
        return value.build()
    if isinstance(value, list):
        return [_build(item) for item in value]
    return value


def _spec(value: Any) -> Spec[Any]:
    return value if isinstance(value, Spec) else cast(Registered, value).spec


def _dump(value: Any) -> Any:
    return _spec(value).dump()
