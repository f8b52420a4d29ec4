"""What pydantic finds wrong with a schema's fields, in the gate's words: what was found, what would be right."""

import dataclasses
import re
from collections.abc import Mapping
from typing import Any, NamedTuple, cast, get_args, get_origin

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from app.schemas.annotations import admits, alternatives, element_type, field_types, is_secret, literals
from app.schemas.codes import Code
from app.schemas.expectations import expected
from app.schemas.problems import Path, did_you_mean, show


class Fault(NamedTuple):
    """A finding before it is known where its schema stands in a config."""

    path: Path
    message: str
    reads: tuple[Path, ...] = ()
    """For a rule between fields, everything it looked at: any of it may be what has to change."""
    depth: int = 0
    """How many of the path's last parts lie below the schema that found it."""
    code: Code = Code.CONFLICT
    """What kind of problem it is."""


def faults_of(cls: type, values: Mapping[str, object], error: ValidationError) -> list[Fault]:
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
        return Fault((name,), no_such_field(cls, name, values), code=Code.UNKNOWN_FIELD)
    annotation = field_types(cls)[name]
    if len(detail["loc"]) == 1 and detail["type"] in ("missing", "missing_keyword_only_argument"):
        return Fault((name,), f"needs a value: {expected(annotation)}", code=Code.MISSING)
    path: Path = (name,)
    value = values[name]
    for part in detail["loc"][1:]:
        inner = element_type(annotation, part)
        if inner is not None and _holds(value, part):
            path, annotation, value = (*path, part), inner, cast(Any, value)[part]
    if detail["type"] == "value_error":
        return Fault(path, str(detail["ctx"]["error"]), code=Code.WRONG_VALUE)
    return Fault(path, _mismatch(annotation, value), code=Code.WRONG_VALUE)


def _holds(value: object, part: str | int) -> bool:
    if isinstance(value, tuple):
        return isinstance(part, int) and part < len(value)
    return isinstance(value, dict) and part in value


def no_such_field(cls: type, name: str, values: Mapping[str, object] | None = None) -> str:
    """The message for a name that is none of a schema's fields; `values` are those given along with it."""
    fields = field_types(cls)
    if name.partition(".")[0] in fields:
        return f"{cls.__name__} has no such field; write it nested, {name.replace('.', ': {', 1)}: …}}"
    parts: dict[str, Any] = {part: type(values[part]) for part in fields if values and part in values}
    deeper = [f"{part}.{name}" for part, kind in parts.items() if _is_schema(kind) and name in field_types(kind)]
    meant = f"; did you mean '{deeper[0]}'?" if len(deeper) == 1 else did_you_mean(name, fields)
    return f"{cls.__name__} has no such field{meant or '; it has ' + ', '.join(fields)}"


def _mismatch(annotation: Any, value: object) -> str:
    """The message for a value that is not of a field's type."""
    if is_secret(annotation):
        return f"expected {expected(annotation)}, found something else (a secret, not shown)"
    message = f"expected {expected(annotation)}, found {show(value)}"
    if isinstance(value, dict) and (wanted := next(filter(_is_schema, alternatives(annotation)), None)):
        return f"expected a {wanted.__name__} object, found a dict"
    if isinstance(value, str):
        if value.casefold() in ("on", "off", "yes", "no") and admits(annotation, bool):
            return f"{message}; write {'true' if value.casefold() in ('on', 'yes') else 'false'}"
        if admits(annotation, int, float) and _is_number(value):
            return f"{message}, a text; write it as a number, without quotes"
        if any(_lists_texts(member) for member in alternatives(annotation)) and re.fullmatch(r"[\w./-]+", value):
            return f"{message}; write it in brackets: [{value}]"
        choices = [choice for choice in literals(annotation) if isinstance(choice, str)]
        return message + did_you_mean(value, choices)
    return message


def _lists_texts(annotation: Any) -> bool:
    """Whether a type is a list of texts, of any length."""
    arguments = get_args(annotation)
    return get_origin(annotation) is tuple and arguments[-1] is Ellipsis and admits(arguments[0], str)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _is_schema(annotation: object) -> bool:
    """As far as a field's type tells, where no other dataclass stands; `schema.is_schema` would need this module."""
    return isinstance(annotation, type) and dataclasses.is_dataclass(annotation)
