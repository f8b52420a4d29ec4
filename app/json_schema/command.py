"""`app schema [task …]`: writes the JSON Schema of each task's experiments, for editors, and what they all share.

With `--check` nothing is written, and a file that is out of date is an error.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from app.commands import COMMANDS
from app.composing.experiments import experiment_names
from app.flags import split
from app.json_schema.common import Common, common_definitions
from app.json_schema.document import OPTIONS, document
from app.schemas.codes import Code
from app.schemas.problems import AppError, ConfigError, Problem, did_you_mean, shown_path
from app.tasks import task_folders

HEADER: Final = "# yaml-language-server: $schema=../experiments.schema.json"
"""The line of an experiment by which editors find the file."""


def answer(words: Sequence[str]) -> str:
    """Write the file of each task named, of all when none is; say what was written, and what lacks `HEADER`.

    The files of what tasks share are written along where they changed. `--check` writes nothing.

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
    common = common_definitions()
    shared = _shared(common)
    of_tasks = {schema_file(task): document(task, common) for task in tasks}
    if "--check" in flags:
        if stale := [file for file, text in {**shared, **of_tasks}.items() if _read(file) != text]:
            raise ConfigError(_stale(file) for file in stale)
        return "\n".join(f"{shown_path(file)} is up to date" for file in (options_folder(), *of_tasks))
    changed = {file: text for file, text in shared.items() if _read(file) != text}
    return "\n".join([*(_write(file, text) for file, text in {**changed, **of_tasks}.items()), *_without_header(tasks)])


def schema_file(task: str) -> Path:
    """Where the JSON Schema of a task's experiments stands."""
    return task_folders()[task] / "experiments.schema.json"


def options_folder() -> Path:
    """Where the files stand that all tasks share."""
    return next(iter(task_folders().values())).parent / Path(OPTIONS).name


def is_stale(task: str) -> bool:
    """Whether the file, or one of what it shares with others, is not what the schemas and experiments give now."""
    common = common_definitions()
    texts = {**_shared(common), schema_file(task): document(task, common)}
    return any(_read(file) != text for file, text in texts.items())


def _shared(common: Common) -> dict[Path, str]:
    return {options_folder() / name: text for name, text in common.documents().items()}


def _read(file: Path) -> str | None:
    return file.read_text(encoding="utf-8") if file.is_file() else None


def _stale(file: Path) -> Problem:
    task = "" if file.parent == options_folder() else f" {file.parent.name}"
    message = f"is not what the schemas and experiments give now; to write it anew: app schema{task}"
    return Problem(path=shown_path(file), message=message, code=Code.LAYOUT)


def _write(file: Path, text: str) -> str:
    if _read(file) == text:
        return f"{shown_path(file)} is up to date"
    try:
        file.parent.mkdir(exist_ok=True)
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise AppError(f"cannot write {shown_path(file)}: {error.strerror}") from error
    return f"wrote {shown_path(file)}"


def _without_header(tasks: Iterable[str]) -> list[str]:
    leaves = [name.partition("/") for name in experiment_names()]
    files = [
        task_folders()[task] / "experiments" / f"{leaf}.yaml"
        for task in tasks
        for owner, _, leaf in leaves
        if owner == task
    ]
    return [
        f"{shown_path(file)} has no line '{HEADER}'"
        for file in files
        if HEADER not in file.read_text(encoding="utf-8", errors="replace").splitlines()
    ]
