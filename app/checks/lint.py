"""Experiments become findings: each is composed and judged alone, then all are compared with each other.

Nothing here imports torch. What needs mypy or fake tensors is looked for only when it is asked for.
"""

import os
import sys
import threading
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, NamedTuple

from app.checks.diagnostics import Diagnostic, Severity, diagnostics
from app.checks.experiment_rules import Identity, default_identity, duplicates, identity, judge, remarked
from app.checks.noqa import silenced
from app.checks.rules import RULES
from app.command_rules import problems_for
from app.compose import Composed, compose
from app.composing.experiments import Experiment, with_bases
from app.schemas.codes import Code
from app.schemas.problems import ConfigError, FileSource, Problem, parts_of
from app.shapes.report import ShapeReport
from app.tasks import import_task_configs

_OF_TYPES: Final = frozenset({Code.TYPE})
_OF_SHAPES: Final = frozenset(
    {
        Code.NORMALIZED_TWICE,
        Code.STEP_FAILS,
        Code.BROADCAST,
        Code.TARGET_DTYPE,
        Code.CLASS_COUNT,
        Code.UNTRAINED,
        Code.UNCHECKED,
    }
)

_WORTH_A_PROCESS: Final = 50
"""Experiments; to start another process takes about as long as checking so many."""


@dataclass(frozen=True, kw_only=True)
class Subject:
    """One config to check: an experiment, with words typed on top of it, or what words alone make."""

    overrides: tuple[str, ...] = ()
    experiment: Experiment | None = None

    @property
    def file(self) -> str:
        """The experiment's file as a user names it; empty without one."""
        return "" if self.experiment is None else self.experiment.shown

    @property
    def name(self) -> str:
        """What tells it from others: the file, or the words."""
        return self.file or " ".join(self.overrides)

    @property
    def blamed(self) -> str:
        """What is to blame for what nothing in it set."""
        return FileSource(self.file, 1, 1) if self.file else self.name

    def composed(self) -> Composed:
        """The config.

        Raises:
            ConfigError: when a run would refuse it.
        """
        return compose(self.overrides, self.experiment)


class Report(NamedTuple):
    """What a check found."""

    found: list[Diagnostic]
    """Sorted by place."""

    shapes: Mapping[str, ShapeReport]
    """By the name of the subject, what a step of it takes, where that was asked for."""


class _Checked(NamedTuple):
    """What was found in one config, looked at alone."""

    found: list[Diagnostic]

    identity: Identity | None
    """What only an equal config has; None for one that a run refuses."""


def lint(subjects: Sequence[Subject], *, types: bool = False, shapes: bool = False) -> Report:
    """Check configs; the types of experiments, and a step of each on fake tensors, when asked."""
    checked = dict(zip((subject.name for subject in subjects), _all_checked(subjects), strict=True))
    by_name = {subject.name: subject for subject in subjects}
    found = [diagnostic for one in checked.values() for diagnostic in one.found]
    right = {name: one.identity for name, one in checked.items() if one.identity is not None}
    # Words that are typed on top may make any two equal.
    as_written = {name: config for name, config in right.items() if by_name[name].file and not by_name[name].overrides}
    tasks = dict.fromkeys(each.task for each in as_written.values())
    of_defaults = {task: right.get(f"task={task}") or default_identity(task) for task in tasks}
    for name, problem in duplicates(as_written, of_defaults):
        found += _rated([problem], by_name[name].blamed)
    if types:
        from app.checks.types import type_problems  # like the next, takes a while to import, and is seldom asked for

        experiments = [subject.experiment for subject in subjects if subject.experiment is not None]
        found += _rated(type_problems(experiments))
    reports: Mapping[str, ShapeReport] = {}
    if shapes:
        from app.checks.shapes import shape_reports

        composed = {name: by_name[name].composed() for name in right}
        reports = shape_reports({name: one.config for name, one in composed.items()}, processes=_processes())
        for name, report in reports.items():
            module = composed[name].sources.of(("module",))  # to blame for what a part of it does by default
            problems = [
                replace(problem, source=_source(problem, composed[name]) or module) for problem in report.problems
            ]
            found += _rated(problems, by_name[name].blamed)
    asked = _asked_for(types=types, shapes=shapes)
    # Words that are typed on top may also put right what a comment is there for.
    looked_for = {by_name[name].file: asked for name in as_written}
    files = [subject.file for subject in subjects if subject.file]
    return Report(_finished(found, files, looked_for), reports)


def _all_checked(subjects: Sequence[Subject]) -> list[_Checked]:
    processes = min(_processes(), len(subjects) // _WORTH_A_PROCESS)
    if processes <= 1:
        return [_checked(subject) for subject in subjects]
    import multiprocessing  # as long to import as a config takes to check
    from concurrent.futures import ProcessPoolExecutor

    import_task_configs()
    # A forked process starts with everything that is imported here, but must not be forked beside other threads.
    forks = sys.platform == "linux" and threading.active_count() == 1
    context = multiprocessing.get_context("fork" if forks else "spawn")
    with ProcessPoolExecutor(processes, mp_context=context) as pool:
        return list(pool.map(_checked, subjects, chunksize=-(-len(subjects) // (4 * processes))))


def _processes() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def _checked(subject: Subject) -> _Checked:
    try:
        composed = subject.composed()
    except ConfigError as error:
        return _Checked(list(diagnostics(error.problems, Severity.ERROR, otherwise=subject.blamed, refused=True)), None)
    if subject.overrides and (unfit := list(problems_for("check", composed.config))):
        unfit = [replace(problem, source=_source(problem, composed)) for problem in unfit]
        return _Checked(list(diagnostics(unfit, Severity.ERROR, otherwise=subject.blamed, refused=True)), None)
    if subject.experiment is not None:
        problems = judge(subject.experiment, with_bases(subject.experiment)[0][:-1], composed)
    else:
        problems = remarked(composed)
    return _Checked(list(_rated(problems, subject.blamed)), identity(composed))


def _source(problem: Problem, composed: Composed) -> str | None:
    return composed.sources.of(parts_of(problem.path))


def _rated(problems: Iterable[Problem], otherwise: str = "") -> Iterator[Diagnostic]:
    """What a run would take, as severe as its rule says."""
    for problem in problems:
        yield from diagnostics([problem], RULES[problem.code].severity, otherwise=otherwise)


def _asked_for(*, types: bool, shapes: bool) -> frozenset[Code]:
    """The kinds of finding of which a comment without one is unneeded.

    What an experiment duplicates may not have been named beside it, so that this is never known of `DUPLICATE`.
    """
    left_out = {Code.DUPLICATE, *(() if types else _OF_TYPES), *(() if shapes else _OF_SHAPES)}
    return frozenset(Code) - left_out


def _finished(
    found: Iterable[Diagnostic], files: Sequence[str], looked_for: Mapping[str, Collection[Code]]
) -> list[Diagnostic]:
    """Each finding once, without those that comments silence, sorted by place."""
    once = list(dict.fromkeys(found))
    with_findings = (each.file for each in once if each.file)
    texts = {file: _text(file) for file in dict.fromkeys([*files, *with_findings])}
    return sorted(silenced(once, texts, looked_for), key=lambda each: (each.file, each.line, each.column))


def _text(file: str) -> str:
    try:
        return Path(file).read_text(encoding="utf-8", errors="replace")
    except OSError:  # said when it was read as an experiment
        return ""
