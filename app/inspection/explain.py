"""`app explain GROUP[=OPTION]`: what can be chosen and set, each field with what it takes, its default and its meaning.

app explain                           what a run is made of
app explain optimizer_spec            the options of a group, and what all of them have
app explain optimizer_spec=sgd        every field of an option
app explain optimizer_spec.lr         one field, in all options that have it
"""

import dataclasses
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, get_args, get_origin

from app.commands import COMMANDS
from app.flags import split
from app.inspection.facts import (
    computed_from,
    default_of,
    in_order,
    logged,
    own_fields,
    schemas_inside,
    what_it_is,
)
from app.inspection.spelling import as_typed
from app.schemas.annotations import alternatives, field_types
from app.schemas.codes import Code
from app.schemas.descriptions import first_paragraph, sentences, summary
from app.schemas.expectations import expected
from app.schemas.metrics.metric import MetricConfig
from app.schemas.outputs import OutputMapping
from app.schemas.problems import ConfigError, Problem, did_you_mean
from app.schemas.registry import Group, Option, group_at, group_of, groups, options
from app.schemas.run import RunConfig, groups_in_order
from app.schemas.schema import MADE_FROM_OTHERS, is_schema
from app.tasks import import_task_configs

_WIDTH: Final = 100


def answer(words: Sequence[str]) -> str:
    """What `app explain` prints for `GROUP`, `GROUP=OPTION` or the path of a field; for nothing, all there is.

    Raises:
        ConfigError: when there is no such thing, with the nearest one that there is.
    """
    import_task_configs()
    _, chosen, names, problems = split(words, COMMANDS["explain"].flags)
    if len(words) > 1 and not problems:
        message = "one thing is explained at a time: app explain GROUP, GROUP=OPTION or PATH"
        problems.append(Problem(path="", message=message, source=" ".join(words), code=Code.OVERRIDE))
    if problems:
        raise ConfigError(problems)
    if chosen:
        name, _, option = chosen[0].partition("=")
        lines = _option(_option_called(name, option))
    else:
        lines = _anything(names[0]) if names else _run()
    return "\n".join(lines).replace("`", "").rstrip()


def explained_fields(part: str) -> str:
    """What `app explain` says of each field of a part of a run, such as `export`."""
    fields = field_types(field_types(RunConfig)[part])
    return "\n".join(line for name in fields for line in _path(f"{part}.{name}")).replace("`", "").rstrip()


def _run() -> Iterator[str]:
    yield "A run is made of these; app explain <name> says more of each."
    yield ""
    for name in field_types(RunConfig):
        yield from _indented(f"{name}{'=<option>' if name in groups else ''}", sentences(RunConfig)[name])
    inner = [group for group in groups_in_order() if group.mount != group.name]
    if inner:
        yield ""
        yield "Parts of parts have options too:"
        yield ""
    for group in inner:
        yield from _indented(f"{group.name}=<option>, at {group.mount}", first_paragraph(summary(group.base)))


def _anything(name: str) -> Iterator[str]:
    group = groups.get(name) or group_at(tuple(name.split(".")))
    return _group(group) if group is not None else _path(name)


def _group(group: Group) -> Iterator[str]:
    yield from (f"{group.name}{_place(group)}", "", *_text(summary(group.base)), "")
    named = in_order(options[group.name])
    width = max(map(len, named))
    for name, option in named.items():
        first, *more = textwrap.wrap(what_it_is(option), _WIDTH - len(group.name) - width - 3)
        yield f"{group.name}={name:{width}}  {first}"
        yield from (" " * (len(group.name) + width + 3) + line for line in more)
    yield ""
    if shared := field_types(group.base):
        yield from ("Each is this, with other defaults:" if group.presets_only else "Every option has:", "")
        yield from _fields(group.base, shared)


def _option(option: Option) -> Iterator[str]:
    group = option.group
    yield from (f"{group.name}={option.name} configures {option.target}{_place(group, option)}", "")
    if group.presets_only and option.preset:
        yield from (*_text(f"{first_paragraph(summary(option.schema))} Here {what_it_is(option)}."), "")
    else:
        yield from (*_text(summary(option.schema)), "")
    if issubclass(option.schema, OutputMapping):
        yield f"computed from  {computed_from(option)}"
        if issubclass(option.schema, MetricConfig):
            yield f"logs           {logged(option)}"
        yield "  (as for a task of several classes)"
        yield ""
    own = field_types(option.schema) if group.presets_only else own_fields(option)
    shared = {name: annotation for name, annotation in field_types(option.schema).items() if name not in own}
    yield from _fields(option.schema, own, option.preset)
    if shared:
        yield from (f"Like every option of {group.name} it has:", "")
        yield from _fields(option.schema, shared, option.preset)


def _place(group: Group, option: Option | None = None) -> str:
    """Where the choice stands, unless it is the name of the group."""
    if group.several:
        return f", at {group.mount}.{option.name if option else '<name>'}; several can be chosen: {group.name}=[…]"
    return f", at {group.mount}" if group.mount != group.name else ""


def _fields(schema: type, fields: Mapping[str, Any], preset: Mapping[str, object] | None = None) -> Iterator[str]:
    for name in fields:
        yield from _field(name, schema, name, preset)
    yield ""


def _field(title: str, schema: type, name: str, preset: Mapping[str, object] | None = None) -> Iterator[str]:
    value = default_of(schema, name, preset)
    if value is dataclasses.MISSING:
        title += ", which needs a value"
    elif value is not MADE_FROM_OTHERS and not is_schema(type(value)):
        title += f" = {as_typed(value)}"
    yield from _indented(title, expected(field_types(schema)[name]), sentences(schema).get(name, ""))


def _path(path: str) -> Iterator[str]:
    """A field, in whatever options have it: those that mean the same by it together."""
    meant: dict[tuple[str, ...], list[str]] = {}
    inside: dict[type, None] = {}
    name = path.rpartition(".")[2]
    having, every = _owners(path)
    for owner, schema, preset in having:
        meant.setdefault(tuple(_field(path, schema, name, preset)), []).append(owner)
        inside |= dict.fromkeys(schemas_inside(field_types(schema)[name]))
    for lines, owners in meant.items():
        of = "" if len(owners) == every else f"   ({', '.join(owners)})"
        yield from (*_text(f"{lines[0]}{of}"), *lines[1:])
    for part in inside:
        yield from ("", part.__name__, "", *_text(summary(part)), "")
        yield from _fields(part, field_types(part))


def _owners(path: str) -> tuple[list[tuple[str, type, Mapping[str, object]]], int]:
    """The schemas that have the field at the end of a path, each with the option's name and preset; and of how many."""
    *around, last = path.split(".")
    if around and around[0] in groups:
        around[:1] = groups[around[0]].path
    here: list[tuple[str, type, Mapping[str, object]]] = [("", RunConfig, {})]
    annotation: Any = None
    for place, part in enumerate([*around, last]):
        having = [owner for owner in here if part in field_types(owner[1])]
        if not having and annotation is not None and _is_open(annotation):
            # The key of an entry, which says what the entry is if it is the name of an option.
            named = [owner for owner in here if owner[0] == part]
            here, annotation = named or here, None
            if place == len(around):
                raise ConfigError([_unknown(path, place, [name for _, one, _ in here for name in field_types(one)])])
            continue
        if not having:
            fields = [name for _, one, _ in here for name in field_types(one)]
            raise ConfigError([_unknown(path, place, [*fields, *(groups if not place else ())])])
        if place == len(around):
            return having, len(here)
        annotation = field_types(having[0][1])[part]
        inside = (found for owner in having for found in _inside(field_types(owner[1])[part]))
        here = list({found[:2]: found for found in inside}.values())  # the same ones in parts of several kinds
    raise AssertionError("the loop ends with the path")


def _inside(annotation: Any) -> Iterator[tuple[str, type, Mapping[str, object]]]:
    """The schemas that a field of this type may hold, directly or in its entries."""
    for member in alternatives(annotation):
        for found in (member, *get_args(member)):
            group = group_of(found) if isinstance(found, type) else None
            if group is not None:
                yield from ((name, option.schema, option.preset) for name, option in options[group.name].items())
            elif is_schema(found):
                yield ("", found, {})


def _is_open(annotation: Any) -> bool:
    """Whether entries of a field stand under keys or positions of a user's."""
    return any(get_origin(member) in (dict, tuple) for member in alternatives(annotation))


def _unknown(path: str, place: int, there: Sequence[str]) -> Problem:
    parts = path.split(".")
    before = f"{'.'.join(parts[:place])} has" if place else "there is"
    there = list(dict.fromkeys(there))
    meant = did_you_mean(parts[place], there) or f"; there is {', '.join(there) or 'nothing in it'}"
    return Problem(path=path, message=f"{before} no '{parts[place]}'{meant}", code=Code.UNKNOWN_FIELD)


def _option_called(name: str, option: str) -> Option:
    if name not in groups:
        at_mount = group_at(tuple(name.split(".")))
        if at_mount is not None:
            message = f"is where the choice stands; did you mean '{at_mount.name}={option}'?"
            raise ConfigError([Problem(path=name, message=message, code=Code.UNKNOWN_FIELD)])
        meant = did_you_mean(name, groups) or f"; groups: {', '.join(group.name for group in groups_in_order())}"
        raise ConfigError([Problem(path=name, message=f"no group '{name}'{meant}", code=Code.UNKNOWN_FIELD)])
    if option not in options[name]:
        from app.choices import check_choice  # which Hydra comes with

        message = check_choice(name, option) or f"no option '{option}'"
        raise ConfigError([Problem(path=name, message=message, code=Code.UNKNOWN_OPTION)])
    return options[name][option]


def _indented(title: str, *texts: str) -> Iterator[str]:
    yield title
    for text in texts:
        yield from textwrap.wrap(text, _WIDTH, initial_indent="    ", subsequent_indent="    ", break_on_hyphens=False)


def _text(text: str) -> Iterator[str]:
    """Paragraphs, each wrapped anew unless it is laid out."""
    for paragraph in text.split("\n"):
        yield from textwrap.wrap(paragraph, _WIDTH + 20) or [""]
