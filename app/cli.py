"""The command line: `app [command] [overrides]`. Everything is checked before torch is imported.

Hydra runs the jobs and answers `--help` and `--info`; a wrong config never reaches it.
"""

import gc
import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any, Final, cast

import hydra
import yaml
from hydra.conf import HydraConf
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, read_write

import app
from app.completion import answer
from app.compose import CONFIG_NAME, Composed, compose, compose_sweep, prepare
from app.hydra_settings import HYDRA_SETTINGS
from app.overrides import Override, quoted, read_overrides
from app.run_directory import run_name
from app.schemas.callbacks import FreezeConfig
from app.schemas.plain import MASK, secrets_of, to_plain
from app.schemas.problems import AppError, ConfigError, Problem, did_you_mean, dotted, one_of
from app.schemas.registry import options
from app.schemas.run import RunConfig, groups_in_order

COMMANDS: Final[Mapping[str, Sequence[str]]] = {
    "train": (),
    "test": (),
    "predict": (),
    "check": (),
    "find-lr": (),
    "checkpoint": ("plan",),
}
"""What may stand first, each with the words of which one has to follow it."""

FLAGS: Final = {
    "--help": "-h",
    "--version": None,
    "--cfg": "-c",
    "--resolve": None,
    "--package": "-p",
    "--run": "-r",
    "--multirun": "-m",
    "--shell-completion": "-sc",
    "--info": "-i",
}
"""Hydra's flags that work here, with their short forms. The rest would read configs from elsewhere, or run pickles."""

_WITH_VALUE: Final = {
    "--cfg": ("job", "hydra", "all"),
    "--info": ("all", "config", "defaults", "defaults-tree", "plugins", "searchpath"),
    "--package": (),
}
"""Flags that take a word, with the words there are; any for `--package`."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Returns:
        The exit status: 0 when all went well, 1 when a run failed, 2 for a wrong config, 130 when interrupted before
        training. An interrupted training ends the process with SystemExit: 130, or 143 for SIGTERM.
    """
    try:
        return _run(list(sys.argv[1:] if arguments is None else arguments))
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2
    except AppError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # whoever read the output has seen enough, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE


def _run(arguments: list[str]) -> int:
    command = arguments.pop(0) if arguments and arguments[0] in COMMANDS else "train"
    if further := COMMANDS[command]:
        command = _with_its_word(command, further, arguments)
    flags, overrides = _split(arguments)
    if "--version" in flags:
        print(f"typed-lightning-app {app.__version__}")
        return 0
    prepare()
    if "--help" in flags:
        print(_help())
        return 0
    if "--shell-completion" in flags:
        text = answer(overrides, commands=COMMANDS, flags=FLAGS, values=_WITH_VALUE)
        if text is not None:
            print(text)
            return 0
    else:
        sweep = "--multirun" in flags
        only_shown = "--cfg" in flags or "--info" in flags
        jobs = _check("check" if only_shown else command, overrides, sweep=sweep)
        if command == "check" and not only_shown:
            print(_right(jobs[0]))
            return 0
        if flags.get("--cfg") == "job" and flags.keys() <= {"--cfg", "--package", "--resolve"}:
            print(_shown(jobs[0], package=flags.get("--package"), resolved="--resolve" in flags), end="")
            return 0
        if command == "checkpoint plan" and not only_shown:
            if sweep:
                raise ConfigError([Problem(path="", message="one config is planned at a time", source="--multirun")])
            from app.builders.run import build_module
            from app.checkpoints.plan import plan

            config = jobs[0].config
            assert config.load_checkpoint is not None, "the command was checked to have it"
            return plan(cast(Any, build_module(config)).model, config.load_checkpoint)
        read = read_overrides(overrides, sweep=sweep)[0]
        words = _without_secrets(read, jobs)
        if not sweep and not only_shown:
            return _hydra(command, _words_of_hydra(words, jobs[0]), _words_of_ours(words))
        # Hydra knows the default config, and would refuse to set what is not in it; the gate has judged it already.
        overrides = [f"++{word}" if one.kind == "value" else word for one, word in zip(read, words, strict=True)]
    return _hydra(command, [*_words(flags), *overrides])


def _help() -> str:
    """What Hydra would print; it takes seconds over as many options as there are."""
    listed = "\n".join(f"{group.name}: {', '.join(options[group.name])}" for group in groups_in_order())
    return str(HYDRA_SETTINGS["help"]["template"]).replace("$APP_CONFIG_GROUPS", listed).replace("$$", "$")


def _with_its_word(command: str, further: Sequence[str], arguments: list[str]) -> str:
    """A command of two words, the second of them taken off the arguments."""
    found = arguments.pop(0) if arguments else ""
    if found not in further:
        there_is = did_you_mean(found, further) or f": {one_of(further)}"
        raise ConfigError([Problem(path="", message=f"app {command} needs a second word{there_is}", source=found)])
    return f"{command} {found}"


def _check(command: str, overrides: Sequence[str], *, sweep: bool) -> list[Composed]:
    """The configs of all jobs, each of them right for the command."""
    jobs = compose_sweep(overrides) if sweep else [compose(overrides)]
    for job in jobs:
        if problems := list(_unfit(command, job.config)):
            raise ConfigError(problems)
    return jobs


def _unfit(command: str, config: RunConfig) -> Iterator[Problem]:
    """What a config that is right in itself lacks for a command, or has to no purpose."""
    if command in ("test", "predict"):
        if config.checkpoint is None:
            verb = "measure" if command == "test" else "predict with"
            yield Problem(path="checkpoint", message=f"needs a file to {verb}: app {command} checkpoint=<file>")
        if config.resume_path is not None:
            message = f"is where a training goes on; app {command} takes the file as checkpoint=<file>"
            yield Problem(path="resume_path", message=message)
    elif command in ("train", "find-lr") and config.checkpoint is not None:
        message = "is for `app test` and `app predict`; a training goes on from resume_path=<file or run directory>"
        yield Problem(path="checkpoint", message=message)
    elif command == "find-lr" and config.resume_path is not None:
        message = (
            "brings a learning rate of its own; load_checkpoint.base_ckpt_path=<file> searches one for its weights"
        )
        yield Problem(path="resume_path", message=message)
    elif command == "checkpoint plan" and config.load_checkpoint is None:
        message = "needs the files to plan with: load_checkpoint.base_ckpt_path=<file>"
        yield Problem(path="load_checkpoint", message=message)
    if config.load_checkpoint is not None and config.resume_path is None:
        for path, file in config.load_checkpoint.files().items():
            if "://" not in file and not Path(file).expanduser().is_file():
                yield Problem(path=dotted(("load_checkpoint", *path)), message=f"no file '{file}'")


def _right(composed: Composed) -> str:
    config = composed.config
    specs = [config.optimizer_spec, *(named.optimizer_spec for named in config.optimizers.values())]
    freezing = any(isinstance(callback, FreezeConfig) and callback.parts for callback in config.callbacks.values())
    names_parts = config.optimizers or config.load_checkpoint or freezing
    if names_parts or any(spec.params or spec.paramwise.custom for spec in specs):
        return "no problem found; the paths that name parts of the model meet it in training"
    return "no problem found"


def _hydra(command: str, words: list[str], overrides: list[str] | None = None) -> int:
    """Let Hydra make the run's folder and call the job, or print what a flag asks for.

    Without `overrides` the job's are those that Hydra gives it: one combination of a sweep's.
    """
    started = False
    failure: AppError | None = None

    def job(_: DictConfig) -> float | None:
        nonlocal started, failure
        started = True
        gc.enable()
        settings = HydraConfig.get()
        composed = compose(_overrides_as_typed(settings) if overrides is None else overrides)
        # Lightning starts a run's other processes with these arguments, in this folder.
        sys.argv = [sys.argv[0], command, *composed.overrides]
        with read_write(cast(DictConfig, settings)):
            settings.run.dir = settings.runtime.output_dir
        from app import find_lr, train

        commands: dict[str, Callable[..., float | None]] = {
            "train": train.train,
            "test": train.test,
            "predict": train.predict,
            "find-lr": find_lr.find_lr,
        }
        try:
            return commands[command](composed, settings.runtime.output_dir)
        except AppError as error:
            if settings.mode is not RunMode.RUN:
                raise  # the launcher may be in another process, and has to know that the job failed
            failure = error
            return None

    os.environ["HYDRA_FULL_ERROR"] = "1"  # errors come to `main`, which knows which of them are messages to the user
    typed = sys.argv
    sys.argv = [typed[0], *words]
    try:
        hydra.main(config_path="pkg://app.schemas", config_name=CONFIG_NAME, version_base="1.3")(job)()
    except OSError as error:
        if started:
            raise
        raise AppError(f"cannot make the run's folder: {error}") from error
    finally:
        sys.argv = typed
    if failure is not None:
        raise failure
    return 0


def _overrides_as_typed(settings: HydraConf) -> list[str]:
    """A job's overrides with their interpolations unresolved: what they stand for may be secret."""
    overrides = OmegaConf.to_container(cast(DictConfig, settings.overrides), resolve=False)
    return [word.lstrip("+") for word in cast(dict[str, list[str]], overrides)["task"]]


def _split(arguments: Sequence[str]) -> tuple[dict[str, str | None], list[str]]:
    """Flags, with their values, and overrides; words that are neither are problems."""
    flags: dict[str, str | None] = {}
    overrides: list[str] = []
    problems: list[Problem] = []
    long = {short: flag for flag, short in FLAGS.items() if short}
    words = iter(arguments)
    for word in words:
        if not word.startswith("-"):
            if "=" in word or word.startswith("~"):
                overrides.append(word)
            else:
                problems.append(_stray(word))
            continue
        name, _, value = word.partition("=")
        flag = long.get(name, name)
        if flag not in FLAGS:
            there_is = did_you_mean(flag, FLAGS) or f"; there is {', '.join(FLAGS)}"
            problems.append(Problem(path="", message=f"no flag {name}{there_is}", source=word))
            continue
        flags[flag] = (value or next(words, "")) if flag in _WITH_VALUE else None
        if flag in _WITH_VALUE and (choices := _WITH_VALUE[flag]) and flags[flag] not in choices:
            problems.append(Problem(path="", message=f"{flag} takes {one_of(choices)}", source=f"{word} {flags[flag]}"))
    if problems:
        raise ConfigError(problems)
    return flags, overrides


def _stray(word: str) -> Problem:
    if word.endswith(".ckpt"):
        return Problem(path="", message=f"expected key=value; did you mean 'checkpoint={word}'?", source=word)
    message = f"expected key=value, or a command first{did_you_mean(word, COMMANDS) or f': {one_of([*COMMANDS])}'}"
    return Problem(path="", message=message, source=word)


def _words(flags: dict[str, str | None]) -> list[str]:
    return [word for flag, value in flags.items() for word in ([flag] if value is None else [flag, value])]


def _words_of_hydra(overrides: Sequence[str], job: Composed) -> list[str]:
    """What Hydra has to know of a single run: its own settings, and the folder."""
    words = [word for word in overrides if word.startswith("hydra")]
    if not any(word.startswith("hydra.run.dir=") for word in words):
        folder = f"{job.config.run_directory.root}/{job.config.task.name}/{run_name()}"
        words.append(f"hydra.run.dir={quoted(folder)}")
    return words


def _words_of_ours(overrides: Sequence[str]) -> list[str]:
    return [word for word in overrides if not word.startswith("hydra")]


def _without_secrets(overrides: Sequence[Override], jobs: Sequence[Composed]) -> list[str]:
    """The overrides with typed secrets moved to the environment: Hydra, wandb and others write arguments to files."""
    secrets = {path: secret for job in jobs for path, secret in secrets_of(job.config).items()}
    words = []
    for place, override in enumerate(overrides):
        key, _, value = override.text.partition("=")
        for path, secret in secrets.items():
            if override.kind == "value" and path[: len(override.path)] == override.path and "${" not in value:
                variable = f"APP_SECRET_{place}"
                os.environ[variable] = secret
                reference = f"${{oc.env:{variable}}}"
                value = reference if path == override.path else value.replace(secret, reference)
        words.append(f"{key}={value}")
    return words


def _shown(composed: Composed, *, package: str | None = None, resolved: bool = False) -> str:
    """The composed tree as YAML, or a part of it, as it was written but for secrets; or with all that it refers to."""
    tree: Any = to_plain(composed.config) if resolved else deepcopy(dict(composed.tree))
    for path in secrets_of(composed.config):
        node = tree
        for part in path[:-1]:
            node = node[part]
        node[path[-1]] = MASK
    for place, part in enumerate(package.split(".") if package else ()):
        if not isinstance(tree, dict) or part not in tree:
            there = did_you_mean(part, tree) if isinstance(tree, dict) else ""
            where = ".".join(str(package).split(".")[: place + 1])
            message = f"the config has no part '{where}'{there}"
            raise ConfigError([Problem(path="", message=message, source=f"--package {package}")])
        tree = tree[part]
    return yaml.safe_dump(tree, sort_keys=False, allow_unicode=True)
