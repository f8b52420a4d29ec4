"""What the gate refuses is wrong in an editor too, wherever one file's data tells; what it does not tell is listed."""

from collections import Counter
from pathlib import Path

import pytest
from jsonschema import Draft7Validator

from app.compose import load_config
from app.composing.placed_yaml import read_yaml
from app.schemas.problems import ConfigError
from app.schemas.registry import groups, options
from tests.gate.conftest import Write, experiment, folder
from tests.gate.corpus import Wrong, batches, misspelt
from tests.gate.test_corpus import CORPUS, written
from tests.gate.test_experiment_files import REFUSED
from tests.json_schema.validating import errors, fresh_validator, task_of, validator

__all__ = ["experiment", "folder"]

NOT_IN_THE_DATA = {"interpolation to nothing", "interpolation in a circle", "home of nobody", "element: home of nobody"}
"""Kinds of wrong value that could be right elsewhere."""

NOT_COMPARED = {"NaN"}
"""No limit keeps out what is neither small nor large; fields without numbers refuse it."""

FORMS_OF_TASKS = (("datamodule", "files"), ("task", "table", "delimiter"))
"""Texts of which only the gate knows the form: names of files, URLs, hashes."""

NOT_IN_JSON = {
    # What the text says otherwise than its data:
    *("several documents", "a tag", "an anchor", "an alias", "a merge key", "anchors that explode"),
    *("a tab", "bad indentation", "an open quote", "a duplicate key", "not UTF-8", "a control character"),
    *("a thousand levels of lists", "a thousand levels of keys", "a key that is no text"),
    *("a boolean by another name", "an octal number", "a number in base 60", "a number in base 16"),
    *("a surprise in a list", "a surprise as key"),
    # What interpolations lead to:
    *("interpolation to nothing", "interpolation in a circle", "interpolation of what it is in", "another resolver"),
    # The order of a list, and which file this is:
    *("_self_ first", "a group chosen twice", "itself as base"),
}
"""Files of which only `app check` sees what is wrong."""

WRONG_FILES = sorted((Path(__file__).parents[1] / "checks" / "wrong").glob("*.yaml"))

IN_THE_TEXT = ("tla101", "tla102")
"""Codes for what a text says otherwise than its data."""

IN_THE_DATA = ("tla103", "tla104", "tla201", "tla202", "tla203", "tla205", "tla902_refused")
"""What the data tells of. It tells nothing of rules between fields, interpolations and remarks."""

EXCEPT = {"tla103_chosen_twice"}


@pytest.mark.parametrize("layer", range(len(CORPUS)))
def test_every_wrong_setting_is_wrong_at_its_place(layer: int) -> None:
    choices, wrongs = CORPUS[layer]
    unseen: Counter[str] = Counter()
    seen: Counter[str] = Counter()
    for task, of_task in _by_task(choices, wrongs).items():
        fitting = [choice.split("=", 1) for choice in choices if _task_of(choice) in (task, None)]
        for batch in batches(of_task):
            text, _ = written(fitting, batch)
            places = {place for place, _ in errors(text, validator(task))}
            for wrong in batch:
                found = any(tuple(map(str, place))[: len(wrong.path)] == wrong.path for place in places)
                if found or not any(wrong.path[: len(form)] == form for form in FORMS_OF_TASKS):
                    (seen if found else unseen)[wrong.kind] += 1

    assert unseen.keys() <= NOT_IN_THE_DATA | NOT_COMPARED
    assert not seen.keys() & NOT_IN_THE_DATA, "another setting's error is taken for theirs"
    assert seen.total() > unseen.total()


def _by_task(choices: list[str], wrongs: list[Wrong]) -> dict[str, list[Wrong]]:
    """Settings by the task that can choose what they are of: a layer takes one option of a group, of whichever task."""
    tasks = {groups[choice.partition("=")[0]].path: _task_of(choice) for choice in choices}
    found: dict[str, list[Wrong]] = {}
    for wrong in wrongs:
        if not wrong.prefix:
            around = [path for path in tasks if wrong.path[: len(path)] == path]
            found.setdefault(tasks.get(max(around, key=len, default=())) or "digits", []).append(wrong)
    return found


def _task_of(choice: str) -> str | None:
    group, _, name = choice.partition("=")
    return task_of(options[group][name]) if name in options[group] else None


def test_exactly_the_files_listed_are_not_seen_to_be_wrong(experiment: Write) -> None:
    experiment("trainer: {}")
    judge = fresh_validator()
    unseen = {name for name, (content, _, _) in REFUSED.items() if not _is_seen(content, judge)}

    assert unseen == NOT_IN_JSON


def _is_seen(content: str | bytes, judge: Draft7Validator) -> bool:
    if isinstance(content, bytes):
        return False
    root, faults = read_yaml(content)
    return root is not None and not faults and bool(errors(content, judge))


@pytest.mark.parametrize("file", WRONG_FILES, ids=lambda file: file.stem)
def test_the_linters_wrong_files_are_wrong_as_far_as_the_data_tells(file: Path) -> None:
    found = errors(file.read_text()) if not file.stem.startswith(IN_THE_TEXT) else []

    assert bool(found) == (file.stem.startswith(IN_THE_DATA) and file.stem not in EXCEPT)


def test_every_misspelt_option_and_group_is_wrong_where_it_is_written() -> None:
    for group, named in options.items():
        option = misspelt(next(iter(named)), list(named))
        wrong = [{(*place[:2],) for place, _ in errors(f"defaults:\n  - override /{group}: {option}\n")}]
        wrong.append(
            {(*place[:2],) for place, _ in errors(f"defaults:\n  - override /{misspelt(group, [*groups])}: x\n")}
        )
        assert all(("defaults", 0) in places for places in wrong), group


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("defaults: [override /optimizer_spec: sgd]\noptimizer_spec: {betas: [0.9, 0.9]}", "optimizer_spec.betas"),
        ("optimizer_spec: {id: sgd, betas: [0.9, 0.9]}", "optimizer_spec.betas"),
        ("optimizer_spec: {id: sdg}", "optimizer_spec.id"),
        ("scheduler_spec: {T_max: 5}", "scheduler_spec"),
        ("defaults: [override /scheduler_spec: null]\nscheduler_spec: {T_max: 5}", "scheduler_spec"),
        ("callbacks: {timer: {duration: '00:01:00:00'}}", "callbacks.timer"),
        ("callbacks: {checkpoint: null}", "callbacks.checkpoint"),
        ("defaults: [override /callbacks: []]\ncallbacks: {checkpoint: {save_top_k: 1}}", "callbacks.checkpoint"),
        ("defaults: [override /callbacks: [timer, timer]]", "defaults.0.override /callbacks"),
        ("joint_loss: {losses: {focal: {gamma: 1}}}", "joint_loss.losses.focal"),
        ("joint_loss: {losses: {mine: {id: focal, gama: 1}}}", "joint_loss.losses.mine.gama"),
        ("joint_loss: {losses: {'a.b': {id: focal}}}", "joint_loss.losses"),
        ("defaults: [override /metrics: [precision_at_fixed_recall]]", ""),
        ("defaults: [override /backbone: conv]", "defaults.0"),
        ("defaults: [override /module: parts]\nmodule: {model_config: {backbone: {patch_size: 2}}}",
         "module.model_config.backbone.patch_size"),
        ("defaults: [override /backbone: timm, override /module: parts]", ""),
        ("optimizers: {a: {parameters: [.head]}}", "optimizers.a"),
        ("optimizers: {a: {parameters: [.head], optimizer_spec: {lr: 1}}}", "optimizers.a.optimizer_spec"),
        (("{defaults: [override /callbacks: [gradient_accumulation]],"
         " callbacks: {gradient_accumulation: {scheduling: {four: 2}}}}"),
         "callbacks.gradient_accumulation.scheduling"),
        ("datamodule: {train_fraction: 1e999}", "datamodule.train_fraction"),
    ],
)  # fmt: skip
def test_what_the_choices_do_not_allow_is_wrong(experiment: Write, text: str, place: str) -> None:
    with pytest.raises(ConfigError):
        load_config([experiment(text)])

    assert place in {".".join(map(str, found)) for found, _ in errors(text)}
