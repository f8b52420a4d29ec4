"""Overrides become a config: the chosen options make a tree, values are put in, the gate judges the result.

Nothing here imports torch, nor Hydra before something is asked that only Hydra knows.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, cast

from app.choices import check_choice
from app.composing.assembly import assembled, choose
from app.composing.experiments import GROUP as EXPERIMENT
from app.composing.experiments import Experiment, merge, read_experiment, with_bases
from app.composing.overrides import Override, read_overrides
from app.composing.stored_config import stored_config
from app.schemas.codes import Code
from app.schemas.problems import ConfigError, Path, Problem, dotted, show
from app.schemas.registry import groups, option_at, options
from app.schemas.run import RunConfig
from app.schemas.task_fit import OF_A_TASK, of_another_task
from app.schemas.validation import Sources, inspect
from app.tasks import import_task_configs

CONFIG_NAME = "config"


@dataclass(frozen=True, kw_only=True)
class Composed:
    """A config that passed the gate, and where it comes from."""

    config: RunConfig
    tree: Mapping[str, Any]
    """What was composed, before it was checked: `_target_` at every option, interpolations as they are written."""

    overrides: tuple[str, ...]
    """What the user gave, in order."""

    sources: Sources
    """Where each value was set."""


def load_config(overrides: Sequence[str] = (), experiment: str | None = None) -> RunConfig:
    """Compose and check a config, as the command line does.

    Args:
        overrides: Words that a user would type: `["module=mlp", "optimizer_spec.lr=3e-4"]`.
        experiment: A kept set of overrides, `<task>/<name>`; `overrides` are applied on top of it.

    Returns:
        The typed config, checked: builders may use it as it is.

    Raises:
        ConfigError: with every problem found, each with its path, what would be right and where it was set.
    """
    return compose(overrides, experiment).config


def compose(
    overrides: Sequence[str] = (),
    experiment: str | Experiment | None = None,
    *,
    base: Mapping[str, Any] | None = None,
) -> Composed:
    """`load_config`, with the origin of every value.

    An `experiment` may have been read already, from anywhere; `base` is a config to start from, as by `to_plain`.
    """
    import_task_configs()
    if isinstance(overrides, str) or not all(isinstance(word, str) for word in overrides):
        message = f"expected a list of texts such as ['optimizer_spec.lr=0.1'], found {show(overrides)}"
        raise ConfigError([Problem(path="overrides", message=message)])
    given = [*([f"{EXPERIMENT}={experiment}"] if isinstance(experiment, str) else []), *overrides]
    read, problems = read_overrides(given)
    chosen = [experiment] if isinstance(experiment, Experiment) else []
    chosen += [read_experiment(word.value) for word in read if word.kind == "experiment" and word.value]
    parts: dict[str, Experiment] = {}
    for each in chosen:
        added, found = with_bases(each)
        parts.update({part.name: part for part in added})
        problems += found
    problems += _of_another_task(read, chosen)
    experiments = list(parts.values())
    sources = _sources(read, experiments)
    config = None
    stored = None if base is not None else stored_config(read, experiments)
    if stored is not None:
        sources.start_from(stored.path)
    tree = compose_tree(read, experiments, base if stored is None else stored.tree, problems)
    if tree is not None:
        foreign = list(_parts_of_another_task(tree, _chosen(read, experiments), sources))
        # What would follow from these goes away with them. The losses are the module's own at first.
        refused: list[Path] = [(problem.path,) for problem in foreign]
        refused += [("joint_loss", "losses")] if ("module",) in refused else []
        refused += _unread(problems)
        config, found = inspect(tree, RunConfig, sources, interpolated=True, refused=refused)
        problems += [*foreign, *found]
        if stored is not None and config is not None and not problems:
            problems += stored.changed_in_vain(config, sources)
    if problems or config is None or tree is None:
        raise ConfigError(dict.fromkeys(problems))
    return Composed(config=config, tree=tree, overrides=tuple(given), sources=sources)


def compose_sweep(overrides: Sequence[str]) -> list[Composed]:
    """The configs of all jobs of a multirun, before the first one starts.

    Raises:
        ConfigError: with the problems of all jobs, each once.
    """
    jobs: list[Composed] = []
    found: dict[Problem, None] = {}
    for job in jobs_of_sweep(overrides):
        try:
            jobs.append(compose(job))
        except ConfigError as error:
            found.update(dict.fromkeys(error.problems))
    found.update(dict.fromkeys(_sharing_a_process(jobs)))
    if found:
        raise ConfigError(found)
    return jobs


def jobs_of_sweep(overrides: Sequence[str]) -> list[list[str]]:
    """The overrides of each job of a multirun, in Hydra's order.

    Raises:
        ConfigError: for words that are no overrides of a multirun.
    """
    from app.composing.with_hydra import (  # imports Hydra, which a single config does not need
        combinations,
        register_all,
    )

    register_all()
    _, problems = read_overrides(overrides, sweep=True)
    if problems:
        raise ConfigError(problems)
    return combinations(overrides)


def compose_tree(
    overrides: Sequence[Override],
    experiments: Sequence[Experiment],
    stored: Mapping[str, Any] | None,
    problems: list[Problem],
) -> dict[str, Any] | None:
    """The tree that the choices make, with the values put into it; adds a problem for whatever cannot be composed.

    A `stored` config takes the place of the defaults.

    Values are put in here: OmegaConf would stop at the first that does not fit, and let a part that a scalar was
    written over vanish without a word.
    """
    chosen = _chosen(overrides, experiments)
    none_chosen = {override.key for override in overrides if override.kind == "choice" and chosen[override.key] is None}
    if settings := [override for override in overrides if override.kind == "hydra"]:
        from app.composing.with_hydra import check_settings  # only Hydra knows what may be set of it

        problems += check_settings(settings, chosen)
    if stored is None:
        try:
            tree = assembled(chosen)
        except ConfigError as error:
            problems += error.problems
            return None
    else:
        tree = deepcopy(dict(stored))
        if chosen.get("task") == tree["task"].get("name"):
            del chosen["task"]
        for name, value in chosen.items():
            choose(tree, groups[name], value)
    for experiment in experiments:
        for key, value in experiment.values.items():
            if key not in none_chosen:  # fields of an option that the command line takes away have nowhere to go
                problems += _put(tree, (key,), value, experiment.places[(key,)])
    for place, override in enumerate(overrides):
        if override.kind == "value" and not taken_away(override.path, overrides[place:]):
            problems += _put(tree, override.path, override.value, override.typed)
    return tree


def _chosen(overrides: Sequence[Override], experiments: Sequence[Experiment]) -> dict[str, object]:
    """The options that are chosen, by group: what is typed goes before what an experiment chooses."""
    chosen: dict[str, object] = {}
    for experiment in experiments:
        chosen.update({"task": experiment.task, **experiment.choices})
    return {**chosen, **{override.key: override.value for override in overrides if override.kind == "choice"}}


def taken_away(path: Path, following: Sequence[Override]) -> bool:
    """Whether a later word chooses none for the part that a value was set in: `scheduler_spec=null`."""
    nothing = (word for word in following if word.kind == "choice" and word.value is None)
    return any(path[: len(word.path)] == word.path for word in nothing)


def _put(tree: dict[str, Any], path: Path, value: object, source: str) -> Iterator[Problem]:
    """Set what an override or an experiment says, mappings entry by entry; whether it fits is for the gate to say."""
    node: Any = tree
    step: str | int = path[0]
    for place, part in enumerate(path):
        here = path[: place + 1]
        step = part
        if isinstance(node, list):
            if not re.fullmatch("[0-9]{1,6}", str(part)) or int(part) >= len(node):
                yield Problem(
                    path=dotted(here),
                    message=_no_position(dotted(path[:place]), len(node)),
                    source=source,
                    code=Code.UNKNOWN_FIELD,
                )
                return
            step = int(part)
        elif part not in node and re.fullmatch("[0-9]{1,9}", str(part)) and any(type(key) is int for key in node):
            step = int(part)
        if place == len(path) - 1:
            break
        child = node.get(step) if isinstance(node, dict) else node[step]
        if child is None:
            child = node[step] = {}
        elif not isinstance(child, dict | list):
            message = f"cannot be set inside {dotted(here)}, which is {show(child)}"
            yield Problem(path=dotted(path), message=message, source=source)
            return
        node = child
    if len(path) == 1 and step in groups and (unfit := _check_part(str(step), value)):
        yield Problem(path=str(step), message=unfit, source=source)
    elif isinstance(node, dict):
        merge({cast(str, step): value}, node)
    else:
        node[step] = deepcopy(value)


def _no_position(path: str, length: int) -> str:
    positions = f"has the positions {path}.0 to {path}.{length - 1}" if length else "is empty"
    return f"{path} is a list and {positions}; to set all of it: {path}=[…]"


def _check_part(group: str, value: object) -> str | None:
    """What is wrong with an experiment that sets a whole part to something that is no mapping."""
    several = groups[group].several
    if isinstance(value, dict) or (value is None and not several and check_choice(group, None) is None):
        return None
    option = "[<option>, …]" if several else value if isinstance(value, str) else "<option>"
    return f"expected a mapping, found {show(value)}; options are chosen in defaults: [override /{group}: {option}]"


def _sources(overrides: Sequence[Override], experiments: Sequence[Experiment]) -> Sources:
    """Choices take effect before values, and the command line after experiments."""
    places = [item for experiment in experiments for item in experiment.places.items()]
    chosen = {groups[group].path for experiment in experiments for group in experiment.choices}
    typed: list[tuple[Path, str]] = [
        (override.path, override.typed) for override in overrides if override.kind == "choice"
    ]
    values = [(override.path, override.typed) for override in overrides if override.kind == "value"]
    return Sources(
        [
            *(item for item in places if item[0] in chosen),
            *typed,
            *(item for item in places if item[0] not in chosen),
            *values,
        ]
    )


def _unread(problems: Sequence[Problem]) -> Iterator[Path]:
    """Where values were to go that cannot be read: that they are missing there is nobody's mistake."""
    for problem in problems:
        key, equals, _ = (problem.source or "").partition("=")
        parts = key.lstrip("+").split(".")
        if problem.code is Code.OVERRIDE and not problem.path and equals and all(map(str.isidentifier, parts)):
            yield tuple(parts)


def _of_another_task(overrides: Sequence[Override], experiments: Sequence[Experiment]) -> Iterator[Problem]:
    """A run has one experiment at most, and belongs to its task."""
    names = [experiment.name for experiment in experiments]
    for override in overrides:
        if override.kind == "experiment" and override.value and override.value != names[0]:
            message = f"is given twice, first as {names[0]}; an experiment may build on another one in its defaults"
            yield Problem(path=EXPERIMENT, message=message, source=override.typed)
        if override.path == ("task",) and experiments and override.value != (task := experiments[0].task):
            message = f"expected '{task}', the task of experiment {names[0]}, found '{override.value}'"
            yield Problem(path="task", message=message, source=override.typed)


def _parts_of_another_task(
    tree: Mapping[str, Any], chosen: Mapping[str, object], sources: Sources
) -> Iterator[Problem]:
    """The parts whose option is of another task than the config's.

    Tasks share schemas, so once a part is checked, whose option it was can no longer be told.
    """
    task = option_at(tree["task"].get("_target_"))
    for part in OF_A_TASK:
        node = tree.get(part)
        if task is None or not isinstance(node, dict):
            continue  # the gate says what is missing
        name = node["id"] if "id" in node and "_target_" not in node else chosen.get(part)
        option = options[part].get(str(name)) or option_at(node.get("_target_"))
        if message := of_another_task(part, option, task.name):
            source = sources.of((part,)) or sources.of(("task",))
            yield Problem(path=part, message=message, source=source, code=Code.CONFLICT)


def _sharing_a_process(jobs: Sequence[Composed]) -> Iterator[Problem]:
    """Jobs that Hydra's own launcher runs one after the other in a process that the first of them leaves unusable."""
    for job in jobs:
        trainer = job.config.trainer
        launched_elsewhere = any(word.startswith("hydra/launcher=") for word in job.overrides)
        if trainer.reruns_the_program() and len(jobs) > 1 and not launched_elsewhere:
            message = f"'{trainer.strategy}' leaves its process unfit for a sweep's next job; expected 'ddp_spawn'"
            yield Problem(path="trainer.strategy", message=f"{message}, or hydra/launcher=joblib once it is installed")
