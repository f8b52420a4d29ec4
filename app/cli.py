"""The command line: `app [command] [overrides]`. Everything is checked before torch is imported.

Hydra runs the jobs and answers `--info` and what `--cfg` asks of its own; a wrong config never reaches it.
"""

import os
import signal
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from inspect import cleandoc
from pathlib import Path
from typing import Any, cast

import app
from app.command_rules import problems_for
from app.commands import COMMANDS, commands_help
from app.completion import answer as complete_line
from app.compose import Composed, compose, compose_sweep
from app.composing.overrides import Override, quoted, read_overrides
from app.flags import split
from app.hydra_settings import HYDRA_SETTINGS
from app.schemas.plain import secrets_of
from app.schemas.problems import AppError, ConfigError, Problem, did_you_mean, one_of
from app.schemas.registry import options
from app.schemas.run import groups_in_order
from app.tasks import import_task_configs


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
    known = COMMANDS[command]
    if known.answer is not None:
        return _answer(known.answer, arguments)
    if known.subcommands:
        command = _with_subcommand(command, known.subcommands, arguments)
    flags, overrides, names, problems = split(arguments, known.flags)
    if problems := [*problems, *map(_stray, names)]:
        raise ConfigError(problems)
    if "--version" in flags:
        print(f"typed-lightning-app {app.__version__}")
        return 0
    import_task_configs()
    if "--help" in flags:
        print(_help() if known.part is None else _help_of(command, known.part))
        return 0
    if "--shell-completion" in flags:
        text = complete_line(overrides)
        if text is not None:
            print(text)
            return 0
    else:
        sweep = "--multirun" in flags
        only_shown = "--cfg" in flags or "--info" in flags
        jobs = _check("show" if only_shown else command, overrides, sweep=sweep)
        if flags.get("--cfg") == "job" and flags.keys() <= {"--cfg", "--package", "--resolve"}:
            from app.inspection.show import shown

            print(shown(jobs[0], package=flags.get("--package"), resolved="--resolve" in flags), end="")
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
            _refuse_a_used_folder(read)
            return _started(command, _words_of_hydra(words, jobs[0]), _words_of_ours(words))
        # Hydra knows the default config, and would refuse to set what is not in it; the gate has judged it already.
        overrides = [f"++{word}" if one.kind == "value" else word for one, word in zip(read, words, strict=True)]
    return _started(command, [*_words(flags), *overrides])


def _started(command: str, words: list[str], overrides: list[str] | None = None) -> int:
    from app.hydra_jobs import start  # Hydra is slow to import, and a wrong config never reaches it

    return start(command, words, overrides)


def _answer(module_name: str, words: Sequence[str]) -> int:
    """Print what a command has to say; it may say with which status to end, too."""
    module = import_module(module_name)
    if not {"--help", "-h"}.isdisjoint(words):
        print(cleandoc(module.__doc__ or ""))
        return 0
    found: str | tuple[str, int] = module.answer(words)
    text, status = (found, 0) if isinstance(found, str) else found
    print(text)
    return status


def _help() -> str:
    """What Hydra would print; it takes seconds over as many options as there are."""
    listed = "\n".join(f"{group.name}: {', '.join(options[group.name])}" for group in groups_in_order())
    filled = {"$APP_COMMANDS": commands_help(), "$APP_CONFIG_GROUPS": listed, "$$": "$"}
    text = str(HYDRA_SETTINGS["help"]["template"])
    for name, value in filled.items():
        text = text.replace(name, value)
    return text


def _help_of(command: str, part: str) -> str:
    """What a command does, and every field that is for it alone."""
    from app.inspection.explain import explained_fields  # which nothing else here needs

    usage = f"app {command} [group=option ...] [path.to.a.field=value ...] [flags]"
    more = "app --help says what else there is: groups, flags and other commands."
    return "\n\n".join([usage, COMMANDS[command].summary, explained_fields(part), more])


def _with_subcommand(command: str, subcommands: Sequence[str], arguments: list[str]) -> str:
    """A command of two words, the second of them taken off the arguments."""
    found = arguments.pop(0) if arguments else ""
    if found not in subcommands:
        there_is = did_you_mean(found, subcommands) or f": {one_of(subcommands)}"
        raise ConfigError([Problem(path="", message=f"app {command} needs a second word{there_is}", source=found)])
    return f"{command} {found}"


def _check(command: str, overrides: Sequence[str], *, sweep: bool) -> list[Composed]:
    """The configs of all jobs, each of them right for the command."""
    jobs = compose_sweep(overrides) if sweep else [compose(overrides)]
    for job in jobs:
        if problems := list(problems_for(command, job.config)):
            raise ConfigError(problems)
    return jobs


def _refuse_a_used_folder(overrides: Sequence[Override]) -> None:
    """Say so now, not once everything is imported; a folder that only Hydra can work out is left to the run."""
    for override in overrides:
        if override.key == "hydra.run.dir" and "${" not in override.value:
            from app.run_directory import earlier_run  # imports what only runs need

            if reason := earlier_run(Path(override.value)):
                raise ConfigError([Problem(path="hydra.run.dir", message=reason, source=override.typed)])


def _stray(word: str) -> Problem:
    for key, endings in (("checkpoint", (".ckpt",)), ("model", (".onnx", ".pt2"))):
        if word.endswith(endings):
            return Problem(path="", message=f"expected key=value; did you mean '{key}={word}'?", source=word)
    message = f"expected key=value, or a command first{did_you_mean(word, COMMANDS) or f': {one_of([*COMMANDS])}'}"
    return Problem(path="", message=message, source=word)


def _words(flags: Mapping[str, str | None]) -> list[str]:
    return [word for flag, value in flags.items() for word in ([flag] if value is None else [flag, value])]


def _words_of_hydra(overrides: Sequence[str], job: Composed) -> list[str]:
    """What Hydra has to know of a single run: its own settings, and the folder."""
    words = [word for word in overrides if word.startswith("hydra")]
    if not any(word.startswith("hydra.run.dir=") for word in words):
        from app.run_directory import run_name  # imports what only runs need

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
