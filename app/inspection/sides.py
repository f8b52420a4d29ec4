"""What `app diff` compares: a config, however it is named, and what has to be typed to get it."""

import os
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import yaml

from app.compose import compose
from app.composing.experiments import GROUP as EXPERIMENT
from app.composing.experiments import Experiment, experiment_at, experiment_names, is_experiment
from app.composing.overrides import read_overrides
from app.composing.stored_config import without_masks
from app.inspection.revisions import words_at
from app.run_directory import CONFIG_FILE
from app.schemas.codes import Code
from app.schemas.problems import ConfigError, Problem, did_you_mean, first_line
from app.schemas.run import RunConfig
from app.tasks import import_task_configs

DEFAULT: Final = "default"

_AT_REVISION: Final = re.compile(r"([^-:=\s][^:=\s]*):([^:=\s]+)")
KINDS: Final = "an experiment, 'default', a run's folder, a checkpoint, <revision>:<experiment>, or overrides in quotes"


@dataclass(frozen=True, kw_only=True)
class Side:
    """One of the configs that are compared."""

    name: str
    words: tuple[str, ...] = ()
    """The overrides that make it, on top of `experiment` or `stored`."""

    experiment: Experiment | None = None
    """A file that cannot be chosen by a word, since it lies elsewhere."""

    stored: Mapping[str, Any] | None = None
    """A config that a run has stored, as plain containers, in place of the defaults."""

    def config(self, further: Sequence[str] = ()) -> RunConfig:
        """The config, with further overrides on top.

        Raises:
            ConfigError: when that is wrong.
        """
        return compose([*self.words, *further], self.experiment, base=self.stored).config

    def is_of_an_experiment(self) -> bool:
        """Whether an experiment makes it, which cannot be of another task than its own."""
        chosen = (word for word in read_overrides(self.words)[0] if word.kind == "experiment")
        return self.experiment is not None or any(word.value for word in chosen)


def side(word: str) -> Side:
    """The config that a word names.

    Raises:
        ConfigError: when the word names nothing, or something that is no right config.
    """
    found = _side(word)
    try:
        found.config()
    except ConfigError as error:
        names = [word] if found.stored is not None or _AT_REVISION.fullmatch(word) else []
        raise ConfigError(
            replace(one, source="   ".join([*([one.source] if one.source else []), *names])) for one in error.problems
        ) from error
    return found


def _side(word: str) -> Side:
    if "=" in word or len(word.split()) > 1:
        return _overrides(word)
    if word == DEFAULT:
        return Side(name=word)
    if word in experiment_names():
        return Side(name=word, words=(f"{EXPERIMENT}={word}",))
    if found := _in_file(word):
        return found
    if at_revision := _AT_REVISION.fullmatch(word):
        return Side(name=word, words=tuple(words_at(*at_revision.groups())))
    names = [*experiment_names(), DEFAULT]
    meant = did_you_mean(word, names)
    if not meant:
        meant = next(
            (f"; did you mean '{name}'?" for name in names if name.endswith(f"/{word}")), f"; expected {KINDS}"
        )
    raise ConfigError([Problem(path="", message=f"nothing is called '{word}'{meant}", source=word, code=Code.OVERRIDE)])


def _in_file(word: str) -> Side | None:
    path = Path(os.path.expanduser(word))  # noqa: PTH111  # `Path` has an error for the home of nobody
    try:
        is_folder, is_file = path.is_dir() and bool(word), path.is_file()
    except OSError:  # as for a name that is too long for one
        return None
    if path.suffix == ".yaml" and path.name != CONFIG_FILE and is_file:
        return _in_experiment(word, path)
    if is_folder or path.name == CONFIG_FILE:
        return Side(name=word, stored=_in_run(path if is_folder else path.parent))
    return Side(name=word, stored=_in_checkpoint(word)) if is_file or "://" in word else None


def _overrides(text: str) -> Side:
    try:
        words = shlex.split(text)
    except ValueError as error:
        message = f"cannot be taken apart into words: {first_line(error)}"
        raise ConfigError([Problem(path="", message=message, source=text, code=Code.OVERRIDE)]) from error
    first = Side(name=text)
    if "=" not in words[0]:
        first = _side(words.pop(0))
    return replace(first, name=text, words=(*first.words, *words))


def _in_experiment(word: str, file: Path) -> Side:
    import_task_configs()  # what it chooses is judged as it is read
    experiment = experiment_at(file)
    if is_experiment(experiment.name):
        return Side(name=experiment.name, words=(f"{EXPERIMENT}={experiment.name}",))
    return Side(name=word, experiment=experiment)


def _in_run(folder: Path) -> Mapping[str, Any]:
    file = folder / CONFIG_FILE
    try:
        tree = yaml.safe_load(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise _unreadable(str(folder), f"holds no {CONFIG_FILE} of a run") from error
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise _unreadable(str(folder), f"holds no {CONFIG_FILE} of a run: {first_line(error)}") from error
    return _checked(tree, str(file))


def _in_checkpoint(path: str) -> Mapping[str, Any]:
    # Needed for checkpoints alone.
    from app.checkpoints.contents import read_contents
    from app.checkpoints.opening import CheckpointError

    try:
        return _checked(read_contents(path).config, path)
    except CheckpointError as error:
        raise _unreadable(path, str(error)) from error


def _checked(tree: object, path: str) -> Mapping[str, Any]:
    """A stored config, which has no interpolations left: they could bring in what this machine's environment holds."""
    task = tree.get("task") if isinstance(tree, dict) else None
    if not isinstance(tree, dict) or not isinstance(task, dict) or "name" not in task:
        raise _unreadable(path, "holds no config that a run has stored")
    if "${" in str(tree):
        raise _unreadable(path, "holds a config with interpolations, which no run has stored")
    kept: dict[str, Any] = without_masks(tree)
    return {key: value for key, value in kept.items() if key != "_target_"}


def _unreadable(path: str, message: str) -> ConfigError:
    return ConfigError([Problem(path="", message=message, source=path, code=Code.OVERRIDE)])
