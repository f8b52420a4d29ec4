"""Every kind of finding: its name, how severe it is, and the page that explains it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from app.checks.diagnostics import Severity
from app.schemas.codes import Code
from app.schemas.problems import ConfigError, Problem, did_you_mean


@dataclass(frozen=True, kw_only=True)
class Rule:
    """What one code stands for."""

    code: Code

    name: str
    """A few words, joined by dashes."""

    severity: Severity
    """How bad it is where a run takes it; what a run refuses is always an error."""

    summary: str
    """What it finds, in one sentence."""


_ERRORS: Final[Mapping[Code, tuple[str, str]]] = {
    Code.SYNTAX: ("syntax", "The file is no YAML."),
    Code.AMBIGUOUS: ("ambiguous-yaml", "YAML readers differ in what this text means."),
    Code.LAYOUT: ("layout", "The file is not laid out as an experiment."),
    Code.RESERVED: ("reserved-key", "A key that would make Hydra call something, or set Hydra itself."),
    Code.UNKNOWN_FIELD: ("unknown-field", "The part has no field of this name."),
    Code.WRONG_VALUE: ("wrong-value", "The value is not of the field's type, or out of its range."),
    Code.UNKNOWN_OPTION: ("unknown-option", "The group has no option of this name, or none is chosen."),
    Code.INTERPOLATION: ("interpolation", "An interpolation has no value."),
    Code.MISSING: ("missing-value", "A field that needs a value has none."),
    Code.CONFLICT: ("conflict", "Two values, each right by itself, do not go together."),
    Code.OVERRIDE: ("override", "A word typed as an override cannot be read, or names what cannot be set."),
    Code.ENVIRONMENT: (
        "environment",
        "A package, key, file or variable that the config needs is not there.",
    ),
    Code.MONITOR: ("monitor", "The value that is watched is never logged, or better the other way round."),
    Code.DROP_LAST: ("drop-last", "Samples would be left out of an evaluation."),
    Code.NORMALIZED_TWICE: ("normalized-twice", "A loss gets probabilities for scores, or scores for probabilities."),
    Code.TYPE: ("type", "Mypy finds the wrong type in the Python that the experiment stands for."),
    Code.STEP_FAILS: ("step-fails", "A training, validation or test step of the model fails."),
    Code.BROADCAST: ("broadcast", "A loss compares tensors of different shapes, each value to all others."),
    Code.TARGET_DTYPE: ("target-dtype", "A loss or metric does not take targets of this data type."),
    Code.CLASS_COUNT: ("class-count", "The model scores another number of classes than the task has."),
    Code.UNTRAINED: ("untrained", "An optimizer has nothing to train, or a parameter is never trained."),
}

_WARNINGS: Final[Mapping[Code, tuple[str, str]]] = {
    Code.SCHEDULE: ("schedule", "Something is set for a time that the run never reaches, or ends before the run does."),
    Code.UNUSED: ("unused-field", "The field has no effect with what else is chosen."),
    Code.SAME_AS_BEFORE: ("same-as-before", "The line sets or chooses what would be so without it."),
    Code.DUPLICATE: ("duplicate", "The experiment gives the same config as another one, or as none."),
    Code.UNSEEDED: ("unseeded", "Some of the run's randomness does not start from its seed."),
    Code.UNEXPLAINED: ("unexplained-noqa", "A `# noqa` names no code or gives no reason, and silences nothing."),
    Code.UNNEEDED: ("unneeded-noqa", "A comment silences something that is not there, or cannot be silenced."),
}

_HINTS: Final[Mapping[Code, tuple[str, str]]] = {
    Code.LEARNING_RATE: ("learning-rate", "The learning rate is a decade or more off what is usual."),
    Code.UNCHECKED: ("unchecked", "A part of the model cannot be run without data."),
}

_BY_SEVERITY: Final = ((Severity.ERROR, _ERRORS), (Severity.WARNING, _WARNINGS), (Severity.HINT, _HINTS))

RULES: Final[Mapping[Code, Rule]] = {
    code: Rule(code=code, name=kinds[code][0], severity=severity, summary=kinds[code][1])
    for code in Code
    for severity, kinds in _BY_SEVERITY
    if code in kinds
}
"""In the order of the codes."""


def page(code: str) -> str:
    """What there is to know about a code, as Markdown; the rule's name does as well.

    Raises:
        ConfigError: when there is no such code.
    """
    names = {rule.name: rule.code for rule in RULES.values()} | {str(rule.code): rule.code for rule in RULES.values()}
    found = names.get(code.upper()) or names.get(code.lower())
    if found is None:
        there_is = did_you_mean(code, names) or f"; there is {', '.join(RULES)}"
        raise ConfigError([Problem(path="", message=f"no code '{code}'{there_is}", code=Code.OVERRIDE)])
    return (Path(__file__).parent / "pages" / f"{found}.md").read_text(encoding="utf-8")
