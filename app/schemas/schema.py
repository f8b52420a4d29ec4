"""`@schema` makes a class a checked dataclass.

A schema is keyword-only, knows no other fields than its own, never coerces a value into another type, and is checked
when it is made and on every assignment. Whatever is wrong with it comes back as one `ConfigError`.
"""

import dataclasses
import inspect
from collections.abc import Collection, Mapping
from functools import cache, partial
from typing import Any, Final, TypeVar, cast, dataclass_transform

from pydantic import ConfigDict, GetCoreSchemaHandler, TypeAdapter, ValidationError
from pydantic_core import ArgsKwargs, CoreSchema, PydanticKnownError, SchemaValidator, core_schema

from app.schemas.annotations import field_types
from app.schemas.codes import Code
from app.schemas.faults import Fault, faults_of, no_such_field
from app.schemas.problems import ConfigError, Path, Problem, dotted, show
from app.schemas.rules import broken_rules

S = TypeVar("S")

_CONFIG = ConfigDict(
    strict=True,  # neither "5" nor true is a number, and 5 is not a text
    extra="forbid",
    allow_inf_nan=False,
)


MISSING: Final = "???"
"""What stands in a tree for a value that somebody has to give, as OmegaConf writes it."""

MADE_FROM_OTHERS: Final = object()
"""Stands for the default of a field that is made from the fields before it."""

schemas: dict[str, type] = {}
"""Every schema by its import path: the only classes that a stored config can name."""


@dataclass_transform(kw_only_default=True, field_specifiers=(dataclasses.field,))
def schema(cls: type[S]) -> type[S]:
    """Make a class of annotated fields a schema.

    Raises:
        ConfigError: from the class it returns, when an instance is made or changed in a way that may not run.
    """
    # What a dataclass compiles for each class is the same for all of ours, and compiling it takes most of the time.
    made = cast(Any, dataclasses.dataclass(kw_only=True, init=False, repr=False, eq=False, match_args=False)(cls))
    made.__pydantic_config__ = _CONFIG
    made.__get_pydantic_core_schema__ = classmethod(_core_schema)
    made.__init__ = _checked_init
    made.__setattr__ = _checked_setattr
    made.__repr__ = _repr
    made.__eq__ = _equal
    made.__hash__ = None
    made.__signature__ = _Signature()
    schemas[import_path(made)] = made
    return cast(type[S], made)


def is_schema(annotation: object) -> bool:
    """Whether this is a class made by `@schema`."""
    return isinstance(annotation, type) and annotation.__init__ is _checked_init  # type: ignore[misc]  # compared, not called


def import_path(cls: type) -> str:
    """`app.schemas.optimizers.AdamWSpec`."""
    return f"{cls.__module__}.{cls.__qualname__}"


def is_abstract(cls: type) -> bool:
    """Whether a schema only serves as the base of others."""
    return "abstract" in vars(cls)


def fill(instance: Any, values: Mapping[str, object], bad: Collection[Path] = ()) -> tuple[list[Fault], bool]:
    """Check `values` and put them into a new schema object.

    Fields that do not pass keep their defaults, so that the remaining rules can still be judged. `bad` names paths
    already known to be wrong and left out of `values`.

    Returns:
        Everything found wrong, and whether the object is usable: it is not when a field without a default is wrong.
    """
    cls: type = type(instance)
    kept = {name: frozen(value) for name, value in values.items()}
    faults: list[Fault] = []
    defaults = known_defaults(cls)
    if all(name in defaults and _same(value, defaults[name]) for name, value in kept.items()):
        others = [field for field in dataclasses.fields(instance) if field.name not in kept]
        if all(field.name in defaults for field in others):
            # A part that nobody has changed is right, as a test makes sure; making a validator for it takes longest.
            vars(instance).update(kept, **{field.name: default_of(field) for field in others})
            return list(broken_rules(instance, bad)), True
    validator = _validator(cls)
    try:
        validator.validate_python(ArgsKwargs((), kept), self_instance=instance)
    except ValidationError as error:
        left_out = {path[0] for path in bad} - set(kept)
        faults = [fault for fault in faults_of(cls, kept, error) if fault.path[0] not in left_out]
        wrong = {fault.path[0] for fault in faults}
        kept = {name: value for name, value in kept.items() if name not in wrong}
        try:
            validator.validate_python(ArgsKwargs((), kept), self_instance=instance)
        except ValidationError:
            return faults, False
    faults += broken_rules(instance, [*bad, *(fault.path for fault in faults)])
    return faults, True


def default_of(field: dataclasses.Field[Any]) -> object:
    """What a field starts from: `dataclasses.MISSING` where a value is needed, `MADE_FROM_OTHERS` where others tell."""
    factory = field.default_factory
    if factory is dataclasses.MISSING:
        return field.default
    return MADE_FROM_OTHERS if _takes_others(cast(Any, factory)) else factory()


def required_fields(cls: type) -> list[str]:
    """The fields of a schema that need a value."""
    return [
        field.name
        for field in dataclasses.fields(cast(Any, cls))
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    ]


def initial_values(cls: type) -> dict[str, object]:
    """The fields of a schema with what they start from, `MISSING` where a value is needed."""
    return {field.name: known_defaults(cls).get(field.name, MISSING) for field in dataclasses.fields(cast(Any, cls))}


@cache
def known_defaults(cls: type) -> Mapping[str, object]:
    """What fields start from, of all that start from something whatever the others are."""
    starts = {field.name: default_of(field) for field in dataclasses.fields(cast(Any, cls))}
    unknown = (dataclasses.MISSING, MADE_FROM_OTHERS)
    return {name: frozen(value) for name, value in starts.items() if not any(value is each for each in unknown)}


@cache
def _takes_others(factory: Any) -> bool:
    return not isinstance(factory, type) and bool(inspect.signature(factory).parameters)


def _same(value: object, other: object) -> bool:
    """Equal, and of the same type all the way down: to Python, true and 1.0 equal 1."""
    if type(value) is not type(other):
        return False
    if isinstance(value, tuple) and isinstance(other, tuple):
        return len(value) == len(other) and all(map(_same, value, other))
    if isinstance(value, dict) and isinstance(other, dict):
        return value.keys() == other.keys() and all(_same(item, other[key]) for key, item in value.items())
    if is_schema(type(value)):
        return _same(vars(value), vars(other))
    return value == other


def frozen(value: object) -> object:
    """Lists as tuples, all the way down: a sequence in a schema cannot be changed behind the gate's back."""
    if isinstance(value, list | tuple) and not hasattr(value, "_fields"):
        return tuple(frozen(item) for item in value)
    if isinstance(value, dict):
        return {key: frozen(item) for key, item in value.items()}
    return value


def _checked_init(self: Any, *unnamed: object, **values: object) -> None:
    cls: type = type(self)
    if unnamed:
        raise ConfigError([Problem(path=cls.__name__, message=f"takes its fields by name, found {show(unnamed[0])}")])
    if is_abstract(cls):
        raise ConfigError([Problem(path=cls.__name__, message="is the base of a group's options; use one of them")])
    faults, _ = fill(self, values)
    _raise(cls, faults)


def _checked_setattr(self: Any, name: str, value: object) -> None:
    cls: type = type(self)
    if name not in field_types(cls):
        _raise(cls, [Fault((name,), no_such_field(cls, name), code=Code.UNKNOWN_FIELD)])
    before = getattr(self, name)
    try:
        _validator(cls).validate_assignment(self, name, frozen(value))
    except ValidationError as error:
        _raise(cls, faults_of(cls, {name: frozen(value)}, error))
    if faults := list(broken_rules(self, about=name)):
        _validator(cls).validate_assignment(self, name, before)
        _raise(cls, faults)


def _repr(self: Any) -> str:
    fields = (f"{field.name}={getattr(self, field.name)!r}" for field in dataclasses.fields(self))
    return f"{type(self).__qualname__}({', '.join(fields)})"


def _equal(self: Any, other: object) -> Any:
    return vars(self) == vars(other) if type(other) is type(self) else NotImplemented


def _raise(cls: type, faults: Collection[Fault]) -> None:
    if faults:
        raise ConfigError(
            Problem(path=dotted(fault.path), message=fault.message, code=fault.code).under(cls.__name__)
            for fault in faults
        )


@cache
def _validator(cls: type) -> SchemaValidator:
    """Pydantic's validator, made on first use: a run looks at a dozen schemas, and making all would take too long."""
    adapter: TypeAdapter[Any] = TypeAdapter(cls)
    strict = _with_strict_literals(adapter.core_schema)
    return cast(SchemaValidator, adapter.validator) if strict is adapter.core_schema else SchemaValidator(strict)


def _core_schema(_: type, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
    """What pydantic makes of a schema; in a field it is only told by its class, since its values are checked already.

    Pydantic would make the inner schemas of all parts anew for each schema around them.
    """
    return handler(source) if handler.field_name is None else core_schema.is_instance_schema(source)


def _with_strict_literals(core: Any) -> Any:
    """Pydantic's inner schema with literals that take their own type only: to Python, true and 1.0 equal 1."""
    if isinstance(core, list):
        items = [_with_strict_literals(item) for item in core]
        return items if any(new is not old for new, old in zip(items, core, strict=True)) else core
    if not isinstance(core, dict):
        return core
    if core.get("type") == "literal" and not all(isinstance(choice, str) for choice in core["expected"]):
        return core_schema.no_info_before_validator_function(partial(_one_of, core["expected"]), cast(Any, core))
    changed = {key: new for key, old in core.items() if (new := _with_strict_literals(old)) is not old}
    return {**core, **changed} if changed else core


def _one_of(choices: Collection[object], value: object) -> object:
    if not any(choice == value and type(choice) is type(value) for choice in choices):
        raise PydanticKnownError("literal_error", {"expected": show(list(choices))})
    return value


class _Signature:
    """The signature of the fields, for hydra-zen's `builds` and for editors; made for who asks."""

    def __get__(self, instance: object, cls: Any) -> inspect.Signature:
        return inspect.Signature([_parameter(field) for field in dataclasses.fields(cls)])


def _parameter(field: dataclasses.Field[Any]) -> inspect.Parameter:
    default: object = field.default
    if field.default_factory is not dataclasses.MISSING:
        default = dataclasses._HAS_DEFAULT_FACTORY  # type: ignore[attr-defined]  # the mark inspect and hydra-zen know
    elif default is dataclasses.MISSING:
        default = inspect.Parameter.empty
    return inspect.Parameter(field.name, inspect.Parameter.KEYWORD_ONLY, annotation=field.type, default=default)
