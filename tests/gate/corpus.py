"""Wrong and right configs, made from the schemas themselves.

What is wrong about a value follows from the field's annotation alone, read here independently of the gate.
"""

import difflib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from types import UnionType
from typing import Annotated, Any, Literal, Union, cast, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt, MaxLen, MinLen
from pydantic import AfterValidator, BeforeValidator, SecretStr

from app.schemas.annotations import field_types
from app.schemas.problems import dotted
from app.schemas.registry import groups, options
from app.schemas.run import DEFAULT_OPTIONS, RunConfig
from app.schemas.schema import is_schema
from app.schemas.user_paths import UserPath
from app.tasks import import_task_configs
from tests.choosing import FIXED, task_of

NONSENSE = "zz not a value"
DEFAULT_TASK = str(DEFAULT_OPTIONS["task"])


@dataclass(frozen=True)
class Wrong:
    """One wrong setting: `kind` says in what way."""

    kind: str
    path: tuple[str, ...]
    value: Any = None
    prefix: str = ""
    """What stands before the key on the command line."""

    meant: str | None = None
    """For a misspelt name, the right one."""

    names: tuple[str, ...] = ()
    """For a misspelt name, all the right ones."""

    @property
    def where(self) -> str:
        """The path as messages show it."""
        return dotted(self.path)

    @property
    def override(self) -> str:
        """As it is typed."""
        return f"{self.prefix}{'.'.join(self.path)}={typed(self.value)}"


def typed(value: object) -> str:
    """A value in the grammar of the command line, which flow YAML shares."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, str):
        return f"'{value}'" if not value.startswith("${") and value != "???" else value
    if isinstance(value, list | tuple):
        return f"[{','.join(map(typed, value))}]"
    if isinstance(value, dict):
        return f"{{{','.join(f'{key}: {typed(item)}' for key, item in value.items())}}}"
    return str(value)


def in_yaml(value: object) -> str:
    """A value in flow YAML."""
    if isinstance(value, float) and not math.isfinite(value):
        return f"{'-' if value < 0 else ''}.{'nan' if math.isnan(value) else 'inf'}"
    if isinstance(value, str):
        return f"'{value}'"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(in_yaml, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key}: {in_yaml(item)}' for key, item in value.items())}}}"
    return typed(value)


def members(annotation: Any) -> Iterator[tuple[Any, tuple[Any, ...]]]:
    """The plain types of a union, each with its limits."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        yield from ((member, (*limits, *arguments[1:])) for member, limits in members(arguments[0]))
    elif origin in (Union, UnionType):
        for argument in arguments:
            yield from members(argument)
    else:
        yield annotation, ()


def wrong_values(annotation: Any) -> Iterator[tuple[str, Any]]:
    """Values that a field of this type does not take, with the kind of wrongness."""
    types = list(members(annotation))
    plain = [member for member, _ in types]
    origins = [get_origin(member) for member in plain]
    literals = [choice for member in plain if get_origin(member) is Literal for choice in get_args(member)]
    texts = str in plain or SecretStr in plain
    numbers = [(member, limits) for member, limits in types if member in (int, float)]
    if any(is_schema(member) for member in plain):
        yield from (("scalar for mapping", 3), ("text for mapping", NONSENSE), ("list for mapping", [1]))
        return
    if Any in plain:
        return
    if dict in origins:
        yield from (("scalar for mapping", 3), ("list for mapping", ["a"]))
    elif not texts:
        yield "mapping for scalar", {"zz": 1}
    if not texts:
        yield "text", NONSENSE
        if numbers:
            yield "number as text", "5"
    forms = [limit for _, limits in types for limit in limits if isinstance(limit, AfterValidator)]
    if texts and forms:
        kind = "home of nobody" if forms == [get_args(UserPath)[-1]] else "text of the wrong form"
        yield kind, "~zz not/a value"
    if texts and not numbers:
        yield "number for text", 5
    told_by_others = any(isinstance(limit, BeforeValidator) for _, limits in types for limit in limits)
    if type(None) not in plain and not told_by_others:
        yield "null", None
    if tuple not in origins:
        yield "list for scalar", [NONSENSE, NONSENSE]
    if tuple in origins and not numbers:
        yield "scalar for list", 3.25
    if bool not in plain and not any(choice is True for choice in literals):
        yield "boolean", True
    if bool in plain and not numbers:
        yield "number for boolean", 1
    if numbers and float not in plain:
        yield "fraction for whole number", 1.5
    if numbers and not texts:
        yield from (("NaN", math.nan), ("infinity", math.inf), ("minus infinity", -math.inf))
    lowest = [bound(limits, Ge, Gt, -1) for _, limits in numbers]
    highest = [bound(limits, Le, Lt, 1) for _, limits in numbers]
    if numbers and None not in lowest:
        yield "too small", min(low for low in lowest if low is not None)
    if numbers and None not in highest:
        yield "too large", max(high for high in highest if high is not None)
    for choice in literals:
        if isinstance(choice, str) and not texts and len(choice) > 2:
            yield "wrong choice", misspelt(choice, [str(one) for one in literals])
    for member, limits in types:
        if get_origin(member) is tuple:
            yield from _wrong_lists(member, limits)


def _wrong_lists(member: Any, limits: tuple[Any, ...]) -> Iterator[tuple[str, Any]]:
    arguments = get_args(member)
    if arguments[-1] is not Ellipsis:
        right = [right_value(argument) for argument in arguments]
        yield from (("list too short", right[:-1]), ("list too long", [*right, right[-1]]))
        element = list(wrong_values(arguments[-1]))
        yield from ((f"element: {kind}", [*right[:-1], value]) for kind, value in element[:2])
    else:
        for limit in limits:
            if isinstance(limit, MinLen) and limit.min_length == 1:
                yield "list too short", []
            if isinstance(limit, MaxLen):
                yield "list too long", [right_value(arguments[0])] * (limit.max_length + 1)
        yield from ((f"element: {kind}", [value]) for kind, value in list(wrong_values(arguments[0]))[:2])


def bound(limits: tuple[Any, ...], closed: type, open_: type, step: int) -> float | None:
    """The nearest whole number beyond a limit; None without one."""
    for limit in limits:
        if isinstance(limit, closed):
            return number_of(limit) + step
        if isinstance(limit, open_):
            return number_of(limit)
    return None


def number_of(limit: Any) -> float:
    """The number that a limit holds."""
    return cast(float, next(getattr(limit, name) for name in ("ge", "gt", "le", "lt") if hasattr(limit, name)))


def right_value(annotation: Any) -> Any:
    """Some value of a simple type that is in range."""
    member, limits = next(iter(members(annotation)))
    if get_origin(member) is Literal:
        return get_args(member)[0]
    if member in (int, float):
        low, high = bound(limits, Ge, Gt, 0), bound(limits, Le, Lt, 0)
        if member is float:
            return 0.5 if low is None or high is not None or low < 0.5 else low + 0.5
        return 1 if low is None else low + 1
    return {str: "a", bool: True}[member]


def misspelt(name: str, names: list[str]) -> str:
    """A name with a slip of the finger in it, which is no other name."""
    middle = len(name) // 2
    tries = [name[:middle] + name[middle + 1 :], name + name[-1], name[:middle] + "q" + name[middle:]]
    return next(word for word in tries if len(word) > 1 and word not in names and name not in word[:-2])


def likeness(one: str, other: str) -> float:
    """How alike two names are, from 0 to 1."""
    return difflib.SequenceMatcher(None, one, other).ratio()


def fields_of(cls: type, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], type, str, Any]]:
    """Every field of a schema and of the parts inside it: path, declaring class, name, type."""
    for name, annotation in field_types(cls).items():
        declared = next(base for base in cls.__mro__ if name in vars(base).get("__annotations__", {}))
        yield (*path, name), declared, name, annotation
        inner = [member for member, _ in members(annotation) if is_schema(member)]
        if len(inner) == 1 and type(None) not in get_args(annotation):
            yield from fields_of(inner[0], (*path, name))


def wrong_settings(group: str, option: str, seen: set[tuple[type, str]]) -> Iterator[Wrong]:
    """Everything wrong that can be done to one option's fields; a field that options share is worked through once."""
    schema = options[group][option].schema
    root = (*groups[group].path, option) if groups[group].several else groups[group].path
    yield from unknown_keys(schema, root)
    yield from wrong_fields(schema, root, seen)


def wrong_fields(schema: type, root: tuple[str, ...], seen: set[tuple[type, str]]) -> Iterator[Wrong]:
    """Every field with every kind of wrong value, and misspelt."""
    for path, declared, name, annotation in fields_of(schema, root):
        if (declared, name) in seen or (schema is RunConfig and (name in groups or path[0] in groups)):
            continue
        seen.add((declared, name))
        for kind, value in wrong_values(annotation):
            yield Wrong(kind, path, value)
        yield Wrong("missing", path, "???")
        yield Wrong("interpolation to nothing", path, "${nothing.like.this}")
        yield Wrong("interpolation in a circle", path, f"${{{'.'.join(path)}}}")
        names = tuple(field_types(declared_in(schema, root, path)))
        yield Wrong("misspelt key", (*path[:-1], misspelt(name, list(names))), 1, meant=name, names=names)


def declared_in(schema: type, root: tuple[str, ...], path: tuple[str, ...]) -> type:
    """The schema that the last part of a path is a field of."""
    found = schema
    for part in path[len(root) : -1]:
        found = next(member for member, _ in members(field_types(found)[part]) if is_schema(member))
    return found


def unknown_keys(schema: type, root: tuple[str, ...]) -> Iterator[Wrong]:
    """Keys that no schema has, and those with which Hydra would call things."""
    for prefix in ("", "+", "++"):
        yield Wrong(f"unknown key with '{prefix}'", (*root, f"zzunknown{len(prefix)}"), 1, prefix)
    if schema is not RunConfig:
        for key, value in (
            ("_target_", "os.system"),
            ("_partial_", True),
            ("_args_", [1]),
            ("_recursive_", False),
            ("_convert_", "all"),
        ):
            yield Wrong("reserved key", (*root, key), value)
            yield Wrong("reserved key with '+'", (*root, key), value, "+")


def batches(wrongs: list[Wrong]) -> list[list[Wrong]]:
    """Few compositions, none of which has two wrongs that could hide each other."""
    made: list[list[Wrong]] = []
    for wrong in wrongs:
        for batch in made:
            if all(apart(wrong.path, other.path) for other in batch):
                batch.append(wrong)
                break
        else:
            made.append([wrong])
    return made


def apart(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    """Whether neither path lies on the way to the other."""
    return any(left != right for left, right in zip(one, other, strict=False))


def corpus() -> list[tuple[list[str], list[Wrong]]]:
    """What to choose, and everything wrong that is then to be set: one entry for each layer of options.

    A layer is of one task, which it chooses first. It takes one option from every group with one choice, the next that
    is left: those of the task while there are some, or else those that serve every task, so that there are no more
    layers than needed. The options of a group of several are all there at once. Parts of a model have layers of their
    own, on the module that is made of them.
    """
    import_task_configs()
    seen: set[tuple[type, str]] = set()
    inner = [group for group in groups if groups[group].mount.startswith("module.")]
    single = [group for group in groups if not groups[group].several and group not in inner]
    several = [group for group in groups if groups[group].several]
    entries = [*_layers(single, [], seen), *_layers(inner, ["module=parts"], seen)]
    entries[0][1].extend([*unknown_keys(RunConfig, ()), *wrong_fields(RunConfig, (), seen)])
    for group in several:
        names = [name for name in options[group] if name not in FIXED]
        wrongs = [wrong for option in names for wrong in wrong_settings(group, option, seen)]
        entries.append(([f"task={DEFAULT_TASK}", f"{group}=[{','.join(names)}]"], wrongs))
    return entries


def _layers(
    single: list[str], first: list[str], seen: set[tuple[type, str]]
) -> Iterator[tuple[list[str], list[Wrong]]]:
    left: dict[tuple[str, str | None], list[str]] = {}
    for group in single:
        for name in options[group]:
            left.setdefault((group, task_of(group, name)), []).append(name)
    tasks = [*dict.fromkeys((DEFAULT_TASK, *options["task"]))]
    while any(left.values()):
        task = next((task for task in tasks if any(left.get((group, task)) for group in single)), DEFAULT_TASK)
        choices = [f"task={task}", *first]
        wrongs: list[Wrong] = []
        for group in single:
            if names := left.get((group, task)) or left.get((group, None)):
                option = names.pop(0)
                choices += [f"{group}={option}"] if group != "task" else []
                wrongs += wrong_settings(group, option, seen)
        yield choices, wrongs
