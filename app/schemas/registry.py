"""The one place where schemas become options: `@group` for a kind of part, `@register` for each option of it.

Every option stands in Hydra's ConfigStore too, where `app.schemas.config_store` puts it. Nothing here imports Hydra:
what an option is made of is known without it, and importing it would take most of the time that completion has.
"""

import dataclasses
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from typing import Any, TypeVar, cast

from app.schemas.annotations import alternatives, field_types
from app.schemas.problems import Path
from app.schemas.schema import import_path, initial_values, is_schema

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Group:
    """A kind of part that has options: `optimizer_spec`, `callbacks`."""

    name: str
    base: type
    """The schema every option derives from; what the fields that hold an option are annotated with."""

    several: bool
    """Whether any number of options may be chosen at once, each mounted under its own name."""

    presets_only: bool
    """Whether all options are of one schema, the base itself, with other defaults."""

    mount: str
    """Where in a run's config the choice stands, dotted: the group's own name unless it is a part of a part."""

    families: tuple[str, ...]
    """Modules that register the options, imported once the group is looked at; none when its own module does."""

    @property
    def path(self) -> tuple[str, ...]:
        """`mount` as its parts."""
        return tuple(self.mount.split("."))


@dataclass(frozen=True, kw_only=True)
class Option:
    """One choice of a group, e.g. `optimizer_spec=adamw`."""

    group: Group
    name: str
    """As it is chosen: `adamw`, `digits/cnn`."""

    schema: type
    target: str
    """Import path of the live class that a config of this option configures."""

    preset: Mapping[str, object]
    """Values in which this option differs from its schema's defaults; they may interpolate other parts."""

    @cached_property
    def tree(self) -> Mapping[str, Any]:
        """What composing starts from when this option is chosen; whoever changes it copies it first."""
        preset = {name: _plain(value) for name, value in self.preset.items()}
        return {"_target_": import_path(self.schema), **starting_values(self.schema), **preset}

    @property
    def owner(self) -> str | None:
        """The task that the option is of, None for one that serves every task."""
        task, slash, _ = self.name.partition("/")
        return task if slash else None

    def serves(self, task: str) -> bool:
        """Whether runs of the task may choose it."""
        return self.owner in (None, task)


class Options(Mapping[str, dict[str, Option]]):
    """Every option by group and name, in the order of registration.

    A run looks at few of the groups. The families of a large one are imported when it is first asked for: defining
    hundreds of schemas would take longer than everything else that is done before training.
    """

    def __init__(self) -> None:
        self._registered: dict[str, dict[str, Option]] = {}
        self._by_schema: dict[str, Option] = {}
        self._to_import: dict[str, tuple[str, ...]] = {}
        self._followers: list[Callable[[Option], None]] = []

    def __getitem__(self, group: str) -> dict[str, Option]:
        families = self._to_import.pop(group, ())
        for family in families:
            import_module(family)
        if families:
            # In one order, whatever else has imported some of the families before.
            place = {family: number for number, family in enumerate(families)}
            named = self._registered[group]
            in_order = sorted(named.values(), key=lambda option: place.get(option.schema.__module__, len(place)))
            self._registered[group] = {option.name: option for option in in_order}
        return self._registered[group]

    def __iter__(self) -> Iterator[str]:
        return iter(self._registered)

    def __len__(self) -> int:
        return len(self._registered)

    def add_group(self, group: Group) -> None:
        """Know a group, whose options follow."""
        self._registered[group.name] = {}
        if group.families:
            self._to_import[group.name] = group.families

    def add(self, option: Option) -> None:
        """Know an option, of a group that is known."""
        named = self._registered[option.group.name]
        assert option.name not in named, f"{option.group.name}={option.name} is registered twice"
        first = self._by_schema.setdefault(import_path(option.schema), option)
        assert first.target == option.target, (
            f"{option.group.name}={option.name} has the schema of {first.group.name}={first.name}, but another target,"
            f" and a config of it could not say which; give it one of its own:"
            f" class <Name>({option.schema.__name__})"
        )
        named[option.name] = option
        for tell in self._followers:
            tell(option)

    def follow(self, tell: Callable[[Option], None]) -> None:
        """Tell of every option that is known, and of each that will be."""
        for named in self._registered.values():
            for option in named.values():
                tell(option)
        self._followers.append(tell)

    def of_schema(self, path: str) -> Option | None:
        """The option whose schema has this import path; for a schema with presets, the one registered first."""
        family = path.rpartition(".")[0]
        for group, families in list(self._to_import.items()):
            if family in families:
                self[group]
        return self._by_schema.get(path)


groups: dict[str, Group] = {}
options = Options()


def group(
    name: str,
    *,
    several: bool = False,
    presets_only: bool = False,
    mount: str | None = None,
    families: tuple[str, ...] = (),
) -> Callable[[type[T]], type[T]]:
    """Make a schema the base of a group's options.

    It holds the fields that all of them share and cannot be used itself, unless the options are `presets_only`:
    the same schema with other defaults. `mount` is for parts of other parts, such as `module.model_config.head`;
    `families` for groups with so many options that they are imported only when looked at.
    """

    def add(base: type[T]) -> type[T]:
        if not presets_only:
            base.abstract = True  # type: ignore[attr-defined]  # read by `is_abstract`
        groups[name] = Group(
            name=name,
            base=base,
            several=several,
            presets_only=presets_only,
            mount=mount or name,
            families=families,
        )
        options.add_group(groups[name])
        return base

    return add


def register(group: str, name: str, *, target: str, **preset: object) -> Callable[[type[T]], type[T]]:
    """Register a schema as the option `name` of `group`.

    `target` is the import path of the live class, the same for all options of a schema. `preset` changes defaults for
    this option alone, so that one schema can serve several:
    `register("trainer", "gpu", target=..., accelerator="gpu")(TrainerConfig)`.
    """

    def add(schema: type[T]) -> type[T]:
        owner = groups[group]
        assert not re.search("_(group|name)_", name), f"Hydra takes part of {name} for a place that it fills in"
        assert issubclass(schema, owner.base), f"{schema.__name__} must derive from {owner.base.__name__}"
        options.add(Option(group=owner, name=name, schema=schema, target=target, preset=preset))
        return schema

    return add


def option_of(config: object) -> Option | None:
    """The option a schema object is of; for a schema with presets, the one registered first."""
    return option_at(import_path(type(config)))


def option_at(path: object) -> Option | None:
    """The option whose schema has this import path, as it stands under `_target_`."""
    return options.of_schema(path) if isinstance(path, str) else None


def group_of(base: type) -> Group | None:
    """The group whose options derive from `base`, when `base` is a group's base."""
    return next((group for group in groups.values() if group.base is base), None)


def group_at(path: Path) -> Group | None:
    """The group whose choice stands at this path of a run's config."""
    return next((group for group in groups.values() if group.path == path), None)


def choices_around(group: Group) -> list[str]:
    """The choices whose configs have a place for the group's, such as `task=tabular`: those for every task, if any."""
    around, *inside = group.path
    fitting = [option for option in options.get(around, {}).values() if _has_field(option.schema, inside)]
    shared = [option for option in fitting if option.owner is None]
    return [f"{around}={option.name}" for option in shared or fitting]


def _has_field(schema: type, path: Sequence[str]) -> bool:
    annotation: Any = schema
    for name in path:
        inner = next((member for member in alternatives(annotation) if is_schema(member)), None)
        if inner is None or name not in field_types(inner):
            return False
        annotation = field_types(inner)[name]
    return True


def has_own_id(schema: type) -> bool:
    """Whether `id` is a field of the schema, so that where it stands an `id` chooses no option."""
    return "id" in field_types(schema)


def starting_values(schema: type) -> dict[str, Any]:
    """The fields of a schema with what they start from, as plain containers, `MISSING` where a value is needed."""
    return {name: _plain(value) for name, value in initial_values(schema).items()}


def leaf_fields(config: object) -> dict[str, object]:
    """A schema object's fields by name, one level deep."""
    return {field.name: getattr(config, field.name) for field in dataclasses.fields(cast(Any, config))}


def _plain(value: object) -> Any:
    """A default as composing has it; a part whose type is fixed by its field needs no `_target_`, only options do."""
    if is_schema(type(value)):
        cls = type(value)
        target = {"_target_": import_path(cls)} if option_of(value) is not None else {}
        return target | {name: _plain(item) for name, item in leaf_fields(value).items()}
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
