"""`app schema [task …]`: writes the JSON Schema of each task's experiments, for editors.

With `--check` nothing is written, and a file that is out of date is an error.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from app.commands import COMMANDS
from app.experiments import experiment_names
from app.flags import split
from app.json_schema.document import document
from app.schemas.codes import Code
from app.schemas.problems import AppError, ConfigError, Problem, did_you_mean, shown_path
from app.tasks import task_folders

HEADER: Final = "# yaml-language-server: $schema=../experiments.schema.json"
"""The line of an experiment by which editors find the file."""


def answer(words: Sequence[str]) -> str:
    """Write the file of each task named, of all when none is; say what was written, and what lacks `HEADER`.

    `--check` writes nothing.

    Raises:
        ConfigError: for words that are no tasks, and with `--check` for files that are out of date.
        AppError: when a file cannot be written.
    """
    flags, overrides, names, problems = split(words, COMMANDS["schema"].flags)
    folders = task_folders()
    for word in (*overrides, *names):
        if word not in folders:
            message = f"no task '{word}'{did_you_mean(word, folders) or '; tasks: ' + ', '.join(folders)}"
            problems.append(Problem(path="", message=message, source=word, code=Code.OVERRIDE))
    if problems:
        raise ConfigError(problems)
    tasks = list(dict.fromkeys(names)) or list(folders)
    if "--check" in flags:
        if stale := [task for task in tasks if is_stale(task)]:
            raise ConfigError(_stale(task) for task in stale)
        return "\n".join(f"{shown_path(schema_file(task))} is up to date" for task in tasks)
    return "\n".join(line for task in tasks for line in (_write(task), *_without_header(task)))


def schema_file(task: str) -> Path:
    """Where the JSON Schema of a task's experiments stands."""
    return task_folders()[task] / "experiments.schema.json"


def is_stale(task: str) -> bool:
    """Whether the file is not what the schemas and experiments give now."""
    file = schema_file(task)
    return not file.is_file() or file.read_text(encoding="utf-8") != document(task)


def _stale(task: str) -> Problem:
    message = f"is not what the schemas and experiments give now; to write it anew: app schema {task}"
    return Problem(path=shown_path(schema_file(task)), message=message, code=Code.LAYOUT)


def _write(task: str) -> str:
    file, text = schema_file(task), document(task)
    if file.is_file() and file.read_text(encoding="utf-8") == text:
        return f"{shown_path(file)} is up to date"
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise AppError(f"cannot write {shown_path(file)}: {error.strerror}") from error
    return f"wrote {shown_path(file)}"


def _without_header(task: str) -> list[str]:
    folder = task_folders()[task] / "experiments"
    files = [folder / f"{name.partition('/')[2]}.yaml" for name in experiment_names() if name.startswith(f"{task}/")]
    return [
        f"{shown_path(file)} has no line '{HEADER}'"
        for file in files
        if HEADER not in file.read_text(encoding="utf-8", errors="replace").splitlines()
    ]
