"""What only Hydra can answer: what may be set of it, and which jobs a sweep has. It composes with its own loader.

A run's own config does not need this: see `app.composing.assembly`.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any, cast

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra._internal.utils import create_config_search_path
from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import InterpolationToMissingValueError, OmegaConfBaseException

from app.choices import HYDRA_GROUPS
from app.compose import CONFIG_NAME
from app.composing.assembly import defaults_list, root_tree
from app.composing.experiment_source import register_plugins
from app.composing.overrides import Override
from app.hydra_settings import HYDRA_SETTINGS
from app.run_directory import register_resolver
from app.schemas.codes import Code
from app.schemas.config_store import store_options
from app.schemas.problems import Problem, did_you_mean, dotted, first_line
from app.schemas.registry import groups
from app.schemas.validation import RESERVED
from app.tasks import import_task_configs


@cache
def register_all() -> None:
    """Register every option, the root of the config and the source of experiments with Hydra."""
    import_task_configs()
    store_options()
    register_plugins()
    register_resolver()
    tree = {"defaults": defaults_list(), **root_tree(), "hydra": dict(HYDRA_SETTINGS)}
    ConfigStore.instance().store(name=CONFIG_NAME, node=OmegaConf.create(tree), provider="app")


def composed_by_hydra(chosen: Mapping[str, object], settings: Sequence[str] = ()) -> DictConfig:
    """What Hydra makes of the options that are chosen, by group, and of settings of its own."""
    register_all()
    words = [f"{group}={_word(value)}" for group, value in chosen.items() if groups[group].mount == group]
    loader = ConfigLoaderImpl(create_config_search_path(None))
    return loader.load_configuration(CONFIG_NAME, [*words, *settings], RunMode.RUN, from_shell=False)


def check_settings(settings: Sequence[Override], chosen: Mapping[str, object]) -> Iterator[Problem]:
    """What is wrong with settings of Hydra's own; they may interpolate the config of the chosen options."""
    of_groups = [override.text for override in settings if override.path[0] in HYDRA_GROUPS]
    try:
        cfg = composed_by_hydra(chosen, of_groups)
    except (HydraException, OmegaConfBaseException) as error:
        yield Problem(path="", message=f"cannot be composed: {first_line(error)}", code=Code.OVERRIDE)
        return
    for override in settings:
        yield from _check_setting(cfg, override)


def combinations(overrides: Sequence[str]) -> list[list[str]]:
    """The override lists of a sweep's jobs, in Hydra's order."""
    parsed = OverridesParser.create(ConfigLoaderImpl(create_config_search_path(None))).parse_overrides(list(overrides))
    batches = cast(Any, BasicSweeper.split_arguments(parsed, None))
    return [list(job) for batch in batches for job in batch]


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
        yield Problem(path=dotted(override.path), message=message, source=override.typed, code=Code.UNKNOWN_FIELD)
        return
    try:
        OmegaConf.update(node, name, override.value)
        OmegaConf.select(cfg, dotted(override.path))
    except InterpolationToMissingValueError:
        return  # what Hydra fills in later: the number of a sweep's job
    except (OmegaConfBaseException, ValueError, TypeError, AssertionError) as error:
        message = f"cannot be set: {first_line(error)}"
        yield Problem(path=dotted(override.path), message=message, source=override.typed, code=Code.OVERRIDE)


def _word(value: object) -> str:
    """The name of an option, or of several, as Hydra reads it: none is an empty list, since it refuses null."""
    return f"[{','.join(value or [])}]" if isinstance(value, list | None) else str(value)
