"""The one place where schemas become options: `@group` for a kind of part, `@register` for each option of it.

Every option stands in Hydra's ConfigStore as the config that hydra-zen's `builds` makes of its schema class, so
`_target_` is the schema, never the live class: composing can only ever create schema objects of this project.
"""

import dataclasses
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from typing import Any, TypeVar, cast

from hydra.core.config_store import ConfigNode, ConfigStore
from hydra_zen import builds
from omegaconf import DictConfig, OmegaConf

from app.schemas.schema import import_path

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
    def node(self) -> DictConfig:
        """What composing starts from when this option is chosen; whoever changes it copies it first."""
        return node(self.schema, **self.preset)


class Options(Mapping[str, dict[str, Option]]):
    """Every option by group and name, in the order of registration.

    A run looks at few of the groups. The families of a large one are imported when it is first asked for: defining
    hundreds of schemas would take longer than everything else that is done before training.
    """

    def __init__(self) -> None:
        self._registered: dict[str, dict[str, Option]] = {}
        self._by_schema: dict[str, Option] = {}
        self._to_import: dict[str, tuple[str, ...]] = {}

    def __getitem__(self, group: str) -> dict[str, Option]:
        for family in self._to_import.pop(group, ()):
            import_module(family)
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
        named[option.name] = option
        self._by_schema.setdefault(import_path(option.schema), option)

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
    """Register a schema as the option `name` of `group`, in the ConfigStore too.

    `target` is the import path of the live class. `preset` changes defaults for this option alone, so that one
    schema can serve several: `register("trainer", "gpu", target=..., accelerator="gpu")(TrainerConfig)`.
    """

    def add(schema: type[T]) -> type[T]:
        owner = groups[group]
        assert not re.search("_(group|name)_", name), f"Hydra takes part of {name} for a place that it fills in"
        assert issubclass(schema, owner.base), f"{schema.__name__} must derive from {owner.base.__name__}"
        option = Option(group=owner, name=name, schema=schema, target=target, preset=preset)
        options.add(option)
        _store(option)
        return schema

    return add


class _StoredOption(ConfigNode):
    """An option in the ConfigStore, whose config is made when it is first looked at.

    A run chooses a dozen of the options; making the configs of all would take longer than everything else it does
    before training.
    """

    def __init__(self, placeholder: ConfigNode, option: Option) -> None:
        vars(self).update(vars(placeholder))
        self._key = (option.group.name, option.name)
        del self.node

    def __getattr__(self, name: str) -> Any:
        if name != "node":
            raise AttributeError(name)
        group, option = self._key
        return options[group][option].node

    def __deepcopy__(self, memo: dict[int, Any]) -> "_StoredOption":
        # Hydra copies its whole store for every group it lists. An entry never changes; its node is copied on loading.
        return self


def _store(option: Option) -> None:
    folder, _, name = option.name.rpartition("/")
    group = option.group.name
    path = f"{group}/{folder}" if folder else group
    package = f"{option.group.mount}.{name}" if option.group.several else option.group.mount
    store = ConfigStore.instance()
    store.store(group=path, name=name, node={}, package=package, provider="app")
    entries = store.repo
    for part in path.split("/"):
        entries = entries[part]
    entries[f"{name}.yaml"] = _StoredOption(entries[f"{name}.yaml"], option)


def node(schema: type, **preset: object) -> DictConfig:
    """The config that composing starts from: `_target_` and every field with its default.

    `builds` gives a typed config. OmegaConf would stop at the first value that does not fit it, naming no file, and
    quietly turn others into the type (3 into True). So the types are left to the gate, which judges what was written,
    all of it at once.
    """
    typed = builds(schema, populate_full_signature=True, **cast(Any, preset))
    plain = OmegaConf.to_container(OmegaConf.structured(typed))
    open_node = DictConfig(_without_inner_targets(plain, outermost=True))
    OmegaConf.set_struct(open_node, False)  # mappings stay open: the gate tells an entry from a misspelt field
    return open_node


def option_of(config: object) -> Option | None:
    """The option a schema object is of; for a schema with presets, the one registered first."""
    return option_at(import_path(type(config)))


def option_at(path: object) -> Option | None:
    """The option whose schema has this import path, as it stands under `_target_`."""
    return options.of_schema(path) if isinstance(path, str) else None


def group_of(base: type) -> Group | None:
    """The group whose options derive from `base`, when `base` is a group's base."""
    return next((group for group in groups.values() if group.base is base), None)


def _without_inner_targets(value: Any, *, outermost: bool = False) -> Any:
    """Drop the `_target_` of parts whose type is fixed by their field: only options need one."""
    if isinstance(value, dict):
        keep = outermost or option_at(value.get("_target_")) is not None
        return {key: _without_inner_targets(item) for key, item in value.items() if keep or key != "_target_"}
    if isinstance(value, list):
        return [_without_inner_targets(item) for item in value]
    return value


def leaf_fields(config: object) -> dict[str, object]:
    """A schema object's fields by name, one level deep."""
    return {field.name: getattr(config, field.name) for field in dataclasses.fields(cast(Any, config))}
