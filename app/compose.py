"""Overrides become a config: Hydra composes the chosen options, values are put in, the gate judges the result.

Nothing here imports torch.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any, cast

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.utils import create_config_search_path
from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import InterpolationToMissingValueError, OmegaConfBaseException

from app.choices import HYDRA_GROUPS, check_choice
from app.experiment_source import register_plugins
from app.experiments import GROUP as EXPERIMENT
from app.experiments import Experiment, merge, with_bases
from app.hydra_settings import HYDRA_SETTINGS
from app.overrides import Override, read_overrides
from app.run_directory import register_resolver
from app.schemas.module import ModuleConfig
from app.schemas.problems import ConfigError, Path, Problem, did_you_mean, dotted, first_line, show
from app.schemas.registry import Group, groups, option_at, options
from app.schemas.run import RunConfig, root_node
from app.schemas.validation import RESERVED, Sources, inspect
from app.stored_config import stored_config
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
        overrides: Words that a user would type: `["module=digits/mlp", "optimizer_spec.lr=3e-4"]`.
        experiment: A kept set of overrides, `<task>/<name>`; `overrides` are applied on top of it.

    Returns:
        The typed config, checked: builders may use it as it is.

    Raises:
        ConfigError: with every problem found, each with its path, what would be right and where it was set.
    """
    return compose(overrides, experiment).config


def compose(
    overrides: Sequence[str] = (), experiment: str | None = None, *, base: Mapping[str, Any] | None = None
) -> Composed:
    """`load_config`, with the origin of every value; `base` is a config as `to_plain` writes it, to start from."""
    prepare()
    if isinstance(overrides, str) or not all(isinstance(word, str) for word in overrides):
        message = f"expected a list of texts such as ['optimizer_spec.lr=0.1'], found {show(overrides)}"
        raise ConfigError([Problem(path="overrides", message=message)])
    given = [*([f"{EXPERIMENT}={experiment}"] if experiment is not None else []), *overrides]
    read, problems = read_overrides(given)
    parts: dict[str, Experiment] = {}
    for override in read:
        if override.kind == "experiment" and override.value:
            added, found = with_bases(override.value)
            parts.update({part.name: part for part in added})
            problems += found
    problems += _of_another_task(read)
    experiments = list(parts.values())
    sources = _sources(read, experiments)
    config = None
    stored = None if base is not None else stored_config(read, experiments)
    if stored is not None:
        sources.start_from(stored.path)
    tree = _compose(read, experiments, base if stored is None else stored.tree, problems)
    if tree is not None:
        config, found = inspect(tree, RunConfig, sources, interpolated=True)
        problems += found
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
    prepare()
    _, problems = read_overrides(overrides, sweep=True)
    if problems:
        raise ConfigError(problems)
    jobs: list[Composed] = []
    found: dict[Problem, None] = {}
    for job in _jobs(overrides):
        try:
            jobs.append(compose(job))
        except ConfigError as error:
            found.update(dict.fromkeys(error.problems))
    found.update(dict.fromkeys(_sharing_a_process(jobs)))
    if found:
        raise ConfigError(found)
    return jobs


@cache
def prepare() -> None:
    """Register every option, the root of the config and the source of experiments with Hydra."""
    import_task_configs()
    register_plugins()
    register_resolver()
    tree = root_node()
    tree["hydra"] = OmegaConf.create(dict(HYDRA_SETTINGS))
    ConfigStore.instance().store(name=CONFIG_NAME, node=tree, provider="app")


def _compose(
    overrides: Sequence[Override],
    experiments: Sequence[Experiment],
    stored: Mapping[str, Any] | None,
    problems: list[Problem],
) -> dict[str, Any] | None:
    """The tree that the choices make, with the values put into it; adds a problem for whatever cannot be composed.

    A `stored` config takes the place of the defaults.

    Hydra sees the choices only. Values are put in here: OmegaConf would stop at the first that does not fit, and let
    a part that a scalar was written over vanish without a word.
    """
    chosen: dict[str, object] = {}
    for experiment in experiments:
        chosen.update({"task": experiment.task, **experiment.choices})
    chosen.update({override.key: override.value for override in overrides if override.kind == "choice"})
    settings = [override for override in overrides if override.kind == "hydra"]
    words = [f"{group}={_word(value)}" for group, value in chosen.items() if groups[group].mount == group]
    words += [override.text for override in settings if override.path[0] in HYDRA_GROUPS]
    try:
        cfg = _chosen(tuple(words))
    except (HydraException, OmegaConfBaseException) as error:
        problems.append(Problem(path="", message=f"cannot be composed: {first_line(error)}"))
        return None
    if settings:
        cfg = deepcopy(cfg)
        problems += [problem for override in settings for problem in _check_setting(cfg, override)]
    if stored is None:
        tree = cast(dict[str, Any], OmegaConf.to_container(cfg, resolve=False))
        del tree["hydra"]
        module = option_at(tree["module"].get("_target_"))
        losses = list(cast(type[ModuleConfig], module.schema).default_losses) if module else []
        chosen = {"loss": losses} | {name: value for name, value in chosen.items() if groups[name].mount != name}
    else:
        tree = deepcopy(dict(stored))
        if chosen.get("task") == tree["task"].get("name"):
            del chosen["task"]
    for name, value in chosen.items():
        _choose(tree, groups[name], value)
    for experiment in experiments:
        for key, value in experiment.values.items():
            problems += _put(tree, (key,), value, experiment.places[(key,)])
    for override in overrides:
        if override.kind == "value":
            problems += _put(tree, override.path, override.value, override.typed)
    return tree


def _choose(tree: dict[str, Any], group: Group, value: object) -> None:
    """Put in an option, or several, in place of what is there; Hydra would leave fields of the one in the other."""
    node = tree
    for part in group.path[:-1]:
        node = node.setdefault(part, {})
    names = cast(list[str], value or []) if group.several else [] if value is None else [str(value)]
    parts = {name: OmegaConf.to_container(options[group.name][name].node, resolve=False) for name in names}
    node[group.path[-1]] = parts if group.several else next(iter(parts.values()), None)


@lru_cache(maxsize=64)
def _chosen(words: tuple[str, ...]) -> DictConfig:
    """What Hydra makes of the choices alone, which a sweep's jobs mostly share; whoever changes it copies it first."""
    loader = ConfigLoaderImpl(create_config_search_path(None))
    return loader.load_configuration(CONFIG_NAME, list(words), RunMode.RUN, from_shell=False)


def _word(value: object) -> str:
    """The name of an option, or of several, as Hydra reads it: none is an empty list, since it refuses null."""
    return f"[{','.join(value or [])}]" if isinstance(value, list | None) else str(value)


def _put(tree: dict[str, Any], path: Path, value: object, source: str) -> Iterator[Problem]:
    """Set what an override or an experiment says, mappings entry by entry; whether it fits is for the gate to say."""
    node: Any = tree
    step: str | int = path[0]
    for place, part in enumerate(path):
        here = path[: place + 1]
        step = part
        if isinstance(node, list):
            if not re.fullmatch("[0-9]{1,6}", str(part)) or int(part) >= len(node):
                yield Problem(path=dotted(here), message=_no_position(dotted(path[:place]), len(node)), source=source)
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


def _check_setting(cfg: DictConfig, override: Override) -> Iterator[Problem]:
    """What is wrong with a setting of Hydra's own; which ones its launcher and sweeper have, their configs say."""
    if override.path[0] in HYDRA_GROUPS:
        return
    around, name = dotted(override.path[:-1]), str(override.path[-1])
    node = OmegaConf.select(cfg, around)
    fields = [str(key) for key in node if key not in RESERVED] if isinstance(node, DictConfig) else []
    if name not in fields:
        there_is = did_you_mean(name, fields) or (f"; it has {', '.join(fields)}" if fields else "")
        message = f"{around} has no such field{there_is}"
        yield Problem(path=dotted(override.path), message=message, source=override.typed)
        return
    try:
        OmegaConf.update(node, name, override.value)
        OmegaConf.select(cfg, dotted(override.path))
    except InterpolationToMissingValueError:
        return  # what Hydra fills in later: the number of a sweep's job
    except (OmegaConfBaseException, ValueError, TypeError, AssertionError) as error:
        message = f"cannot be set: {first_line(error)}"
        yield Problem(path=dotted(override.path), message=message, source=override.typed)


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


def _of_another_task(overrides: Sequence[Override]) -> Iterator[Problem]:
    """A run has one experiment at most, and belongs to its task."""
    names = [str(override.value) for override in overrides if override.kind == "experiment" and override.value]
    for override in overrides:
        if override.kind == "experiment" and override.value and override.value != names[0]:
            message = f"is given twice, first as {names[0]}; an experiment may build on another one in its defaults"
            yield Problem(path=EXPERIMENT, message=message, source=override.typed)
        if override.path == ("task",) and names and override.value != (task := names[0].partition("/")[0]):
            message = f"expected '{task}', the task of experiment {names[0]}, found '{override.value}'"
            yield Problem(path="task", message=message, source=override.typed)


def _sharing_a_process(jobs: Sequence[Composed]) -> Iterator[Problem]:
    """Jobs that Hydra's own launcher runs one after the other in a process that the first of them leaves unusable."""
    for job in jobs:
        trainer = job.config.trainer
        launched_elsewhere = any(word.startswith("hydra/launcher=") for word in job.overrides)
        if trainer.reruns_the_program() and len(jobs) > 1 and not launched_elsewhere:
            message = f"'{trainer.strategy}' leaves its process unfit for a sweep's next job; expected 'ddp_spawn'"
            yield Problem(path="trainer.strategy", message=f"{message}, or hydra/launcher=joblib once it is installed")


def _jobs(overrides: Sequence[str]) -> list[list[str]]:
    """The override lists of a sweep's jobs, in Hydra's order."""
    from hydra._internal.core_plugins.basic_sweeper import BasicSweeper

    parsed = OverridesParser.create(ConfigLoaderImpl(create_config_search_path(None))).parse_overrides(list(overrides))
    batches = cast(Any, BasicSweeper.split_arguments(parsed, None))
    return [list(job) for batch in batches for job in batch]
