"""`@schema` makes a class a checked dataclass; `@rule` states what must hold between its fields.

A schema is keyword-only, knows no other fields than its own, never coerces a value into another type, and is checked
when it is made and on every assignment. Whatever is wrong with it comes back as one `ConfigError`.
"""

import dataclasses
import inspect
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import cache, partial
from types import UnionType
from typing import (
    Annotated,
    Any,
    Literal,
    NamedTuple,
    TypeVar,
    Union,
    cast,
    dataclass_transform,
    get_args,
    get_origin,
    get_type_hints,
)

from pydantic import ConfigDict, SecretStr, TypeAdapter, ValidationError
from pydantic_core import ArgsKwargs, ErrorDetails, PydanticKnownError, SchemaValidator, core_schema

from app.schemas.expectations import expected
from app.schemas.problems import ConfigError, Path, Problem, did_you_mean, dotted, show

S = TypeVar("S")
Finding = tuple[str | Path, str]
"""What a rule yields: the path below the schema it judges (dotted, or as parts where a key holds dots); the message."""
Rule = TypeVar("Rule", bound=Callable[[Any], Iterator[Finding]])

_CONFIG = ConfigDict(
    strict=True,  # neither "5" nor true is a number, and 5 is not a text
    extra="forbid",
    allow_inf_nan=False,
)


schemas: dict[str, type] = {}
"""Every schema by its import path: the only classes that a stored config can name."""


class Fault(NamedTuple):
    """A finding before it is known where its schema stands in a config."""

    path: Path
    message: str
    reads: tuple[Path, ...] = ()
    """For a rule between fields, everything it looked at: any of it may be what has to change."""
    depth: int = 0
    """How many of the path's last parts lie below the schema that found it."""


@dataclass_transform(kw_only_default=True, field_specifiers=(dataclasses.field,))
def schema(cls: type[S]) -> type[S]:
    """Make a class of annotated fields a schema.

    Raises:
        ConfigError: from the class it returns, when an instance is made or changed in a way that may not run.
    """
    made = cast(Any, dataclasses.dataclass(kw_only=True, init=False)(cls))
    made.__pydantic_config__ = _CONFIG
    made.__init__ = _checked_init
    made.__setattr__ = _checked_setattr
    made.__signature__ = _signature(made)
    schemas[f"{made.__module__}.{made.__qualname__}"] = made
    return cast(type[S], made)


def rule(*reads: str) -> Callable[[Rule], Rule]:
    """Mark a method that yields a `Finding` for everything wrong between the fields it reads.

    `reads` are dotted paths below the schema. A rule is passed over while one of them is itself wrong: judging a
    value that the user has to change anyway would only add noise.
    """

    def mark(method: Rule) -> Rule:
        vars(method)["reads"] = tuple(tuple(path.split(".")) for path in reads)
        return method

    return mark


def is_schema(annotation: object) -> bool:
    """Whether this is a class made by `@schema`."""
    return isinstance(annotation, type) and annotation.__init__ is _checked_init  # type: ignore[misc]  # compared, not called


def is_abstract(cls: type) -> bool:
    """Whether a schema only serves as the base of others."""
    return "abstract" in vars(cls)


@cache
def field_types(cls: type) -> Mapping[str, Any]:
    """The fields of a schema with their types, `Annotated` limits included, in the order they are written."""
    hints = get_type_hints(cls, include_extras=True)
    return {field.name: hints[field.name] for field in dataclasses.fields(cls)}


def has_default(cls: type, name: str) -> bool:
    """Whether a schema's field may be left out."""
    field = next(field for field in dataclasses.fields(cls) if field.name == name)
    return field.default is not dataclasses.MISSING or field.default_factory is not dataclasses.MISSING


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
    validator = _validator(cls)
    try:
        validator.validate_python(ArgsKwargs((), kept), self_instance=instance)
    except ValidationError as error:
        left_out = {path[0] for path in bad} - set(kept)
        faults = [fault for fault in _faults(cls, kept, error) if fault.path[0] not in left_out]
        wrong = {fault.path[0] for fault in faults}
        kept = {name: value for name, value in kept.items() if name not in wrong}
        try:
            validator.validate_python(ArgsKwargs((), kept), self_instance=instance)
        except ValidationError:
            return faults, False
    faults += broken_rules(instance, [*bad, *(fault.path for fault in faults)])
    return faults, True


def broken_rules(instance: Any, bad: Collection[Path] = (), *, about: str | None = None) -> Iterator[Fault]:
    """What the schema's rules find wrong; only the rules that read the field `about`, when it is given."""
    cls: type = type(instance)
    for method in _rules(cls):
        reads: tuple[Path, ...] = method.reads
        if any(_overlap(path, read) for path in bad for read in reads):
            continue
        if about is None or any(read[0] == about for read in reads):
            for path, message in method(instance):
                yield Fault(tuple(path.split(".")) if isinstance(path, str) else path, message, reads)


def frozen(value: object) -> object:
    """Lists as tuples, all the way down: a sequence in a schema cannot be changed behind the gate's back."""
    if isinstance(value, list | tuple) and not hasattr(value, "_fields"):
        return tuple(frozen(item) for item in value)
    if isinstance(value, dict):
        return {key: frozen(item) for key, item in value.items()}
    return value


def _checked_init(self: Any, **values: object) -> None:
    cls: type = type(self)
    if is_abstract(cls):
        raise ConfigError([Problem(path=cls.__name__, message="is the base of a group's options; use one of them")])
    faults, _ = fill(self, values)
    _raise(cls, faults)


def _checked_setattr(self: Any, name: str, value: object) -> None:
    cls: type = type(self)
    if name not in field_types(cls):
        _raise(cls, [Fault((name,), _no_such_field(cls, name))])
    before = getattr(self, name)
    try:
        _validator(cls).validate_assignment(self, name, frozen(value))
    except ValidationError as error:
        _raise(cls, _faults(cls, {name: frozen(value)}, error))
    if faults := list(broken_rules(self, about=name)):
        _validator(cls).validate_assignment(self, name, before)
        _raise(cls, faults)


def _raise(cls: type, faults: Collection[Fault]) -> None:
    if faults:
        raise ConfigError(
            Problem(path=dotted(fault.path), message=fault.message).under(cls.__name__) for fault in faults
        )


@cache
def _validator(cls: type) -> SchemaValidator:
    """Pydantic's validator, made on first use: a run looks at a dozen schemas, and making all would take too long."""
    adapter: TypeAdapter[Any] = TypeAdapter(cls)
    strict = _with_strict_literals(adapter.core_schema)
    return cast(SchemaValidator, adapter.validator) if strict is adapter.core_schema else SchemaValidator(strict)


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


def _signature(cls: Any) -> inspect.Signature:
    """The signature of the fields, for hydra-zen's `builds` and for editors."""
    return inspect.Signature(
        [
            inspect.Parameter(
                field.name,
                inspect.Parameter.KEYWORD_ONLY,
                annotation=field.type,
                default=inspect.Parameter.empty
                if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
                else field.default
                if field.default is not dataclasses.MISSING
                else dataclasses._HAS_DEFAULT_FACTORY,  # type: ignore[attr-defined]  # the mark inspect and hydra-zen know
            )
            for field in dataclasses.fields(cls)
        ]
    )


@cache
def _rules(cls: type) -> tuple[Any, ...]:
    members = {name: member for base in reversed(cls.__mro__) for name, member in vars(base).items()}
    return tuple(member for member in members.values() if hasattr(member, "reads"))


def _overlap(one: Path, other: Path) -> bool:
    return all(left == right for left, right in zip(one, other, strict=False))


def _faults(cls: type, values: Mapping[str, object], error: ValidationError) -> list[Fault]:
    """Pydantic's errors in the gate's words, one for each place: a union that fails reports every alternative."""
    found: dict[Path, Fault] = {}
    for detail in error.errors(include_url=False):
        if detail["type"] == "default_factory_not_called":  # a default made from a field that is itself wrong
            continue
        fault = _fault(cls, values, detail)
        found.setdefault(fault.path, fault)
    # A list with a wrong element is also not the list that was expected; the element says it better.
    around = {path[:length] for path in found for length in range(len(path))}
    return [fault for path, fault in found.items() if path not in around]


def _fault(cls: type, values: Mapping[str, object], detail: ErrorDetails) -> Fault:
    name = str(detail["loc"][0])
    if detail["type"] in ("unexpected_keyword_argument", "no_such_attribute"):
        return Fault((name,), _no_such_field(cls, name, values))
    annotation = field_types(cls)[name]
    if len(detail["loc"]) == 1 and detail["type"] in ("missing", "missing_keyword_only_argument"):
        return Fault((name,), f"needs a value: {expected(annotation)}")
    path: Path = (name,)
    value = values[name]
    for part in detail["loc"][1:]:
        inner = element_type(annotation, part)
        if inner is not None and _holds(value, part):
            path, annotation, value = (*path, part), inner, cast(Any, value)[part]
    if detail["type"] == "value_error":
        return Fault(path, str(detail["ctx"]["error"]))
    return Fault(path, mismatch(annotation, value))


def _holds(value: object, part: str | int) -> bool:
    if isinstance(value, tuple):
        return isinstance(part, int) and part < len(value)
    return isinstance(value, dict) and part in value


def _no_such_field(cls: type, name: str, values: Mapping[str, object] | None = None) -> str:
    fields = field_types(cls)
    if name.partition(".")[0] in fields:
        return f"{cls.__name__} has no such field; write it nested, {name.replace('.', ': {', 1)}: …}}"
    parts: dict[str, Any] = {part: type(values[part]) for part in fields if values and part in values}
    deeper = [f"{part}.{name}" for part, kind in parts.items() if is_schema(kind) and name in field_types(kind)]
    meant = f"; did you mean '{deeper[0]}'?" if len(deeper) == 1 else did_you_mean(name, fields)
    return f"{cls.__name__} has no such field{meant or '; it has ' + ', '.join(fields)}"


def mismatch(annotation: Any, value: object) -> str:
    """The message for a value that is not of a field's type."""
    if is_secret(annotation):
        return f"expected {expected(annotation)}, found something else (a secret, not shown)"
    message = f"expected {expected(annotation)}, found {show(value)}"
    if isinstance(value, dict) and (wanted := next(filter(is_schema, alternatives(annotation)), None)):
        return f"expected a {wanted.__name__} object, found a dict"
    if isinstance(value, str):
        if value.casefold() in ("on", "off", "yes", "no") and _admits(annotation, bool):
            return f"{message}; write {'true' if value.casefold() in ('on', 'yes') else 'false'}"
        if _admits(annotation, int, float) and _is_number(value):
            return f"{message}, a text; write it as a number, without quotes"
        choices = [choice for choice in _literals(annotation) if isinstance(choice, str)]
        return message + did_you_mean(value, choices)
    return message


def element_type(annotation: Any, part: str | int) -> Any:
    """The type of one element of a tuple or mapping field, looking through unions; None for other types."""
    for alternative in alternatives(annotation):
        origin, arguments = get_origin(alternative), get_args(alternative)
        if origin is tuple and isinstance(part, int):
            if arguments[-1] is Ellipsis:
                return arguments[0]
            return arguments[part] if part < len(arguments) else None
        if origin in (dict, Mapping):
            return arguments[1]
    return None


def alternatives(annotation: Any) -> tuple[Any, ...]:
    """The members of a union, nested ones and `Annotated` unwrapped; a plain type is its own only member."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return alternatives(get_args(annotation)[0])
    if origin in (Union, UnionType):
        return tuple(found for member in get_args(annotation) for found in alternatives(member))
    return (annotation,)


def is_secret(annotation: Any) -> bool:
    """Whether values of this type must never be written anywhere."""
    return SecretStr in alternatives(annotation)


def _literals(annotation: Any) -> list[object]:
    return [
        choice for member in alternatives(annotation) if get_origin(member) is Literal for choice in get_args(member)
    ]


def _admits(annotation: Any, *types: type) -> bool:
    return any(member in types for member in alternatives(annotation))


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
