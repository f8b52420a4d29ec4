"""What differs between two configs, field by field, each with its type."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import SecretStr

from app.inspection.facts import ABSENT, default_of, fields_of
from app.inspection.spelling import as_typed, shortened
from app.schemas.annotations import element_type
from app.schemas.plain import MASK
from app.schemas.problems import Path, dotted
from app.schemas.run import RunConfig
from app.schemas.schema import is_schema


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One value, or one part, in which two configs differ."""

    path: Path
    type: str
    """The field's type; empty where parts differ in kind."""

    before: object
    after: object
    """What stands there: a value, a part of some schema, or `ABSENT`."""

    def __str__(self) -> str:
        kind = f"{self.type}  " if self.type else ""
        return f"{dotted(self.path)}: {kind}{_shown(self.before)} → {_shown(self.after)}"


def differences(before: object, after: object) -> Iterator[Difference]:
    """What differs between two schema objects, in the order of the second one's fields.

    Where a part became another kind of part, then what is set in it beside its own defaults follows.
    """
    yield from _of_parts(before, after, ())


def _of_parts(before: Any, after: Any, path: Path) -> Iterator[Difference]:
    if type(before) is not type(after):
        yield Difference(path=path, type="", before=before, after=after)
    for name, annotation in fields_of(after).items():
        if type(after) is RunConfig or hasattr(before, name):
            yield from _of_values(getattr(before, name), getattr(after, name), annotation, (*path, name))
        else:
            default = default_of(type(after), name)
            found = getattr(after, name)
            if not _equal(default, found):
                both = is_schema(type(found)) and type(found) is type(default)
                yield from _of_values(default if both else ABSENT, found, annotation, (*path, name))


def _of_values(before: Any, after: Any, annotation: Any, path: Path) -> Iterator[Difference]:
    if _equal(before, after):
        return
    if is_schema(type(after)):
        yield from _of_parts(before, after, path)
    elif isinstance(before, dict) and isinstance(after, dict):
        yield from _of_entries(before, after, annotation, path)
    elif isinstance(before, tuple) and isinstance(after, tuple) and _of_same_parts(before, after):
        for place, pair in enumerate(zip(before, after, strict=True)):
            yield from _of_values(*pair, element_type(annotation, place), (*path, place))
    else:
        part = is_schema(type(before))
        yield Difference(path=path, type="" if part else _type(annotation), before=before, after=after)


def _of_entries(
    before: Mapping[Any, object], after: Mapping[Any, object], annotation: Any, path: Path
) -> Iterator[Difference]:
    for key in {**before, **after}:
        inner = element_type(annotation, key)
        if key in after:
            yield from _of_values(before.get(key, ABSENT), after[key], inner, (*path, key))
        else:
            part = is_schema(type(before[key]))
            yield Difference(path=(*path, key), type="" if part else _type(inner), before=before[key], after=ABSENT)


def _of_same_parts(before: tuple[object, ...], after: tuple[object, ...]) -> bool:
    """Whether two lists hold parts that can be compared one by one."""
    return len(before) == len(after) and all(is_schema(type(item)) for item in (*before, *after))


def _equal(before: object, after: object) -> bool:
    return type(before) is type(after) and before == after


def _shown(value: object) -> str:
    if value is ABSENT:
        return "(none)"
    if is_schema(type(value)):
        return type(value).__name__
    if isinstance(value, SecretStr):
        return MASK
    if isinstance(value, tuple | list) and any(is_schema(type(item)) for item in value):
        return f"[{', '.join(map(_shown, value))}]"
    if isinstance(value, dict) and any(is_schema(type(item)) for item in value.values()):
        return f"{{{', '.join(f'{key}: {_shown(item)}' for key, item in value.items())}}}"
    return shortened(as_typed(value))


def _type(annotation: Any) -> str:
    """A type as Python writes it, less its limits; a literal's choices are of the type that they have."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _type(arguments[0])
    if origin in (Union, UnionType):
        return " | ".join(dict.fromkeys(map(_type, arguments)))
    if origin is Literal:
        return " | ".join(dict.fromkeys(type(choice).__name__ for choice in arguments))
    if origin is not None:
        inside = ", ".join("..." if argument is Ellipsis else _type(argument) for argument in arguments)
        return f"{origin.__name__}[{inside}]"
    return "None" if annotation is NoneType else getattr(annotation, "__name__", str(annotation))
