"""The config in a checkpoint or exported model that a run starts from: it takes the defaults' place.

So such a file alone is enough, and what is typed beside it changes what it says. Nothing here imports torch.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Final, cast

from app.composing.experiments import Experiment
from app.composing.overrides import Override
from app.schemas.callbacks import ExportBestConfig
from app.schemas.codes import Code
from app.schemas.loggers import CSVLoggerConfig
from app.schemas.plain import MASK, to_plain
from app.schemas.problems import ConfigError, Path, Problem, dotted, show
from app.schemas.registry import option_at
from app.schemas.resolution import resolve
from app.schemas.run import RunConfig
from app.schemas.schema import MISSING
from app.schemas.user_paths import UnknownHomeError
from app.schemas.validation import Sources

_RESTORED: Final[Sequence[str]] = ("optimizer_spec", "scheduler_spec", "optimizers", "seed_params")
"""The parts of a config whose live objects a resumed run gets back as they were, settings included."""

_FIRST_WEIGHTS: Final[Mapping[str, Any]] = {"pretrained": False, "checkpoint_path": None}
"""The fields by which a part of a model asks for weights to start from, with the value that asks for none."""

_MAY_BE_NONE: Final = ("scheduler_spec", "load_checkpoint")

STORED: Final = ("checkpoint", "model", "resume_path")
"""The fields that name a checkpoint or an exported model, whose config takes the defaults' place."""


@dataclass(frozen=True, kw_only=True)
class StoredConfig:
    """A config as a checkpoint or an exported model holds it."""

    path: str
    """The file that it was read from, as messages may show it."""

    tree: dict[str, Any]

    key: str
    """The one of `STORED` that names the file."""

    def changed_in_vain(self, config: RunConfig, sources: Sources) -> Iterator[Problem]:
        """What was changed although a checkpoint brings it to a resumed run, or an exported model is made of it."""
        if self.key == "checkpoint":
            return
        anew = f"load_checkpoint.base_ckpt_path={self.path} starts anew from its weights"
        vain = "comes with the checkpoint, so that a change would have no effect"
        parts, message = _RESTORED, f"{vain}; instead of resume_path, {anew}"
        if self.key == "model":
            parts = ("module",)
            message = (
                "is as it was when the model was exported; to change it, name a checkpoint=<file> instead of model"
            )
        plain = to_plain(config)
        for part in parts:
            for path in _differing(self.tree.get(part), plain[part], (part,)):
                yield Problem(path=dotted(path), message=message, source=sources.of(path))


def stored_config(overrides: Sequence[Override], experiments: Sequence[Experiment]) -> StoredConfig | None:
    """The config in the file that one of `STORED` names; None when none is set, or the checkpoint has none.

    Raises:
        ConfigError: when the file is not there, or something else.
    """
    named: dict[str, tuple[object, str]] = {}
    for experiment in experiments:
        named |= {key: (value, experiment.places[(key,)]) for key, value in experiment.values.items()}
    named |= {override.key: (override.value, override.typed) for override in overrides if override.kind == "value"}
    for key in STORED:
        value, source = named.get(key, (None, ""))
        path = resolve({key: value})[0][key]
        if isinstance(path, str) and path not in ("", MISSING):
            return _read(key, path, source)
    return None  # what else is wrong with a value, the gate says


def _read(key: str, path: str, source: str) -> StoredConfig | None:
    # Needed by no run that starts anew.
    from app.checkpoints.finding import find_checkpoint
    from app.checkpoints.opening import CheckpointError, without_user_info

    source = without_user_info(source)
    try:
        file = find_checkpoint(path).path if key == "resume_path" else path
        config, is_described = _of_model(file) if key == "model" else _of_checkpoint(file)
    except UnknownHomeError:
        return None  # as the gate will say
    except CheckpointError as error:
        raise ConfigError([Problem(path=key, message=str(error), source=source, code=Code.ENVIRONMENT)]) from error
    file = without_user_info(file)
    if config is None and not is_described:
        return None
    faults = ["it is no mapping"] if config is None else list(_faults(config))
    if config is None or faults:
        message = "holds a config that was not stored by a run of this project"
        raise ConfigError([Problem(path=key, message=f"{file}: {message}: {fault}", source=source) for fault in faults])
    tree = without_masks(config if key == "resume_path" else for_measuring(config))
    # These said what that run was to start from. It is over.
    tree.update(dict.fromkeys(STORED))
    predictions = tree.get("predictions")
    if isinstance(predictions, dict) and predictions.get("inputs") == []:
        tree["predictions"] = {**predictions, "inputs": None}  # which older runs stored for none
    return StoredConfig(path=file, tree=_without_places(tree), key=key)


def _of_checkpoint(file: str) -> tuple[dict[str, Any] | None, bool]:
    """The config in a checkpoint, and whether it says that it has one."""
    from app.checkpoints.contents import KEY, read_contents

    contents = read_contents(file)
    described = contents.values.get(KEY)
    return contents.config, isinstance(described, dict) and described.get("config") is not None


def _of_model(file: str) -> tuple[dict[str, Any], bool]:
    """The config in an exported model, which is no use without one."""
    from app.export.contents import read_exported

    return read_exported(file).config, True


def _faults(config: dict[str, Any]) -> Iterator[str]:
    """Because of what a config is not one that a run has stored, so far as the gate cannot say it."""
    task = config.get("task")
    if not isinstance(task, dict) or not isinstance(task.get("name"), str):
        yield "task should be a mapping with a name"
    for name in (field.name for field in fields(cast(Any, RunConfig)) if field.name not in ("task", *STORED)):
        part = config.get(name, {})
        if not isinstance(part, dict) and not (part is None and name in _MAY_BE_NONE):
            yield f"{name} should be a mapping{' or null' if name in _MAY_BE_NONE else ''}, not {show(part)}"
    for path in _interpolating(config, ()):
        yield f"{dotted(path)} should be the value itself, not what ${{…}} stands for on this machine"


def _interpolating(value: object, path: Path) -> Iterator[Path]:
    """Where a text would be resolved: it could bring any variable of the environment into the run's files."""
    if isinstance(value, str) and "${" in value:
        yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from _interpolating(key, (*path, str(key)))
        yield from _interpolating(item, (*path, key if isinstance(key, int) else str(key)))


def _without_places(tree: dict[str, Any]) -> dict[str, Any]:
    """The config less the folders it wrote to: a file from elsewhere must not choose where files go here."""
    for callback in tree.get("callbacks", {}).values():
        if isinstance(callback, dict):
            callback.pop("dirpath", None)
    return {key: value for key, value in tree.items() if key != "run_directory"}


def _differing(one: Any, other: Any, path: Path) -> Iterator[Path]:
    if isinstance(one, dict) and isinstance(other, dict) and one.get("_target_") == other.get("_target_"):
        for key in {**one, **other}:
            yield from _differing(one.get(key), other.get(key), (*path, key))
    elif one != other:
        yield path


def for_measuring(config: Mapping[str, Any]) -> dict[str, Any]:
    """A stored config for a run that only tests or predicts.

    Of the loggers the CSV file alone stays: measuring should need no account, no server and no further package, and
    add nothing to the record of the training. Whoever wants another one chooses it. Nor are first weights looked for,
    which may be gone or far away: all weights are in the checkpoint. Nor does a callback that exports stay: nothing is
    trained, and it may need a further package.
    """
    loggers = config.get("logger")
    kept = {"csv": loggers.get("csv") or to_plain(CSVLoggerConfig())} if isinstance(loggers, dict) and loggers else {}
    module = _without_first_weights(config.get("module"))
    callbacks = config.get("callbacks")
    if isinstance(callbacks, dict):
        callbacks = {name: each for name, each in callbacks.items() if not _exports(each)}
    return {**config, "module": module, "logger": kept, "callbacks": callbacks, "load_checkpoint": None}


def _exports(callback: Any) -> bool:
    option = option_at(callback.get("_target_")) if isinstance(callback, dict) else None
    return option is not None and option.schema is ExportBestConfig


def _without_first_weights(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _FIRST_WEIGHTS.get(key, _without_first_weights(item)) for key, item in value.items()}
    return [_without_first_weights(item) for item in value] if isinstance(value, list) else value


def without_masks(value: Any) -> Any:
    """The config less its secrets, which were masked when it was written: they are looked for anew where needed."""
    if isinstance(value, dict):
        return {key: without_masks(item) for key, item in value.items() if item != MASK}
    return [without_masks(item) for item in value] if isinstance(value, list) else value
