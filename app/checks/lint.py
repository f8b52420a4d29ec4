"""Experiments become findings: each is composed and judged alone, then all are compared with each other.

Nothing here imports torch. What needs mypy or fake tensors is looked for only when it is asked for.
"""

import multiprocessing
import os
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from app.checks.diagnostics import Diagnostic, Severity, diagnostics
from app.checks.experiment_rules import duplicates, identity, judge, remarked
from app.checks.noqa import silenced
from app.checks.rules import RULES
from app.checks.shapes import ShapeReport, shape_reports
from app.checks.types import type_problems
from app.compose import Composed, compose
from app.experiments import Experiment, with_bases
from app.schemas.codes import Code
from app.schemas.problems import ConfigError, Problem, parts_of
from app.tasks import import_task_configs
from app.unfit import unfit

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

    identity: str | None
    """What only an equal config has; None for one that a run refuses."""


def lint(subjects: Sequence[Subject], *, types: bool = False, shapes: bool = False) -> Report:
    """Check configs; the types of experiments, and a step of each on fake tensors, when asked."""
    checked = _all_checked(subjects)
    found = [diagnostic for one in checked for diagnostic in one.found]
    right = {subject.name: subject for subject, one in zip(subjects, checked, strict=True) if one.identity is not None}
    files = {name: subject.file for name, subject in right.items() if subject.file}
    identities = {subject.name: one.identity or "" for subject, one in zip(subjects, checked, strict=True)}
    for name, problem in duplicates({name: identities[name] for name in files}):
        found += _rated([problem], files[name])
    if types:
        found += _of_types([subject.experiment for subject in subjects if subject.experiment is not None])
    reports: Mapping[str, ShapeReport] = {}
    if shapes:
        composed = {name: subject.composed() for name, subject in right.items()}
        reports = shape_reports({name: one.config for name, one in composed.items()}, processes=_processes())
        for name, report in reports.items():
            found += _of_shapes(report, composed[name], right[name].file)
    return Report(_finished(found, subjects, set(_looked_for(types=types, shapes=shapes))), reports)


def _all_checked(subjects: Sequence[Subject]) -> list[_Checked]:
    processes = min(_processes(), len(subjects) // _WORTH_A_PROCESS)
    if processes <= 1:
        return [_checked(subject) for subject in subjects]
    import_task_configs()
    # A forked process starts with everything that is imported here; where there is none, it imports it anew.
    context = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")
    with ProcessPoolExecutor(processes, mp_context=context) as pool:
        return list(pool.map(_checked, subjects, chunksize=-(-len(subjects) // (4 * processes))))


def _processes() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def _checked(subject: Subject) -> _Checked:
    try:
        composed = subject.composed()
    except ConfigError as error:
        return _Checked(list(diagnostics(error.problems, Severity.ERROR, file=subject.file, refused=True)), None)
    if subject.experiment is not None:
        problems = judge(subject.experiment, with_bases(subject.experiment)[0][:-1], composed)
    elif missing := list(unfit("check", composed.config)):
        return _Checked(list(diagnostics(missing, Severity.ERROR, refused=True)), None)
    else:
        problems = remarked(composed)
    return _Checked(list(_rated(problems, subject.file)), identity(composed))


def _rated(problems: Iterable[Problem], file: str) -> Iterator[Diagnostic]:
    """What a run would take, as severe as its rule says."""
    for problem in problems:
        yield from diagnostics([problem], RULES[problem.code].severity, file=file)


def _of_types(experiments: Sequence[Experiment]) -> Iterator[Diagnostic]:
    for problem in type_problems(experiments):
        yield Diagnostic(
            file=problem.file,
            line=problem.line,
            column=problem.column,
            code=Code.TYPE,
            path="",
            message=problem.message,
            severity=RULES[Code.TYPE].severity,
        )


def _of_shapes(report: ShapeReport, composed: Composed, file: str) -> Iterator[Diagnostic]:
    problems = [
        Problem(
            path=problem.path,
            message=problem.message,
            source=composed.sources.of(parts_of(problem.path)),
            code=problem.code,
        )
        for problem in report.problems
    ]
    return _rated(problems, file)


def _looked_for(*, types: bool, shapes: bool) -> Iterator[Code]:
    for code in Code:
        asked = {"4": types, "5": shapes}.get(code[3], True)
        if asked:
            yield code


def _finished(
    found: Iterable[Diagnostic], subjects: Sequence[Subject], looked_for: Collection[Code]
) -> list[Diagnostic]:
    """Each finding once, without those that comments silence, sorted by place."""
    once = list(dict.fromkeys(found))
    files = dict.fromkeys([*(subject.file for subject in subjects), *(each.file for each in once)])
    texts = {file: Path(file).read_text(encoding="utf-8", errors="replace") for file in files if file}
    return sorted(silenced(once, texts, looked_for), key=lambda each: (each.file, each.line, each.column))
