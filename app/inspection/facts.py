"""What the schemas say of options and fields, as facts to lay out: in a terminal, or on a page of the docs.

Words of the config stand in backticks, which a terminal leaves out.
"""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any, Final, cast

from app.inspection.spelling import as_typed
from app.schemas.annotations import alternatives, element_type, field_types
from app.schemas.descriptions import first_paragraph, summary
from app.schemas.metrics.metric import MetricConfig
from app.schemas.phases import Mode
from app.schemas.registry import Option, groups
from app.schemas.schema import default_of as default_of_field
from app.schemas.schema import is_schema

_OF_THE_TASK: Final = {"${task.kind}": "multiclass", "${task.num_classes}": 3}
"""What presets refer to, as a task of several classes has it."""

ABSENT: Final = object()
"""Stands for what is not there."""


def in_order(named: Mapping[str, Option]) -> Mapping[str, Option]:
    """The options as they are registered, those of each task together whichever task was imported first."""
    return dict(sorted(named.items(), key=lambda item: _task_of(item[1])))


def what_it_is(option: Option) -> str:
    """One line on an option: what is preset, where options differ in nothing else, and else what its schema says."""
    if option.group.presets_only and option.preset:
        return "with " + ", ".join(f"`{key}={as_typed(value)}`" for key, value in option.preset.items())
    return first_paragraph(summary(option.schema))


def default_of(schema: type, name: str, preset: Mapping[str, object] | None = None) -> object:
    """What a field starts from, in an option that has presets; without one as its schema says it."""
    if preset and name in preset:
        return preset[name]
    return default_of_field(next(one for one in dataclasses.fields(cast(Any, schema)) if one.name == name))


def own_fields(option: Option) -> Mapping[str, Any]:
    """What the option's schema adds to the base of its group, or has otherwise than that, with the types."""
    base = option.group.base
    shared = field_types(base)
    return {
        name: annotation
        for name, annotation in field_types(option.schema).items()
        if name not in shared or annotation != shared[name] or default_of(option.schema, name) != default_of(base, name)
    }


def fields_of(config: object) -> Mapping[str, Any]:
    """The fields of a schema object, with their types."""
    schema: type = type(config)
    return field_types(schema)


def schemas_inside(annotation: Any) -> Iterator[type]:
    """The schemas in a field's type that belong to no group."""
    for member in alternatives(annotation):
        inner = [member, element_type(member, 0), element_type(member, "")]
        for found in inner:
            if is_schema(found) and not any(issubclass(found, group.base) for group in groups.values()):
                yield found


def computed_from(option: Option) -> str:
    """The outputs that go into a loss or metric; an argument that is called otherwise than its output is named."""
    return ", ".join(
        f"`{output}`" if output == argument else f"`{output}` (`{argument}`)"
        for argument, output in _example(option).output_of().items()
    )


def logged(option: Option) -> str:
    """What is logged of a metric, as one can monitor it."""
    config: MetricConfig = _example(option)
    if config.table:
        return f"no number; a table of {', '.join(config.table)}"
    results = config.results(option.name)
    if len(results) > 2:
        first, mode = next(iter(results.items()))
        return f"`{first}`, … for each class{_direction(mode)}"
    return ", ".join(f"`{result}`{_direction(mode)}" for result, mode in results.items())


def _example(option: Option) -> Any:
    """A config of the option as a task of several classes has it, unchecked: what it is computed from and logs."""
    config: Any = object.__new__(option.schema)
    for field in dataclasses.fields(cast(Any, option.schema)):
        value = default_of(option.schema, field.name, option.preset)
        if field.name in option.preset:
            value = _OF_THE_TASK.get(str(value), value)
        elif value is dataclasses.MISSING:
            value = 2  # stands for what a user has to set
        object.__setattr__(config, field.name, value)
    return config


def _task_of(option: Option) -> str:
    """The task that an option is of, by its name, or else by where its schema stands; none for what serves all."""
    module = option.schema.__module__
    return option.owner or (module.split(".")[2] if module.startswith("app.tasks.") else "")


def _direction(mode: Mode | None) -> str:
    return "" if mode is None else f" ({mode})"
