"""What is wrong with overrides of which only some are known, as a type checker sees them in a program's text.

Nothing is said that the unknown ones, the environment or a file to be loaded could put right.
"""

from dataclasses import replace
from functools import cache
from typing import Final, NamedTuple

from app.compose import compose
from app.composing.experiments import read_experiment, with_bases
from app.composing.overrides import Override, read_overrides
from app.composing.stored_config import STORED
from app.schemas.annotations import alternatives, field_types
from app.schemas.codes import Code
from app.schemas.problems import ConfigError, Problem
from app.schemas.registry import group_of, options
from app.schemas.run import RunConfig
from app.schemas.schema import is_schema
from app.tasks import import_task_configs

_ENVIRONMENT: Final = "oc.env"


class Finding(NamedTuple):
    """One thing wrong."""

    place: int | None
    """The override that is to blame, by its position; None when it is no single one."""

    message: str


@cache
def findings(texts: tuple[str | None, ...]) -> tuple[Finding, ...]:
    """What is wrong with overrides in this order, None standing for one or several that are not known.

    It holds for as long as the process lives, which has imported the schemas: mypy's daemon is to be restarted when
    schemas or experiments change.
    """
    import_task_configs()
    read: dict[int, Override] = {}
    problems: dict[Problem, None] = {}
    places: dict[str, int] = {}
    for place, text in enumerate(texts):
        for override in [] if text is None else read_overrides([text])[0]:
            read[place] = override
            places[override.typed] = place
        for problem in [] if text is None else read_overrides([text])[1]:
            problems[problem] = None
            places[problem.source or ""] = place
    if not any(map(_needs_a_file, read.values())):
        unknown = [place for place, text in enumerate(texts) if text is None or _ENVIRONMENT in text]
        known = [text for place, text in enumerate(texts) if text is not None and place not in unknown]
        try:
            compose(known)
        except ConfigError as error:
            fixed = {place: override for place, override in read.items() if place > max(unknown, default=-1)}
            for problem in error.problems:
                if not unknown or _is_certain(problem, places.get(problem.source or ""), fixed):
                    problems[problem] = None
    # What is missing here may be there where the program runs.
    found = [problem for problem in problems if problem.code is not Code.ENVIRONMENT]
    return tuple(_finding(problem, places.get(problem.source or "")) for problem in found)


def _finding(problem: Problem, place: int | None) -> Finding:
    """The gate's message; at the override itself it need not quote it."""
    return Finding(place, str(problem if place is None else replace(problem, source=None)))


def _needs_a_file(override: Override) -> bool:
    """Whether what is composed depends on a checkpoint."""
    if override.kind != "experiment" or not override.value:
        return override.key in STORED and override.value is not None
    experiments, _ = with_bases(read_experiment(override.value))
    return any(experiment.values.get(key) is not None for experiment in experiments for key in STORED)


def _is_certain(problem: Problem, place: int | None, fixed: dict[int, Override]) -> bool:
    """Whether a value is wrong whatever the unknown overrides are; `fixed` are those that none of them follows."""
    if problem.code not in (Code.WRONG_VALUE, Code.UNKNOWN_FIELD) or place not in fixed or "${" in fixed[place].text:
        return False
    cls: type = RunConfig
    path = fixed[place].path
    for length, part in enumerate(path, start=1):
        annotation = field_types(cls).get(str(part))
        inner = next((member for member in alternatives(annotation) if is_schema(member)), None)
        if inner is None:
            return length == len(path) or annotation is None
        group = group_of(inner)
        if group is not None and not group.presets_only:
            chosen = [each.value for each in fixed.values() if each.kind == "choice" and each.path == path[:length]]
            if not chosen or chosen[-1] is None:
                return False
            inner = options[group.name][str(chosen[-1])].schema
        cls = inner
    return True
