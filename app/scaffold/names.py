"""Names for new tasks, modules and experiments: which can be chosen and imported, and are not taken."""

import keyword
import re
import sys
from collections.abc import Collection
from importlib.util import find_spec
from typing import Final

from app.schemas.codes import Code
from app.schemas.problems import ConfigError, Problem, did_you_mean
from app.tasks import task_folders

_LONGEST: Final = 40
_NAME: Final = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
_READ_OTHERWISE: Final = frozenset(("null", "true", "false", "inf", "nan", "on", "off", "yes", "no", "y", "n"))
"""Words that stand for something else on the command line or in YAML."""

_TASKS_OWN: Final = {
    "default": "is what the first module and datamodule of every task are called",
    "shared": "is where tasks keep what they share",
    "base": "would give classes the names that they inherit from",
    "new_task": "is what the name stands for until it is chosen",
}


def checked_task_name(name: str) -> str:
    """The name, if a new task may have it.

    Raises:
        ConfigError: when it may not, with the reason.
    """
    wrong = _wrong(name) or _TASKS_OWN.get(name)
    if wrong is None and name in sys.stdlib_module_names:
        wrong = "is a module of Python's own"
    if wrong is None and name in task_folders():
        wrong = f"is taken; to change it, see app/tasks/{name}"
    if wrong is None and _is_a_package(name):
        wrong = "is a package that Python finds already"
    if wrong is not None:
        raise refused(name, f"'{name}' {wrong}")
    return name


def checked_place(word: str, what: str) -> tuple[str, str]:
    """The task and the name that `TASK/NAME` gives; `what` is to be written there.

    Raises:
        ConfigError: when there is no such task, or it is not written so.
    """
    task, slash, name = word.partition("/")
    folders = task_folders()
    if not slash or not name:
        raise refused(word, f"expected <task>/<name>, as in {next(iter(folders))}/{name or what}_of_mine")
    if task not in folders:
        raise refused(word, f"no task '{task}'{did_you_mean(task, folders) or '; tasks: ' + ', '.join(folders)}")
    return task, name


def checked_name(word: str, name: str, taken: Collection[str]) -> str:
    """The name in `word`, if it is free and can be chosen.

    Raises:
        ConfigError: when it may not be used, with the reason.
    """
    wrong = _wrong(name)
    if wrong is None and name in taken:
        wrong = "is taken"
    if wrong is not None:
        raise refused(word, f"'{name}' {wrong}")
    return name


def class_name(name: str) -> str:
    """A name as classes have it: `wine_colours` as `WineColours`."""
    return "".join(part[:1].upper() + part[1:] for part in name.split("_"))


def _wrong(name: str) -> str | None:
    if not _NAME.fullmatch(name):
        return "cannot be a name; expected small letters and digits, a letter first, with single '_' between words"
    if len(name) > _LONGEST:
        return f"is longer than {_LONGEST} characters"
    if keyword.iskeyword(name) or name in _READ_OTHERWISE:
        return "is a word that stands for something else"
    if re.search("_(group|name)_", name):  # as `register` has it
        return "has a part that Hydra takes for a place that it fills in"
    return None


def _is_a_package(name: str) -> bool:
    """Whether Python imports something by the name; a folder that happens to lie where it looks is none."""
    spec = find_spec(name)
    return spec is not None and spec.origin is not None


def refused(word: str, message: str) -> ConfigError:
    """What is said of a word that nothing new can be made from."""
    return ConfigError([Problem(path="", message=message, source=word, code=Code.OVERRIDE)])
