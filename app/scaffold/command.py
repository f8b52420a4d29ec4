"""Write something to start from, which is right and runs as it is.

app new task NAME                            a task in app/tasks, with its tests
app new module TASK/NAME                     a model, its schema and its module, added to a task
app new experiment TASK/NAME [overrides …]   an experiment that composes to what the overrides do
app new schema package.Class                 print a typed schema of a class, from its signature and docstring

  --group <group>   for a schema: of which group it is an option, where its class does not tell
  --name <name>     for a schema: what the option is called
  --file <file>     for a schema: write it there instead

Names of tasks, modules and experiments are in small letters: wine_colours. Nothing is overwritten.
"""

from collections.abc import Sequence

from app.commands import COMMANDS
from app.flags import split
from app.scaffold.new_experiment import new_experiment
from app.scaffold.new_module import new_module
from app.scaffold.new_task import new_task
from app.schemas.codes import Code
from app.schemas.problems import ConfigError, Problem, did_you_mean, one_of

_TAKES = {"task": "NAME", "module": "TASK/NAME", "experiment": "TASK/NAME", "schema": "package.Class"}


def answer(words: Sequence[str]) -> str:
    """Write what the words ask for, and say what was written.

    Raises:
        ConfigError: for words that ask for nothing that can be written.
        AppError: when it cannot be written; nothing is left of it then.
    """
    known = COMMANDS["new"]
    flags, overrides, names, problems = split(words, known.flags)
    what = names[0] if names else ""
    if what not in known.subcommands:
        there_is = did_you_mean(what, known.subcommands) or f": {one_of(known.subcommands)}"
        problems.append(_problem(f"app new needs a second word{there_is}", what))
        raise ConfigError(problems)
    if len(names) != 2:
        problems.append(_problem(f"expected one name: app new {what} {_TAKES[what]}", " ".join(names[1:])))
    if overrides and what != "experiment":
        problems.append(_problem("only a new experiment takes overrides", " ".join(overrides)))
    if flags and what != "schema":
        problems.append(_problem("only a new schema takes flags", " ".join(flags)))
    if problems:
        raise ConfigError(problems)
    match what:
        case "task":
            return new_task(names[1])
        case "module":
            return new_module(names[1])
        case "experiment":
            return new_experiment(names[1], overrides)
    from app.scaffold.new_schema import new_schema  # alone imports what it writes about, which may be torch

    return new_schema(names[1], group=flags.get("--group"), name=flags.get("--name"), file=flags.get("--file"))


def _problem(message: str, source: str) -> Problem:
    return Problem(path="", message=message, source=source or None, code=Code.OVERRIDE)
