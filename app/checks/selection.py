"""Which experiments are checked: those named, by file, folder, task or name, or all there are."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

from app.composing.experiments import Experiment, experiment_at, experiment_names, misplaced_files, read_experiment
from app.schemas.codes import Code
from app.schemas.problems import ConfigError, FileSource, Problem, did_you_mean, shown_path


def misplaced() -> list[Problem]:
    """What lies among the experiments and is none."""
    return [
        Problem(path="", message=message, source=FileSource(shown_path(file), 1, 1), code=Code.LAYOUT)
        for file, message in misplaced_files().items()
    ]


def all_experiments() -> list[Experiment]:
    """Every experiment of every task."""
    return [read_experiment(name) for name in experiment_names()]


def experiments_named(words: Sequence[str]) -> list[Experiment]:
    """What the words name, each experiment once: `digits/robust`, `digits`, a file or a folder of files.

    Raises:
        ConfigError: for words that name nothing.
    """
    found: dict[Path, Experiment] = {}
    problems: list[Problem] = []
    names = experiment_names()
    for word in words:
        named = list(_named(word, names))
        found.update({experiment.file.resolve(): experiment for experiment in named})
        if not named:
            problems.append(_nothing(word, names))
    if problems:
        raise ConfigError(problems)
    return list(found.values())


def _named(word: str, names: Sequence[str]) -> Iterator[Experiment]:
    if word in names:
        yield read_experiment(word)
    elif of_task := [name for name in names if name.startswith(f"{word}/")]:
        yield from map(read_experiment, of_task)
    elif word:
        yield from map(experiment_at, _files_at(Path(word)))


def _files_at(path: Path) -> list[Path]:
    kind = _kind(path)
    return _files_in(path) if kind == "folder" else [path] if kind == "file" else []


def _kind(path: Path) -> Literal["folder", "file"] | None:
    try:
        return "folder" if path.is_dir() else "file" if path.is_file() else None
    except OSError:  # longer than any name can be
        return None


def _files_in(folder: Path) -> list[Path]:
    """The experiments anywhere below a folder; where none of its folders is called so, all the YAML files in it."""
    files = [file for file in sorted(folder.resolve().rglob("*.yaml")) if file.is_file()]
    return [file for file in files if file.parent.name == "experiments"] or [
        file for file in files if file.parent == folder.resolve()
    ]


def _nothing(word: str, names: Sequence[str]) -> Problem:
    path = Path(word)
    if word and _kind(path) == "folder":
        message = "no YAML file in this folder"
    elif path.suffix in (".yaml", ".yml") or path.is_absolute():
        there = [file.name for file in path.parent.glob("*.yaml")] if _kind(path.parent) == "folder" else []
        message = f"no such file{did_you_mean(path.name, there)}"
    elif word.endswith("/"):
        message = "no such folder"
    else:
        tasks = {name.partition("/")[0] for name in names}
        with_task = next((f"; did you mean '{name}'?" for name in names if name.endswith(f"/{word}")), "")
        meant = with_task or did_you_mean(word, [*names, *tasks]) or f"; there is {', '.join(names) or 'none yet'}"
        message = f"expected an experiment, a task, a file or key=value{meant}"
    return Problem(path="", message=message, source=word, code=Code.OVERRIDE)
