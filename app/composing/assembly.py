"""The tree that chosen options make, before any value is put into it.

It is what Hydra's loader makes of the same choices, as a test makes sure. Hydra takes a hundred milliseconds for each
new combination, and importing it takes longer than all the rest of what tab completion does.
"""

from collections.abc import Mapping
from functools import cache
from typing import Any, cast, get_args, get_origin

from app.schemas.annotations import field_types
from app.schemas.codes import Code
from app.schemas.module import ModuleConfig
from app.schemas.plain import defaults_as_plain
from app.schemas.problems import ConfigError, Problem
from app.schemas.registry import Group, groups, option_at, options
from app.schemas.resolution import resolve
from app.schemas.run import DEFAULT_OPTIONS, RunConfig, groups_in_order
from app.schemas.schema import MISSING, is_schema
from app.schemas.task import TaskKind


def assembled(chosen: Mapping[str, object]) -> dict[str, Any]:
    """The tree of the default options and of those chosen instead, by group; the caller may change it.

    Raises:
        ConfigError: when a default option is needed that nobody has registered.
    """
    tree: dict[str, Any] = copied(root_tree())
    for name in DEFAULT_OPTIONS:
        choose(tree, groups[name], chosen[name] if name in chosen else _default(name, chosen))
    _choose_parts_of_parts(tree, chosen)
    return tree


def choose(tree: dict[str, Any], group: Group, value: object) -> None:
    """Put in an option, or several, in place of what is there; Hydra would leave fields of the one in the other."""
    node = tree
    for part in group.path[:-1]:
        node = node.setdefault(part, {})
    names = cast(list[str], value or []) if group.several else [] if value is None else [str(value)]
    parts = {name: copied(options[group.name][name].tree) for name in names}
    node[group.path[-1]] = parts if group.several else next(iter(parts.values()), None)


def _choose_parts_of_parts(tree: dict[str, Any], chosen: Mapping[str, object]) -> None:
    """Put in the options of the groups that stand inside other parts: the losses are the module's own at first."""
    module = option_at(tree["module"].get("_target_"))
    inner = {name: value for name, value in chosen.items() if name not in DEFAULT_OPTIONS}
    for name in inner.keys() - {"loss"}:
        choose(tree, groups[name], inner[name])
    terms = cast(type[ModuleConfig], module.schema).default_terms(_kind_of_task(tree)) if module else {}
    tree["joint_loss"]["losses"] = {
        tag: copied({**options["loss"][option].tree, **fields}) for tag, (option, fields) in terms.items()
    }
    if "loss" in inner:
        choose(tree, groups["loss"], inner["loss"])


def _kind_of_task(tree: Mapping[str, Any]) -> TaskKind:
    """What the task's target says, which may follow from a part of the task."""
    kind = tree["task"].get("kind")
    if isinstance(kind, str) and "${" in kind:
        kind = resolve({"task": tree["task"]})[0]["task"]["kind"]
    return kind if kind in get_args(TaskKind) else "multiclass"


@cache
def root_tree() -> Mapping[str, Any]:
    """The parts that have no options, and a place for each that has; whoever changes it copies it first."""
    tree: dict[str, Any] = {}
    for name, annotation in field_types(RunConfig).items():
        if name in DEFAULT_OPTIONS:
            tree[name] = {} if groups[name].several else None if DEFAULT_OPTIONS[name] is None else MISSING
        elif is_schema(annotation):
            tree[name] = defaults_as_plain(annotation)
        else:
            tree[name] = {} if get_origin(annotation) is dict else None
    return tree


def defaults_list() -> list[object]:
    """The same choices as Hydra's defaults list."""
    chosen: list[object] = [
        {group.name: DEFAULT_OPTIONS.get(group.name, [] if group.several else None)} for group in groups_in_order()
    ]
    return ["_self_", *chosen, {"experiment": None}]


def copied(tree: Any) -> Any:
    """Plain containers copied all the way down; what is in them cannot be changed."""
    if isinstance(tree, dict):
        return {key: copied(item) for key, item in tree.items()}
    if isinstance(tree, list):
        return [copied(item) for item in tree]
    return tree


def _default(group: str, chosen: Mapping[str, object]) -> str | list[str] | None:
    """The default option; one of a task's own is of the task that is chosen."""
    default = DEFAULT_OPTIONS[group]
    if not isinstance(default, str):
        return default
    name = default.replace("${task}", str(chosen.get("task", DEFAULT_OPTIONS["task"])))
    if name not in options[group]:
        message = f"no option '{name}', which is chosen by default; options: {', '.join(options[group])}"
        raise ConfigError([Problem(path=group, message=message, code=Code.UNKNOWN_OPTION)])
    return name
