"""The smallest set of overrides that turns one config into another.

Overrides are gathered from what differs: the choice of an option first, then what differs from what the option gives.
Too many are gathered rather than too few. Composing decides: where choices do not suffice, since an experiment sets
fields of the option that has to go, whole parts are put in anew; and whatever can be left out is.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

from pydantic import SecretStr

from app.composing.assembly import copied
from app.inspection.facts import default_of, fields_of
from app.inspection.sides import Side
from app.inspection.spelling import UnwritableError, choice, override
from app.schemas.annotations import element_type, field_types
from app.schemas.plain import secrets_of, to_plain
from app.schemas.presets import with_presets
from app.schemas.problems import ConfigError, Path
from app.schemas.registry import Group, Option, group_at, group_of, groups, option_of, options
from app.schemas.resolution import resolve
from app.schemas.run import RunConfig
from app.schemas.schema import is_schema
from app.schemas.validation import inspect

_UNKNOWN: Final = object()
"""Stands for a value that nothing is known of, so that it has to be set."""


class NoWayError(Exception):
    """No overrides turn the one config into the other; its text says why, as far as that is known."""


def overrides_between(before: Side, after: RunConfig) -> list[str]:
    """What to type, beside what makes `before`, to get a config equal to `after`; secrets are left out of it.

    None of the overrides can be left out.

    Raises:
        NoWayError: when there is no such set.
    """
    start = before.config()
    if start.task.name != after.task.name and before.is_of_an_experiment():
        raise NoWayError(f"an experiment stays with its task, {start.task.name}")
    wanted = _plain(after)
    different = {name for name, part in _plain(start).items() if part != wanted[name]}
    forced: set[str] = set()
    while True:
        try:
            words = _gathered(before, start, after, forced)
        except UnwritableError as error:
            raise NoWayError(str(error)) from error
        culprits, reason = _not_right(before, words, wanted)
        if not culprits:
            return _smallest(before, words, wanted)
        further = (culprits & wanted.keys()) - forced or different - forced
        if not further:
            raise NoWayError(reason)
        forced |= further


def _gathered(before: Side, start: RunConfig, after: RunConfig, forced: set[str]) -> list[str]:
    """What differs, part by part; the fields of parts that are `forced` are set whatever they were.

    Other parts follow from one that is changed, as the module from the task and the losses from the module: what is
    still different is asked of the config as it is by then, if the words so far make one.
    """
    gathering = _Gathering(after)
    words: list[str] = []
    for name, annotation in field_types(RunConfig).items():
        found = list(gathering.part(name, getattr(start, name), annotation, forced=name in forced))
        words += found
        if found and name not in forced:
            with suppress(ConfigError):
                start = before.config(words)
    return words


def _smallest(before: Side, words: list[str], wanted: Mapping[str, Any]) -> list[str]:
    """The words less all that can be left out: values first, so that choices are kept.

    A round composes once for each word, and one that left something out is followed by another. One or two are usual;
    words that can be left out only after a later one could make it as many as there are words.
    """
    changed = True
    while changed:
        changed = False
        for word in sorted(words, key=lambda word: word.partition("=")[0] in groups):
            without = [other for other in words if other is not word]
            if not _not_right(before, without, wanted)[0]:
                words, changed = without, True
    return words


def _not_right(before: Side, words: Sequence[str], wanted: Mapping[str, Any]) -> tuple[set[str], str]:
    """The parts of the config that are not as they should be, and why."""
    try:
        found = _plain(before.config(words))
    except ConfigError as error:
        return {re.split(r"[.\[]", problem.path)[0] for problem in error.problems}, str(error)
    wrong = {name for name in wanted if found[name] != wanted[name]}
    return wrong, f"{', '.join(sorted(wrong))} cannot be made equal"


def _plain(config: RunConfig) -> dict[str, Any]:
    """The config as plain containers, less its secrets."""
    plain = to_plain(config)
    for path in secrets_of(config):
        node: Any = plain
        for part in path[:-1]:
            node = node[part]
        node[path[-1]] = None
    return plain


class _Gathering:
    """Gathers overrides that make the parts of a config what they are in `target`."""

    def __init__(self, target: RunConfig) -> None:
        self._target = target
        self._given: dict[tuple[str, str], Any] = {}

    def part(self, name: str, before: Any, annotation: Any, *, forced: bool) -> Iterator[str]:
        """What differs in a part of the run; one that is `forced` is set whatever it was."""
        wanted = getattr(self._target, name)
        if forced:
            yield from self._anew((name,), wanted, annotation)
        else:
            yield from self._value((name,), before, wanted, annotation)

    def _value(self, path: Path, before: Any, wanted: Any, annotation: Any) -> Iterator[str]:
        if before is not _UNKNOWN and type(before) is type(wanted) and before == wanted:
            return
        if isinstance(wanted, SecretStr) or isinstance(before, SecretStr):
            return
        group = group_at(path)
        if is_schema(type(wanted)):
            yield from self._part(path, before, wanted, group)
        elif wanted is None and group is not None and group.mount == group.name:
            yield choice(group, None)
        elif isinstance(wanted, dict):
            yield from self._entries(path, before, wanted, annotation, group)
        elif isinstance(wanted, tuple) and _same_parts(before, wanted):
            for place, pair in enumerate(zip(before, wanted, strict=True)):
                yield from self._value((*path, place), *pair, element_type(annotation, place))
        else:
            yield override(path, self._written(wanted))

    def _part(self, path: Path, before: Any, wanted: Any, group: Group | None) -> Iterator[str]:
        same = before is _UNKNOWN or type(before) is type(wanted)
        ways = [list(self._fields(path, before, wanted))] if same else []
        if group is not None and (not ways or len(ways[0]) > 1):
            named = self._options_of(wanted, group)
            for option in named:
                if same and before is not _UNKNOWN and (len(named) == 1 or not option.preset):
                    continue  # the option is chosen already
                fields = self._fields(path, self._fresh(option), wanted)
                ways.append([choice(group, option.name), *fields])
        elif not same and option_of(wanted) is None and before is None:
            ways.append([override(path, {}), *self._fields(path, _UNKNOWN, wanted)])
        elif not same:
            ways.append([override(path, self._written(wanted))])
        yield from min(ways, key=len)

    def _fields(self, path: Path, before: Any, wanted: Any) -> Iterator[str]:
        for name, annotation in fields_of(wanted).items():
            value = _UNKNOWN if before is _UNKNOWN else getattr(before, name)
            yield from self._value((*path, name), value, getattr(wanted, name), annotation)

    def _entries(
        self, path: Path, before: Any, wanted: Mapping[Any, Any], annotation: Any, group: Group | None
    ) -> Iterator[str]:
        there = before if isinstance(before, dict) else {}
        by_name = {key: wanted[key] for key in wanted if group and _is_named(key, wanted[key], group)}
        if group is not None and (there.keys() - wanted.keys() or by_name.keys() - there.keys()):
            yield choice(group, list(by_name))
            there = {key: self._fresh(options[group.name][key]) for key in by_name}
        elif there.keys() - wanted.keys():
            yield override(path, {})
            there = {}
        elif group is None and not there and len(wanted) > 1:
            yield override(path, self._written(wanted))
            return
        for key, item in wanted.items():
            if key in there and (there[key] is _UNKNOWN or type(there[key]) is type(item)):
                yield from self._value((*path, key), there[key], item, element_type(annotation, key))
            else:
                yield override((*path, key), self._written(item))

    def _anew(self, path: Path, wanted: Any, annotation: Any) -> Iterator[str]:
        """What sets a value whatever was set before it."""
        group = group_at(path)
        if isinstance(wanted, dict):
            yield override(path, {})
            for key, item in wanted.items():
                yield override((*path, key), self._written(item))
        elif is_schema(type(wanted)) and group is not None and group.name != "task" and not group.presets_only:
            option = self._nearest(wanted, group)
            yield override(path, {"id": option.name})
            yield from self._inside(path, self._fresh(option), wanted, option.preset)
        elif is_schema(type(wanted)):
            if group is not None and group.name == "task":  # what others interpolate is there once it is chosen
                yield choice(group, self._nearest(wanted, group).name)
            for name, inner in fields_of(wanted).items():
                yield from self._anew((*path, name), getattr(wanted, name), inner)
        elif not isinstance(wanted, SecretStr):
            yield from self._value(path, _UNKNOWN, wanted, annotation)

    def _inside(self, path: Path, given: Any, wanted: Any, preset: Mapping[str, object] | None = None) -> Iterator[str]:
        """The fields of a part that was put in anew: only an `id` says what an option in it is.

        What is not set has the value of `given`. A part of the part that is set has its own defaults then.
        """
        for name in fields_of(wanted):
            value = getattr(wanted, name)
            before = default_of(type(wanted), name, preset) if given is _UNKNOWN else getattr(given, name)
            if (before == value and type(before) is type(value)) or isinstance(value, SecretStr):
                continue
            inner = []
            if is_schema(type(value)) and _group_of_schema(type(value)) is None:
                inner = list(self._inside((*path, name), _UNKNOWN, value))
            yield from inner or [override((*path, name), self._written(value))]

    def _written(self, value: Any) -> Any:
        """A value as users write it: of an option its name as `id`, and what differs from what that gives."""
        if isinstance(value, tuple | list):
            return [self._written(item) for item in value]
        if isinstance(value, dict):
            return {key: self._written(item) for key, item in value.items()}
        if not is_schema(type(value)):
            return value
        group = _group_of_schema(type(value))
        option = None if group is None else self._nearest(value, group)
        given = _UNKNOWN if option is None else self._fresh(option)
        preset = None if option is None else option.preset
        written: dict[str, Any] = {} if option is None else {"id": option.name}
        for name in fields_of(value):
            item = getattr(value, name)
            default = default_of(type(value), name, preset) if given is _UNKNOWN else getattr(given, name)
            if (item != default or type(item) is not type(default)) and not isinstance(item, SecretStr):
                written[name] = self._written(item)
        return written

    def _nearest(self, value: Any, group: Group) -> Option:
        """The option of whose fields the fewest have to be changed."""

        def changed(option: Option) -> int:
            fresh = self._fresh(option)
            return sum(getattr(fresh, name, _UNKNOWN) != getattr(value, name) for name in fields_of(value))

        return min(self._options_of(value, group), key=changed)

    def _options_of(self, value: object, group: Group) -> list[Option]:
        """The options that a part may be of: tasks share schemas, but may not choose each other's options."""
        of_schema = [option for option in options[group.name].values() if option.schema is type(value)]
        return [option for option in of_schema if option.serves(self._target.task.name)] or of_schema

    def _fresh(self, option: Option) -> Any:
        """The part that choosing an option gives in the target; `_UNKNOWN` for one that needs values first."""
        key = (option.group.name, option.name)
        if key not in self._given:
            tree = {**_plain(self._target), "chosen": with_presets(copied(option.tree), option.group.base)}
            resolved, faults = resolve(tree)
            found, problems = inspect(resolved["chosen"], option.group.base)
            unresolved = any(fault.path[0] == "chosen" for fault in faults)
            self._given[key] = _UNKNOWN if problems or unresolved else found
        return self._given[key]


def _group_of_schema(schema: type) -> Group | None:
    """The group that has a schema, or one that it derives from, as an option's."""
    return next((group for base in schema.__mro__ if (group := group_of(base)) is not None), None)


def _is_named(key: object, value: object, group: Group) -> bool:
    """Whether an entry stands under the name of its own option."""
    option = options[group.name].get(str(key))
    return option is not None and option.schema is type(value)


def _same_parts(before: object, wanted: tuple[object, ...]) -> bool:
    """Whether lists hold the same kinds of parts, so that one of them can be changed by its position."""
    kinds = [type(item) for item in wanted]
    return (
        isinstance(before, tuple)
        and [type(item) for item in before] == kinds
        and all(map(is_schema, kinds))
        and bool(kinds)
    )
