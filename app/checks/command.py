"""app check [experiment, task, file or folder …] [overrides] [flags]

Say what is wrong with experiments: the named ones, or all of them and each task's default config; with overrides
alone, what is wrong with the config that they make. Nothing is run.

  --types           have mypy check the Python that each experiment stands for
  --shapes          take a step of each on tensors without values, and say what it takes
  --format <name>   text, json, github or sarif
  --explain <code>  print the page of a code
  --multirun, -m    check every combination of the overrides

A finding that is meant is silenced at the end of its line: # noqa: <code> <reason>
Exit status: 0 for nothing but hints, 1 for findings, 2 for words or a typed config that a run would refuse.
"""

from collections.abc import Iterator, Sequence

from app.checks.diagnostics import Diagnostic, Format, Severity, diagnostics
from app.checks.formats import WRITERS
from app.checks.lint import Report, Subject, lint
from app.checks.rules import page
from app.checks.selection import all_experiments, experiments_named, misplaced
from app.commands import COMMANDS
from app.compose import compose_sweep, jobs_of_sweep
from app.composing.overrides import read_overrides
from app.flags import split
from app.schemas.callbacks import FreezeConfig
from app.schemas.codes import Code
from app.schemas.problems import ConfigError, Problem
from app.schemas.run import RunConfig
from app.shapes.report import report_text
from app.tasks import import_task_configs, task_folders


def answer(words: Sequence[str]) -> tuple[str, int]:
    """What to print, and the exit status.

    Raises:
        ConfigError: for words that are no flags, names or overrides.
    """
    import_task_configs()
    flags, overrides, names, problems = split(words, COMMANDS["check"].flags)
    typed = bool(overrides) and not names
    if not typed:
        problems = [*problems, *read_overrides(overrides)[1]]
    if "--multirun" in flags and not typed:
        message = "is for overrides alone: app check --multirun optimizer_spec.lr=1e-3,1e-4"
        problems.append(Problem(path="", message=message, source="--multirun", code=Code.OVERRIDE))
    if "--types" in flags and typed:
        message = "looks at the files of experiments; name one: app check <experiment> --types"
        problems.append(Problem(path="", message=message, source="--types", code=Code.OVERRIDE))
    if problems:
        raise ConfigError(problems)
    if code := flags.get("--explain"):
        return page(code), 0
    if typed and "--multirun" in flags:
        subjects = [Subject(overrides=tuple(job)) for job in jobs_of_sweep(overrides)]
    elif typed:
        subjects = [Subject(overrides=tuple(overrides))]
    else:
        experiments = experiments_named(names) if names else all_experiments()
        subjects = [Subject(overrides=tuple(overrides), experiment=experiment) for experiment in experiments]
        subjects += [] if names else [Subject(overrides=(f"task={task}",)) for task in task_folders()]
    report = lint(subjects, types="--types" in flags, shapes="--shapes" in flags)
    if not names and not typed:
        report.found[:0] = diagnostics(misplaced(), Severity.ERROR, refused=True)
    if typed and "--multirun" in flags and not any(each.refused for each in report.found):
        report.found.extend(_between_jobs(overrides))
    form = Format(flags.get("--format") or Format.TEXT)
    text = WRITERS[form](report.found)
    if form is Format.TEXT:
        text = _with_summary(text, report, subjects, shapes="--shapes" in flags)
    refused = [each for each in report.found if each.refused and (typed or (overrides and each.typed))]
    return text, 2 if refused else int(any(each.severity is not Severity.HINT for each in report.found))


def _between_jobs(overrides: Sequence[str]) -> Iterator[Diagnostic]:
    """What keeps the jobs of a sweep, each of them right, from running after each other."""
    try:
        compose_sweep(overrides)
    except ConfigError as error:
        yield from diagnostics(error.problems, Severity.ERROR, otherwise=" ".join(overrides), refused=True)


def _with_summary(text: str, report: Report, subjects: Sequence[Subject], *, shapes: bool) -> str:
    """The findings and how many there are; what a step takes of each config in which nothing was found."""
    tables = [f"{name}\n{report_text(one)}" for name, one in report.shapes.items() if not one.problems]
    return "\n".join([*tables, *([text] if text else []), _summary(report, subjects, shapes=shapes)])


def _summary(report: Report, subjects: Sequence[Subject], *, shapes: bool) -> str:
    of = f" in {len(subjects)} configs" if len(subjects) > 1 else ""
    hints = sum(each.severity is Severity.HINT for each in report.found)
    hinted = f"{hints} hint{'s' if hints > 1 else ''}"
    if problems := len(report.found) - hints:
        return f"{problems} problem{'s' if problems > 1 else ''}{f' and {hinted}' if hints else ''} found{of}"
    if hints:
        return f"no problem found{of}, {hinted}"
    if not shapes and len(subjects) == 1 and _names_parts(subjects[0].composed().config):
        return "no problem found; --shapes compares the paths that name parts of the model with it"
    return f"no problem found{of}"


def _names_parts(config: RunConfig) -> bool:
    """Whether anything in the config is a path into the model."""
    specs = [config.optimizer_spec, *(named.optimizer_spec for named in config.optimizers.values())]
    freezing = any(isinstance(callback, FreezeConfig) and callback.parts for callback in config.callbacks.values())
    by_path = any(spec.params or spec.paramwise.custom for spec in specs)
    return bool(config.optimizers or config.load_checkpoint or freezing or by_path)
