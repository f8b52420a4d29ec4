"""What `app diff` compares: a config, however it is named, and what has to be typed to get it."""

import os
import re
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import yaml

from app.compose import compose
from app.experiments import GROUP as EXPERIMENT
from app.experiments import Experiment, experiment_at, experiment_names
from app.inspection.spelling import UnwritableError, choice, override
from app.run_directory import CONFIG_FILE
from app.schemas.codes import Code
from app.schemas.problems import AppError, ConfigError, Problem, did_you_mean, first_line, one_of
from app.schemas.registry import groups
from app.schemas.run import RunConfig
from app.stored_config import without_masks
from app.tasks import task_folders

DEFAULT: Final = "default"

_AT_REVISION: Final = re.compile(r"([^-:=\s][^:=\s]*):([^:=\s]+)")
KINDS: Final = "an experiment, 'default', a run's folder, a checkpoint, <revision>:<experiment>, or overrides in quotes"


@dataclass(frozen=True, kw_only=True)
class Side:
    """One of the configs that are compared."""

    name: str
    words: tuple[str, ...] = ()
    """The overrides that make it, on top of `stored`."""

    stored: Mapping[str, Any] | None = None
    """A config that a run has stored, as plain containers, in place of the defaults."""

    def config(self, further: Sequence[str] = ()) -> RunConfig:
        """The config, with further overrides on top.

        Raises:
            ConfigError: when that is wrong.
        """
        return compose([*self.words, *further], base=self.stored).config


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
    path = Path(word).expanduser()
    if path.suffix == ".yaml" and path.name != CONFIG_FILE and (name := _experiment_in(path)):
        return Side(name=name, words=(f"{EXPERIMENT}={name}",))
    if path.is_dir() or path.name == CONFIG_FILE:
        return Side(name=word, stored=_in_run(path if path.is_dir() else path.parent))
    if path.is_file() or "://" in word:
        return Side(name=word, stored=_in_checkpoint(word))
    if found := _AT_REVISION.fullmatch(word):
        return Side(name=word, words=tuple(_at_revision(found[1], found[2])))
    names = [*experiment_names(), DEFAULT]
    meant = did_you_mean(word, names)
    if not meant:
        meant = next(
            (f"; did you mean '{name}'?" for name in names if name.endswith(f"/{word}")), f"; expected {KINDS}"
        )
    raise ConfigError([Problem(path="", message=f"nothing is called '{word}'{meant}", source=word, code=Code.OVERRIDE)])


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


def _experiment_in(file: Path) -> str | None:
    for task, folder in task_folders().items():
        if file.resolve().parent == (folder / "experiments").resolve() and f"{task}/{file.stem}" in experiment_names():
            return f"{task}/{file.stem}"
    return None


def _in_run(folder: Path) -> Mapping[str, Any]:
    file = folder / CONFIG_FILE
    try:
        tree = yaml.safe_load(file.read_text(encoding="utf-8"))
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


def _at_revision(revision: str, name: str) -> list[str]:
    """The overrides that an experiment stands for as it was at a revision, judged by the schemas of today."""
    task, _, leaf = name.partition("/")
    folder = task_folders().get(task)
    if folder is None:
        message = f"no task '{task}'{did_you_mean(task, task_folders()) or f'; there is {one_of([*task_folders()])}'}"
        raise _unreadable(f"{revision}:{name}", message)
    words: list[str] = [f"task={task}"]
    choices: dict[str, object] = {}
    experiments = list(_with_bases(revision, leaf, folder, {}).values())
    for experiment in experiments:
        choices |= experiment.choices
    words += [choice(groups[group], value) for group, value in choices.items()]
    try:
        for experiment in experiments:
            for key, value in experiment.values.items():
                in_group = isinstance(value, dict) and value and "id" not in value and key in groups
                set_to = {(key, part): item for part, item in value.items()} if in_group else {(key,): value}
                words += [override(path, item) for path, item in set_to.items()]
    except UnwritableError as error:
        raise _unreadable(f"{revision}:{name}", str(error)) from error
    return words


def _with_bases(revision: str, leaf: str, folder: Path, found: dict[str, Experiment]) -> dict[str, Experiment]:
    """The experiments that one builds on at a revision, and then itself."""
    text = _git(folder, "show", f"{revision}:./experiments/{leaf}.yaml", leaf)
    with TemporaryDirectory() as temporary:
        file = Path(temporary, f"{leaf}.yaml")
        file.write_bytes(text)
        experiment = experiment_at(file, folder.name)
    if experiment.problems:
        shown = f"{revision}:{folder.name}/{leaf}.yaml"
        raise ConfigError(
            replace(one, source=str(one.source).replace(str(file), shown).replace(os.path.relpath(file), shown))
            for one in experiment.problems
        )
    for base in experiment.bases:
        if base not in found:
            _with_bases(revision, base.partition("/")[2], folder, found)
    found[experiment.name] = experiment
    return found


def _git(folder: Path, command: str, what: str, leaf: str) -> bytes:
    try:
        done = subprocess.run(
            ["git", command, "--end-of-options", what], cwd=folder, capture_output=True, timeout=30, check=False
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise AppError(f"git cannot be asked for {what}: {error}") from error
    if done.returncode != 0:
        lines = done.stderr.decode(errors="replace").strip().splitlines() or ["git gives no reason"]
        revision = what.partition(":")[0]
        raise _unreadable(f"{revision}:{folder.name}/{leaf}", lines[0].removeprefix("fatal: "))
    return done.stdout
