"""An experiment as it was at a git revision, bases included, as the overrides that it stands for.

All experiments of its task are brought from the revision into a folder of their own, and read there as ever.
"""

import subprocess
from collections.abc import Mapping
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

from app.composing.experiments import NAME, Experiment, read_experiment, with_bases
from app.inspection.spelling import UnwritableError, choice, override
from app.schemas.codes import Code
from app.schemas.problems import AppError, ConfigError, Problem, did_you_mean, one_of, shown_path
from app.schemas.registry import groups
from app.tasks import task_folders


def words_at(revision: str, name: str) -> list[str]:
    """The overrides that an experiment stands for as it was at a revision, judged by the schemas of today.

    Raises:
        ConfigError: when the revision has no such experiment, or a wrong one.
    """
    words = [f"task={name.partition('/')[0]}"]
    choices: dict[str, object] = {}
    experiments = _experiments(revision, name)
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
        raise _refused(revision, name, str(error)) from error
    return words


def _experiments(revision: str, name: str) -> list[Experiment]:
    """The experiments that one builds on at a revision, and then itself."""
    task, _, leaf = name.partition("/")
    folder = task_folders().get(task)
    if folder is None:
        there_is = did_you_mean(task, task_folders()) or f"; there is {one_of([*task_folders()])}"
        raise _refused(revision, name, f"no task '{task}'{there_is}")
    if not NAME.fullmatch(leaf):
        raise _refused(revision, name, f"'{name}' is no name of an experiment, <task>/<name>")
    files = _files(revision, name, folder)
    if f"{leaf}.yaml" not in files:
        meant = did_you_mean(name, [f"{task}/{Path(file).stem}" for file in files])
        raise _refused(revision, name, f"no experiment '{name}' at {revision}{meant}")
    with TemporaryDirectory() as temporary:
        for file, text in files.items():
            Path(temporary, file).write_bytes(text)
        experiments, problems = with_bases(read_experiment(name, Path(temporary)))
        there = shown_path(Path(temporary))
    if problems:
        raise ConfigError(
            replace(one, source=f"{revision}:{task}{(one.source or '').removeprefix(there)}") for one in problems
        )
    return experiments


def _files(revision: str, name: str, folder: Path) -> Mapping[str, bytes]:
    """The plain files of a task's experiments at a revision; links are none."""

    def git(*words: str, given: bytes = b"") -> bytes:
        try:
            done = subprocess.run(
                ["git", *words], cwd=folder, input=given, capture_output=True, timeout=30, check=False
            )
        except (OSError, subprocess.SubprocessError) as error:
            raise AppError(f"git cannot be asked for {revision}:{name}: {error}") from error
        if done.returncode != 0:
            lines = done.stderr.decode(errors="replace").strip().splitlines() or ["git gives no reason"]
            raise _refused(revision, name, lines[0].removeprefix("fatal: "))
        return done.stdout

    there = ("--end-of-options", f"{revision}:./experiments")
    git("cat-file", "-e", *there)  # says what is wrong; `ls-tree` says only that something is
    objects: dict[str, str] = {}
    for entry in git("ls-tree", "-z", "--full-tree", *there).decode(errors="replace").split("\0")[:-1]:
        about, _, file = entry.partition("\t")
        mode, _, found = about.split()
        if mode.startswith("100") and file.endswith(".yaml") and NAME.fullmatch(file.removesuffix(".yaml")):
            objects[file] = found
    asked = "".join(f"{found}\n" for found in objects.values())
    return dict(zip(objects, _contents(git("cat-file", "--batch", given=asked.encode())), strict=True))


def _contents(batch: bytes) -> list[bytes]:
    """What `git cat-file --batch` wrote: each object behind a line that ends in its size, and before a line's end."""
    stream = BytesIO(batch)
    found = []
    while about := stream.readline():
        found.append(stream.read(int(about.split()[-1])))
        stream.readline()
    return found


def _refused(revision: str, name: str, message: str) -> ConfigError:
    return ConfigError([Problem(path="", message=message, source=f"{revision}:{name}", code=Code.OVERRIDE)])
