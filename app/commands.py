"""The commands of the command line: what each is for, and which words may stand behind it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from app.checks.diagnostics import Format
from app.flags import Flag
from app.scaffold.kinds import KINDS

Named = Literal["experiments", "configs", "values", "options", "tasks"]
"""What words behind a command that are no overrides may name: two `configs` are compared, a `value` is explained.

Of `options` and `tasks` a command takes the names alone, and no overrides.
"""

HYDRA_FLAGS: Final[Mapping[str, Flag]] = {
    "--help": Flag(short="-h"),
    "--version": Flag(),
    "--cfg": Flag(short="-c", takes_value=True, choices=("job", "hydra", "all")),
    "--resolve": Flag(),
    "--package": Flag(short="-p", takes_value=True),
    "--run": Flag(short="-r"),
    "--multirun": Flag(short="-m"),
    "--shell-completion": Flag(short="-sc"),
    "--info": Flag(
        short="-i", takes_value=True, choices=("all", "config", "defaults", "defaults-tree", "plugins", "searchpath")
    ),
}
"""Hydra's flags that work here. The rest would read configs from elsewhere, or run pickles."""

HELP: Final[Mapping[str, Flag]] = {"--help": Flag(short="-h")}


@dataclass(frozen=True, kw_only=True)
class Command:
    """One command."""

    summary: str
    """What it does, for the help."""

    subcommands: Sequence[str] = ()
    """Words of which one has to follow it."""

    flags: Mapping[str, Flag] = field(default_factory=lambda: HYDRA_FLAGS)

    part: str | None = None
    """The part of the config that is for this command alone, which its help explains."""

    named: Named | None = None
    """What else than overrides may stand behind it."""

    answer: str | None = None
    """For a command that runs nothing: the module whose `answer` gives what to print."""


COMMANDS: Final[Mapping[str, Command]] = {
    "train": Command(summary="fit and then test; what `app` does without a command"),
    "test": Command(
        summary="measure the weights of checkpoint=<file>, or an exported model=<file>, on the task's test split"
    ),
    "predict": Command(
        summary="write what the weights of checkpoint=<file>, or an exported model=<file>, predict into a file",
        part="predictions",
    ),
    "export": Command(
        summary="write the model of checkpoint=<file> as ONNX or torch.export, to run without this project",
        part="export",
    ),
    "check": Command(
        summary="say what is wrong with experiments, or with a config, without running anything",
        flags={
            **HELP,
            "--types": Flag(),
            "--shapes": Flag(),
            "--format": Flag(takes_value=True, choices=tuple(Format)),
            "--explain": Flag(takes_value=True),
            "--multirun": Flag(short="-m"),
        },
        named="experiments",
        answer="app.checks.command",
    ),
    "show": Command(
        summary="print the composed config; --python as the typed Python it stands for",
        flags={**HELP, "--python": Flag(), "--resolve": Flag(), "--package": Flag(short="-p", takes_value=True)},
        answer="app.inspection.show",
    ),
    "why": Command(
        summary="say where a value comes from: app why optimizer_spec.lr experiment=digits/sgd_cosine",
        flags=HELP,
        named="values",
        answer="app.inspection.why",
    ),
    "diff": Command(
        summary="compare two configs: experiments, run directories, checkpoints, git revisions",
        flags=HELP,
        named="configs",
        answer="app.inspection.diff",
    ),
    "explain": Command(
        summary="list the options of a group, or every field of an option: app explain optimizer_spec=sgd",
        flags=HELP,
        named="options",
        answer="app.inspection.explain",
    ),
    "schema": Command(
        summary="write the JSON Schemas that editors check experiments with",
        flags={**HELP, "--check": Flag()},
        named="tasks",
        answer="app.json_schema.command",
    ),
    "new": Command(
        summary="write a task, a module, an experiment or a schema to start from: app new task wine_colours",
        subcommands=("task", "module", "experiment", "schema"),
        flags={
            **HELP,
            "--group": Flag(takes_value=True, choices=tuple(KINDS)),
            "--name": Flag(takes_value=True),
            "--file": Flag(takes_value=True),
        },
        answer="app.scaffold.command",
    ),
    "find-lr": Command(
        summary="train shortly at rising learning rates, and name the one to start with", part="find_lr"
    ),
    "checkpoint": Command(
        summary="show which weight would come from which file of load_checkpoint", subcommands=("plan",)
    ),
}


def commands_help() -> str:
    """A line for each command, aligned."""
    named = {
        f"{name} {command.subcommands[0]}" if len(command.subcommands) == 1 else name: command.summary
        for name, command in COMMANDS.items()
    }
    width = max(map(len, named))
    return "\n".join(f"  {name:<{width}}  {summary}" for name, summary in named.items())
