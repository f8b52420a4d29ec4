"""How Hydra gets to see experiments: as configs of the group `experiment`, only what passed the reading."""

from collections.abc import Mapping
from typing import Any

from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.object_type import ObjectType
from hydra.core.plugins import Plugins
from hydra.plugins.config_source import ConfigResult, ConfigSource
from hydra.plugins.search_path_plugin import SearchPathPlugin
from omegaconf import OmegaConf

from app.composing.experiments import GROUP, experiment_names, merge, read_experiment, with_bases


class ExperimentSource(ConfigSource):
    """Serves experiments to Hydra: `experiment=<task>/<name>`, only what passed the reading, always at the root."""

    @staticmethod
    def scheme() -> str:
        """What stands before `://` in the search path."""
        return "experiments"

    def load_config(self, config_path: str) -> ConfigResult:
        """The experiment as one config, what it builds on included, choosing its own task before anything else."""
        experiments, _ = with_bases(read_experiment(_name_in(config_path)))
        choices: dict[str, object] = {"task": experiments[-1].task}
        values: dict[str, Any] = {}
        for experiment in experiments:
            choices.update(experiment.choices)
            merge(experiment.values, values)
        defaults = [*({f"override /{group}": value} for group, value in choices.items()), "_self_"]
        return ConfigResult(
            provider=self.provider,
            path=f"{self.scheme()}://",
            config=OmegaConf.create({"defaults": defaults, **values}),
            header={"package": "_global_"},
        )

    def available(self) -> bool:
        """Always: a project without experiments has an empty group."""
        return True

    def is_group(self, config_path: str) -> bool:
        """Whether this is `experiment`, or the folder of a task's experiments."""
        return config_path in self._groups()

    def is_config(self, config_path: str) -> bool:
        """Whether this is an experiment."""
        return config_path.startswith(f"{GROUP}/") and _name_in(config_path) in experiment_names()

    def list(self, config_path: str, results_filter: ObjectType | None) -> list[str]:
        """What lies directly under a group, for help and completion."""
        prefix = f"{config_path}/" if config_path else ""
        found: Mapping[ObjectType, list[str]] = {
            ObjectType.GROUP: self._groups(),
            ObjectType.CONFIG: [f"{GROUP}/{name}" for name in experiment_names()],
        }
        kinds = [results_filter] if results_filter else list(found)
        paths = [path for kind in kinds for path in found[kind] if path.startswith(prefix)]
        return sorted({path[len(prefix) :] for path in paths if "/" not in path[len(prefix) :]})

    @staticmethod
    def _groups() -> Any:  # a list; in this class `list` is the method above
        return [GROUP, *sorted({f"{GROUP}/{name.partition('/')[0]}" for name in experiment_names()})]


def _name_in(config_path: str) -> str:
    return config_path.removeprefix(f"{GROUP}/").removesuffix(".yaml")


class ExperimentSearchPath(SearchPathPlugin):
    """Has Hydra look for experiments through `ExperimentSource`, and in no folder."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """Add the source after Hydra's own."""
        search_path.append("app", f"{ExperimentSource.scheme()}://")


def register_plugins() -> None:
    """Make Hydra know the experiments."""
    Plugins.instance().register(ExperimentSource)
    Plugins.instance().register(ExperimentSearchPath)
