"""Which option may be chosen for which group: one answer for the command line, Python and experiments."""

from collections.abc import Iterable
from typing import Final, get_args

from app.schemas.annotations import field_types
from app.schemas.problems import did_you_mean, nearest, one_of, show
from app.schemas.registry import groups, options

HYDRA_GROUPS: Final = ("hydra/launcher", "hydra/sweeper")
"""Groups of Hydra's own that may be chosen: how a sweep's jobs are started, and which jobs it has."""

_MOST_LISTED: Final = 20
"""Options that a message lists although it knows the one that was meant."""

_MOST_MEANT: Final = 3
"""Tasks whose options of one name a message asks about."""


def check_choice(group: str, value: object) -> str | None:
    """What is wrong with choosing `value` for `group`, None when nothing is."""
    if group not in groups:
        return f"no group '{group}'{did_you_mean(group, groups) or f'; groups: {_listed(groups)}'}"
    several = groups[group].several
    if value is None or value == []:
        return None if several or _may_be_none(group) else f"needs an option: {_listed(options[group])}"
    if isinstance(value, list) and not several:
        return f"takes one option, found {show(value)}"
    for name in value if isinstance(value, list) else [value]:
        if not isinstance(name, str):
            return f"expected the name of an option, found {show(name)}; options: {_listed(options[group])}"
        if name not in options[group]:
            return _no_option(group, name)
        if isinstance(value, list) and value.count(name) > 1:
            return f"names '{name}' {value.count(name)} times; expected each option once"
    return None


def hydra_options(group: str) -> list[str]:
    """The options that Hydra and its installed plugins register for one of their own groups."""
    from hydra.core.config_store import ConfigStore  # slow to import, and seldom asked
    from hydra.core.plugins import Plugins

    Plugins.instance()
    return [name.removesuffix(".yaml") for name in ConfigStore.instance().list(group)]


def _no_option(group: str, name: str) -> str:
    """The nearest option, and all of them; for an option of a task, the ones of that task."""
    names = list(options[group])
    task, slash, _ = name.partition("/")
    of_this_task = slash and any(option.owner == task for option in options[group].values())
    here = [option.name for option in options[group].values() if of_this_task and option.serves(task)]
    by_leaf = {option.rpartition("/")[2]: option for option in names}
    of_tasks = [option for option in names if option.endswith(f"/{name}")]
    meant = did_you_mean(name, names)
    if name.casefold() in ("none", "nil", "no", "") and _may_be_none(group):
        meant = "; to have none, write null;"
    elif of_tasks:
        meant = f"; did you mean {one_of(of_tasks if len(of_tasks) <= _MOST_MEANT else [f'<task>/{name}'])}?"
    elif not meant and (leaf := nearest(name.rpartition("/")[2], by_leaf)):
        meant = f"; did you mean '{by_leaf[leaf]}'?"
    listed = here or names
    if meant and len(listed) > _MOST_LISTED:
        return f"no option '{name}'{meant} app --help lists all {len(names)}"
    of_task = f" for task {task}" if here else ""
    return f"no option '{name}'{meant or ';'} options{of_task}: {_listed(listed)}"


def _may_be_none(group: str) -> bool:
    from app.schemas.run import RunConfig  # the config is made of the groups, so it cannot be imported before them

    if groups[group].mount != group:
        return True  # for the part that it is a part of to say
    return type(None) in get_args(field_types(RunConfig)[group])


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names)
