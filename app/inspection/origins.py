"""Where the values of a config come from: every step that set one, in the order in which the steps took effect.

The order is that of composing: the default of the schema, what is preset for the option, a checkpoint's stored config
in place of both, the experiments from the base up, the overrides. Choices of options come before all values.
"""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, cast

from app.compose import Composed, compose_tree, taken_away
from app.composing.experiments import read_experiment, with_bases
from app.composing.overrides import read_overrides
from app.composing.stored_config import StoredConfig, stored_config
from app.inspection.definitions import default_choice_place, default_losses_place, field_place, preset_place
from app.inspection.facts import ABSENT, default_of
from app.inspection.nested import concerns, prefixes, value_at
from app.inspection.spelling import choice
from app.inspection.steps import Origin, Step
from app.schemas.annotations import field_types
from app.schemas.plain import MASK, to_plain
from app.schemas.presets import with_presets
from app.schemas.problems import Path, dotted, shown_path
from app.schemas.registry import Group, Option, group_at, groups, has_own_id, option_of, options
from app.schemas.resolution import references
from app.schemas.run import DEFAULT_OPTIONS, RunConfig
from app.schemas.schema import MADE_FROM_OTHERS, is_schema


class Origins:
    """The history of a composed config."""

    def __init__(self, composed: Composed) -> None:
        self.composed = composed
        self._read = read_overrides(composed.overrides)[0]
        named = [word.value for word in self._read if word.kind == "experiment" and word.value]
        self._experiments = with_bases(read_experiment(named[0]))[0] if named else []
        self._stored: StoredConfig | None = stored_config(self._read, self._experiments)

    def of(self, path: Path) -> list[Origin]:
        """Every step towards the value at a path, the one that holds last."""
        anew = self._chosen_anew(path)
        found = [choice for at in prefixes(path) for choice in self._choices(at)]
        steps: Sequence[Step] = self._steps
        if anew is not None:
            at, steps = anew[0], self._steps[anew[1] :]
            option = f"{dotted(at)}={{id: {value_at(steps[0].values, at)['id']}}}"
            found.append(steps[0].origin(option, at, kind="choice"))
        stored = self._stored_origin(path) if anew is None else None
        found += [stored] if stored else self._defaults(path)
        for step in steps:
            value = value_at(step.tree, path)
            in_vain = value is None and isinstance(value_at(step.values, path), dict)
            if value is not ABSENT and not in_vain and concerns(step.values, path):
                found.append(step.origin(value, path))
        return [*found, *self._filled_in(path, found[-1] if found else None)]

    def leads_to(self, path: Path, value: object) -> list[Path]:
        """What the interpolations in a value, as it is written at a path, lead to."""
        if isinstance(value, dict | list | tuple):
            items = value.items() if isinstance(value, dict) else enumerate(value)
            return [found for key, item in items for found in self.leads_to((*path, key), item)]
        if not isinstance(value, str) or "${" not in value:
            return []
        tree = with_presets(dict(self.composed.tree), RunConfig)
        return references(tree, path, value)

    def _filled_in(self, path: Path, last: Origin | None) -> Iterator[Origin]:
        """What a schema makes of the value as it was written: the columns of a table where none are given."""
        owner, value = type(value_at(self.composed.config, path[:-1])), value_at(self._plain_config, path)
        written = ABSENT if last is None else last.value
        is_choice = last is not None and last.kind == "choice"
        if is_choice or not is_schema(owner) or isinstance(value, dict) or value == MASK or "${" in str(written):
            return
        if value != written:
            by, place = f"filled in by {owner.__name__}", field_place(owner, str(path[-1]))
            yield Origin(kind="filled", value=value, by=by, place=place)

    @cached_property
    def _plain_config(self) -> Mapping[str, Any]:
        return to_plain(self.composed.config)

    @cached_property
    def _start(self) -> Mapping[str, Any]:
        """What the choices alone make."""
        return self._composed(0, 0)

    @cached_property
    def _steps(self) -> list[Step]:
        steps: list[Step] = []
        for count, experiment in enumerate(self._experiments, 1):
            steps.append(Step(experiment.values, self._composed(count, 0), experiment))
        values = [place for place, override in enumerate(self._read) if override.kind == "value"]
        for count, place in enumerate(values, 1):
            override = self._read[place]
            if taken_away(override.path, self._read[place:]):
                continue
            nested: Any = override.value
            for part in reversed(override.path):
                nested = {str(part): nested}
            steps.append(Step(nested, self._composed(len(self._experiments), count), override))
        return steps

    def _composed(self, experiments: int, values: int) -> Mapping[str, Any]:
        """The tree that all choices make, with what so many experiments set, and so many of the overrides."""
        setting = self._experiments[:experiments]
        choosing = [dataclasses.replace(one, values={}) for one in self._experiments[experiments:]]
        left_out = [override for override in self._read if override.kind == "value"][values:]
        typed = [override for override in self._read if not any(override is other for other in left_out)]
        stored = None if self._stored is None else self._stored.tree
        tree = compose_tree(typed, [*setting, *choosing], stored, [])
        assert tree is not None, "the config was composed before"
        return tree

    def _chosen_anew(self, path: Path) -> tuple[Path, int] | None:
        """Where around the path, and in which step, values last chose an option in place of what was there."""
        found = None
        for count, step in enumerate(self._steps):
            for at in prefixes(path):
                value = value_at(step.values, at)
                if isinstance(value, dict) and "id" in value and self._is_option(at):
                    found = (at, count)
        return found

    def _is_option(self, path: Path) -> bool:
        config = value_at(self.composed.config, path)
        return is_schema(type(config)) and not has_own_id(type(config))

    def _choices(self, path: Path) -> Iterator[Origin]:
        """What chose the option that stands at a path, in order."""
        group = group_at(path)
        if group is None:
            return
        if self._stored is None and (default := self._default_choice(group)) is not None:
            yield default
        yield from self._explicit_choices(group)

    def _explicit_choices(self, group: Group) -> Iterator[Origin]:
        if group.name == "task" and (first := self._experiments[:1]) and first[0].task != DEFAULT_OPTIONS["task"]:
            value, by = choice(group, first[0].task), f"experiment {first[0].name}"
            yield Origin(kind="choice", value=value, by=by, place=shown_path(first[0].file))
        for experiment in self._experiments:
            by = f"experiment {experiment.name}"
            if group.name in experiment.choices:
                value = choice(group, experiment.choices[group.name])
                yield Origin(kind="choice", value=value, by=by, place=experiment.choice_places[group.name])
        for override in self._read:
            if override.kind == "choice" and override.key == group.name:
                value = choice(group, override.value)
                yield Origin(kind="choice", value=value, by="override", place=override.typed)

    def _default_choice(self, group: Group) -> Origin | None:
        config = self.composed.config
        if group.name in DEFAULT_OPTIONS:
            default = DEFAULT_OPTIONS[group.name]
            name: object = default.replace("${task}", config.task.name) if isinstance(default, str) else default
            place = default_choice_place(group.name)
        elif group.name == "loss":
            name = list(dict.fromkeys(option for option, _ in config.module.default_terms(config.task.kind).values()))
            place = default_losses_place(type(config.module))
        else:
            outermost = group.path[:1]
            option = self._option(outermost, value_at(config, outermost))
            preset = value_at(option.preset, group.path[1:]) if option is not None else ABSENT
            if option is not None and isinstance(preset, dict):
                name, place = preset.get("id"), preset_place(option, str(group.path[1]))
            else:
                owner: type = type(value_at(config, group.path[:-1]))
                field = group.path[-1]
                name = _options_in(_default(owner, field)) if field in field_types(owner) else None
                place = field_place(owner, field) if name else ""
            if not name:
                return None
        return Origin(kind="choice", value=choice(group, name), by="default option", place=place)

    def _stored_origin(self, path: Path) -> Origin | None:
        """A checkpoint's own value, unless an option was chosen in place of the one that has it."""
        chosen = {group.path for group in groups.values() if any(self._explicit_choices(group))} - {("task",)}
        value = value_at(self._start, path)
        if self._stored is None or value is ABSENT or any(at in chosen for at in prefixes(path)):
            return None
        return Origin(kind="stored", value=value, by="stored config", place=self._stored.path)

    def _defaults(self, path: Path) -> Iterator[Origin]:
        """Defaults and presets, from the innermost schema outwards: what stands further out says it later."""
        last: object = ABSENT
        chosen_here = [group for group in groups.values() if group.path == path and any(self._explicit_choices(group))]
        for at, owner in reversed(list(self._owners(path))) if not chosen_here else ():
            name, inside = str(path[len(at)]), path[len(at) + 1 :]
            value = value_at(_default(type(owner), name), inside)
            if value is not ABSENT and value != last and not is_schema(type(value)):
                last = value
                place = field_place(type(owner), name)
                yield Origin(kind="default", value=_plain(value), by=f"default of {type(owner).__name__}", place=place)
            option = self._option(at, owner)
            if (
                option is not None
                and (value := value_at(option.preset, path[len(at) :])) is not ABSENT
                and value != last
            ):
                last = value
                by = f"preset of {option.group.name}={option.name}"
                yield Origin(kind="preset", value=_plain(value), by=by, place=preset_place(option, name))
            if option is not None and self._is_chosen(at):
                return
            if at[:-1] == groups["loss"].path and (value := self._of_default_losses(path)) not in (ABSENT, last):
                last = value
                module = type(self.composed.config.module)
                by, place = f"default losses of {module.__name__}", default_losses_place(module)
                yield Origin(kind="preset", value=_plain(value), by=by, place=place)

    def _of_default_losses(self, path: Path) -> object:
        """What the module says of a field of one of the losses that are its own choice."""
        _, _, tag, *inside = path
        config = self.composed.config
        _, fields = config.module.default_terms(config.task.kind).get(str(tag), ("", {}))
        return value_at(dict(fields), tuple(inside))

    def _owners(self, path: Path) -> Iterator[tuple[Path, Any]]:
        """The schema objects around a path, each with its own."""
        for length in range(len(path)):
            config = value_at(self.composed.config, path[:length])
            if is_schema(type(config)):
                yield path[:length], config

    def _option(self, path: Path, config: object) -> Option | None:
        """The option that a schema object was chosen as; only the words that chose it know it by name."""
        option = option_of(config)
        if option is None:
            return None
        named = options[option.group.name]
        written = value_at(self.composed.tree, path)
        names = [str(written.get("id"))] if isinstance(written, dict) else []
        names += [str(choice.value).partition("=")[2] for choice in self._choices(path)][::-1]
        names += [str(path[-1])] if path else []
        return next((named[name] for name in names if name in named and named[name].schema is type(config)), option)

    def _is_chosen(self, path: Path) -> bool:
        """Whether something other than a default of the part around it chose what stands at a path."""
        entries = [group for group in groups.values() if group.several and group.path == path[:-1]]
        around = [*entries, *(group for group in groups.values() if group.path == path)]
        by_name = any(any(self._explicit_choices(group)) for group in around)
        set_here = [value_at(step.values, path) for step in self._steps]
        by_id = any(isinstance(value, dict) and "id" in value for value in set_here)
        of_the_run = len(path) == 1
        return of_the_run or by_name or by_id


def _default(schema: type, name: str) -> object:
    """The default of a field, unless it is made of other fields."""
    value = default_of(schema, name)
    return ABSENT if value is dataclasses.MISSING or value is MADE_FROM_OTHERS else value


def _options_in(default: object) -> str | list[str] | None:
    """The names of the options that a field starts from: of the one, or of those in the mapping."""
    if isinstance(default, Mapping):
        return [option.name for part in default.values() if (option := option_of(part)) is not None]
    option = option_of(default)
    return None if option is None else option.name


def _plain(value: object) -> object:
    """A default as it would be written."""
    if is_schema(type(value)):
        return to_plain(value)
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in cast(dict[Any, object], value).items()}
    return [_plain(item) for item in value] if isinstance(value, tuple | list) else value
