"""How Hydra gets to see the options: in its ConfigStore, as the configs that hydra-zen makes of their schemas.

`_target_` of each is the schema, never the live class: composing can only ever create schema objects of this project.
"""

from functools import cache
from typing import Any, cast

from hydra.core.config_store import ConfigNode, ConfigStore
from hydra_zen import builds
from omegaconf import DictConfig, OmegaConf

from app.schemas.registry import Option, option_at, options


@cache
def store_options() -> None:
    """Put every option into the ConfigStore, those that are registered later too."""
    options.follow(_store)


def node(schema: type, **preset: object) -> DictConfig:
    """The config that Hydra starts from: `_target_` and every field with its default.

    `builds` gives a typed config. OmegaConf would stop at the first value that does not fit it, naming no file, and
    quietly turn others into the type (3 into True). So the types are left to the gate, which judges what was written,
    all of it at once.
    """
    typed = builds(schema, populate_full_signature=True, **cast(Any, preset))
    plain = OmegaConf.to_container(OmegaConf.structured(typed))
    open_node = DictConfig(_without_inner_targets(plain, outermost=True))
    OmegaConf.set_struct(open_node, False)  # mappings stay open: the gate tells an entry from a misspelt field
    return open_node


class _StoredOption(ConfigNode):
    """An option in the ConfigStore, whose config is made when it is first looked at.

    Hydra looks at a dozen of the options; making the configs of all would take longer than everything else that is
    done before training.
    """

    def __init__(self, placeholder: ConfigNode, option: Option) -> None:
        vars(self).update(vars(placeholder))
        self._key = (option.group.name, option.name)
        del self.node

    def __getattr__(self, name: str) -> Any:
        if name != "node":
            raise AttributeError(name)
        return _node_of(*self._key)

    def __deepcopy__(self, memo: dict[int, Any]) -> "_StoredOption":
        # Hydra copies its whole store for every group it lists. An entry never changes; its node is copied on loading.
        return self


@cache
def _node_of(group: str, name: str) -> DictConfig:
    option = options[group][name]
    return node(option.schema, **option.preset)


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


def _without_inner_targets(value: Any, *, outermost: bool = False) -> Any:
    """Drop the `_target_` of parts whose type is fixed by their field: only options need one."""
    if isinstance(value, dict):
        keep = outermost or option_at(value.get("_target_")) is not None
        return {key: _without_inner_targets(item) for key, item in value.items() if keep or key != "_target_"}
    if isinstance(value, list):
        return [_without_inner_targets(item) for item in value]
    return value
