"""Experiments: which there are, and what each chooses and sets, with the place of everything.

An experiment is data. Its text is judged before Hydra starts; whatever is wrong is a problem with its line and column,
and only what is left is handed on.
"""

import re
from copy import deepcopy
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path as File
from typing import Any, Final

from app.choices import check_choice
from app.composing.placed_yaml import REFUSED, Node, Place, read_yaml
from app.schemas.codes import Code
from app.schemas.problems import FileSource, Path, Problem, did_you_mean, dotted, nearest, show, shown_path
from app.schemas.registry import groups, has_own_id, option_at
from app.schemas.run import DEFAULT_OPTIONS
from app.schemas.validation import RESERVED
from app.tasks import task_folders

GROUP: Final = "experiment"
LARGEST_FILE: Final = 100_000
"""Bytes; a real experiment has a few hundred."""

NAME: Final = re.compile(r"[A-Za-z0-9][\w.-]*")
"""What an experiment may be called within its task."""

_TASK = re.compile(r"^\s*-\s*override /task:\s*['\"]?(\w+)", re.MULTILINE)
_HEADER = re.compile(r"^#\s*@package\s+(\S+)", re.MULTILINE)


@dataclass(kw_only=True)
class Experiment:
    """One file of overrides worth keeping."""

    name: str
    """`<task>/<name>`, as it is chosen; the path of a file outside the tasks' folders."""

    task: str
    """The task it belongs to: the one in whose folder it lies."""

    file: File

    folder: File
    """Where what it builds on lies: the experiments of its task."""

    choices: dict[str, object] = field(default_factory=dict)
    """The options its defaults list chooses, by group."""

    choice_places: dict[str, str] = field(default_factory=dict)
    """`file:line:column` of each choice, by group; at its path a part that is also set has the place of that."""

    bases: dict[str, str] = field(default_factory=dict)
    """The experiments it builds on, `<task>/<name>`, in the order of its defaults list, and where each stands."""

    values: dict[str, Any] = field(default_factory=dict)
    """What it sets, less what is wrong."""

    places: dict[Path, str] = field(default_factory=dict)
    """`file:line:column` of everything it sets, by path; choices at the path of the part they choose."""

    problems: list[Problem] = field(default_factory=list)

    @property
    def shown(self) -> str:
        """The file as a user in the current folder would name it."""
        return shown_path(self.file)


def experiment_names() -> list[str]:
    """Every experiment there is, `<task>/<name>`: the YAML files in the tasks' folders."""
    return [f"{task}/{name}" for task, folder in task_folders().items() for name in _names(folder / "experiments")]


def misplaced_files() -> dict[File, str]:
    """YAML files among the tasks' experiments that are none, each with the reason."""
    found: dict[File, str] = {}
    for folder in (folder / "experiments" for folder in task_folders().values()):
        for file in sorted([*folder.rglob("*.yaml"), *folder.rglob("*.yml")]):
            if file.parent != folder:
                found[file] = f"is in a folder of its own; experiments lie in {shown_path(folder)} itself"
            elif file.suffix == ".yml":
                found[file] = "is not looked at; the names of experiments end in .yaml"
            elif not _is_one(folder, file.stem):
                found[file] = "has a name that cannot be chosen; expected letters, digits, '_', '-' and '.'"
    return found


def is_experiment(name: object) -> bool:
    """Whether `experiment_names` lists it; listing a thousand for each of a thousand takes minutes."""
    task, _, leaf = name.partition("/") if isinstance(name, str) else ("", "", "")
    folder = task_folders().get(task)
    return folder is not None and _is_one(folder / "experiments", leaf)


def read_experiment(name: str, folder: File | None = None) -> Experiment:
    """Read an experiment that `experiment_names` lists; what is wrong in it is in its `problems`.

    In a `folder` of its own, the experiments of its task lie as they were at another time.
    """
    task, _, leaf = name.partition("/")
    folder = folder or task_folders()[task] / "experiments"
    return _read_file(name, task, folder / f"{leaf}.yaml", folder)


def experiment_at(file: File) -> Experiment:
    """Read a file that may lie outside the tasks' folders.

    There, it is an experiment of the task that its defaults choose, or else of the default one, and builds on the
    task's own.
    """
    folders = task_folders()
    real = file.resolve()
    for name, folder in folders.items():
        if real.suffix == ".yaml" and real.parent == (folder / "experiments").resolve():
            return _read_file(f"{name}/{real.stem}", name, real, real.parent)
    try:
        chosen = _TASK.search(file.read_text(encoding="utf-8", errors="replace"))
    except OSError:  # said when it is read as an experiment
        chosen = None
    task = chosen[1] if chosen and chosen[1] in folders else str(DEFAULT_OPTIONS["task"])
    return _read_file(shown_path(file), task, file, folders[task] / "experiments")


def with_bases(experiment: Experiment) -> tuple[list[Experiment], list[Problem]]:
    """What an experiment builds on, and then itself: the order in which values take effect.

    An experiment that several others build on takes effect once. The problems are those of all, circles included.
    """
    found: dict[str, Experiment] = {}
    problems: list[Problem] = []
    _add_with_bases(experiment, [], found, problems)
    return list(found.values()), problems


def _add_with_bases(
    experiment: Experiment, above: list[str], found: dict[str, Experiment], problems: list[Problem]
) -> None:
    problems += experiment.problems
    opened = [*above, experiment.name]
    for base, place in experiment.bases.items():
        if base in opened:
            circle = " → ".join([*opened[opened.index(base) :], base])
            message = f"builds on itself: {circle}"
            problems.append(Problem(path="defaults", message=message, source=place, code=Code.LAYOUT))
        elif base not in found:
            _add_with_bases(read_experiment(base, experiment.folder), opened, found, problems)
    found[experiment.name] = experiment


def merge(values: dict[str, Any], into: dict[str, Any]) -> None:
    """Put what an experiment sets over what is set already, mappings entry by entry.

    What has an `id` is an option chosen anew: nothing of the one before it stays. An empty mapping empties the one
    that is there, unless that is an option, whose fields keep their values.
    """
    for key, value in values.items():
        if value == {} and isinstance(into.get(key), dict) and "_target_" not in into[key]:
            into[key] = {}
        elif isinstance(value, dict) and isinstance(into.get(key), dict) and not _chooses_anew(value, into[key]):
            merge(value, into[key])
        else:
            into[key] = deepcopy(value)


def _chooses_anew(value: dict[str, Any], before: dict[str, Any]) -> bool:
    """Whether the `id` names an option, and is no field of the one before it."""
    option = option_at(before.get("_target_"))
    if option is not None and (option.group.presets_only or has_own_id(option.schema)):
        return False
    return "id" in value


def _names(folder: File) -> list[str]:
    if not folder.is_dir():
        return []
    return sorted(file.stem for file in folder.glob("*.yaml") if _is_one(folder, file.stem))


def _is_one(folder: File, name: str) -> bool:
    return NAME.fullmatch(name) is not None and (folder / f"{name}.yaml").is_file()


def _read_file(name: str, task: str, file: File, folder: File) -> Experiment:
    stat = file.stat()
    return _read(name, task, file, folder, stat.st_mtime_ns, stat.st_size)


@cache
def _read(name: str, task: str, file: File, folder: File, _modified: int, size: int) -> Experiment:
    experiment = Experiment(name=name, task=task, file=file, folder=folder)
    reader = _Reader(experiment)
    if file.is_symlink() or not file.resolve().is_relative_to(file.parent.resolve()):
        reader.problem((), "is a link; an experiment is a plain file in its task's folder")
    elif size > LARGEST_FILE:
        reader.problem((), f"has {size:,} bytes; an experiment has at most {LARGEST_FILE:,}")
    else:
        try:
            reader.read(file.read_text(encoding="utf-8"))
        except UnicodeDecodeError as error:
            reader.problem((), f"is not UTF-8 text: byte {error.start} is {error.object[error.start]:#04x}")
        except OSError as error:
            reader.problem((), f"cannot be read: {error.strerror}")
    return experiment


class _Reader:
    """Reads one file's text into its `Experiment`."""

    def __init__(self, experiment: Experiment) -> None:
        self.experiment = experiment
        self.shown = experiment.shown

    def read(self, text: str) -> None:
        header = _HEADER.search(text)
        if header and header[1] != "_global_":
            place = Place(text[: header.start()].count("\n") + 1, 1)
            self.problem((), f"expected the package _global_, found {header[1]}", place)
        root, faults = read_yaml(text)
        for fault in faults:
            self.problem(fault.path, fault.message, fault.place, fault.code)
        if root is None:
            return
        if not isinstance(root.value, dict):
            found = "nothing" if root.value is None else show(root.plain())
            self.problem((), f"expected a mapping of overrides, found {found}", root.place)
            return
        for key, (place, node) in root.value.items():
            if key == "defaults":
                self._defaults(node)
            elif key == "hydra":
                self.problem(
                    (key,), "an experiment cannot set it; Hydra is set on the command line", place, Code.RESERVED
                )
            elif key == GROUP:
                self.problem((key,), "an experiment builds on others of its task in defaults: [<name>]", place)
            elif key in groups and groups[str(key)].mount != key:
                message = f"is set where it stands: {groups[str(key)].mount}"
                self.problem((key,), message, place, Code.UNKNOWN_FIELD)
            elif (value := self._plain(node, (key,), place)) is not REFUSED:
                self.experiment.values[key] = value

    def problem(self, path: Path, message: str, place: Place | None = None, code: Code = Code.LAYOUT) -> None:
        where = dotted(path) or (f"{GROUP}={self.experiment.name}" if is_experiment(self.experiment.name) else "")
        self.experiment.problems.append(Problem(path=where, message=message, source=self._at(place), code=code))

    def _at(self, place: Place | None) -> FileSource:
        return FileSource(self.shown, *(place or ()))

    def _plain(self, node: Node, path: Path, place: Place) -> Any:
        """The value, its places noted and reserved keys left out."""
        self.experiment.places[path] = self._at(place)
        if isinstance(node.value, list):
            items = [self._plain(item, (*path, index), item.place) for index, item in enumerate(node.value)]
            return REFUSED if any(item is REFUSED for item in items) else items
        if not isinstance(node.value, dict):
            return node.value
        read: dict[str, Any] = {}
        for key, (key_place, item) in node.value.items():
            if key in RESERVED:
                advice = f"choose an option in defaults instead: override /{path[0]}: <option>"
                self.problem((*path, key), f"'{key}' is not for configs to set; {advice}", key_place, Code.RESERVED)
            elif (value := self._plain(item, (*path, key), key_place)) is not REFUSED:
                read[key] = value
        return read

    def _defaults(self, node: Node) -> None:
        if not isinstance(node.value, list):
            self.problem(("defaults",), f"expected a list, found {show(node.plain())}", node.place)
            return
        for index, entry in enumerate(node.value):
            last = index == len(node.value) - 1
            if wrong := self._default(entry, last=last):
                code, message = wrong
                self.problem(("defaults", index), message, entry.place, code)

    def _default(self, entry: Node, *, last: bool) -> tuple[Code, str] | None:
        """Note one entry of the defaults list, or say what is wrong with it."""
        if entry.value == "_self_":
            return None if last else (Code.LAYOUT, "expected _self_ last: what a file sets goes over what it builds on")
        if isinstance(entry.value, str):
            return self._base(entry.value, self._at(entry.place))
        if not isinstance(entry.value, dict) or len(entry.value) != 1:
            return Code.LAYOUT, f"expected one 'override /group: option', found {show(entry.plain())}"
        ((key, (_, node)),) = entry.value.items()
        words = key.split()
        group = words[-1].removeprefix("/") if words else ""
        if key != f"override /{group}":
            return Code.LAYOUT, f"found '{key}'; did you mean 'override /{nearest(group, groups) or 'group'}'?"
        value = node.plain()
        if message := check_choice(group, value):
            return Code.UNKNOWN_OPTION, message
        if group == "task" and value != self.experiment.task:
            return Code.LAYOUT, f"an experiment in the folder of {self.experiment.task} cannot choose task {value}"
        if group in self.experiment.choices:
            return Code.LAYOUT, f"{group} is chosen twice; keep one"
        chosen = [value] if groups[group].several and isinstance(value, str) else value
        self.experiment.choices[group] = chosen or None
        self.experiment.places[groups[group].path] = self._at(entry.place)
        self.experiment.choice_places[group] = self._at(entry.place)
        return None

    def _base(self, leaf: str, place: str) -> tuple[Code, str] | None:
        if leaf.split()[0:1] == ["override"]:
            return Code.LAYOUT, f"found the text '{leaf}'; expected 'override /group: option'"
        name = f"{self.experiment.task}/{leaf}"
        if name == self.experiment.name:
            return Code.LAYOUT, "builds on itself"
        if not _is_one(self.experiment.folder, leaf):
            itself = self.experiment.name.rpartition("/")[2]
            others = [other for other in _names(self.experiment.folder) if other != itself]
            there_is = did_you_mean(leaf, others) or (f"; there is {', '.join(others)}" if others else "")
            where = "beside this one" if is_experiment(self.experiment.name) else f"of task {self.experiment.task}"
            return Code.UNKNOWN_OPTION, f"no experiment '{leaf}' {where}{there_is}"
        if name in self.experiment.bases:
            return Code.LAYOUT, f"builds on {leaf} twice; keep one"
        self.experiment.bases[name] = place
        return None
