import dataclasses
import re

import pytest

from app.inspection.explain import answer
from app.schemas.annotations import field_types
from app.schemas.descriptions import sentences
from app.schemas.expectations import expected
from app.schemas.problems import ConfigError
from app.schemas.registry import Option, groups, options
from app.schemas.run import RunConfig
from app.tasks import import_task_configs

import_task_configs()
EVERY_OPTION = [option for named in list(options.values()) for option in named.values()]


def explain(*words: str) -> str:
    return f"{answer(words)}\n"


def closed_up(text: str) -> str:
    """The words, whatever lines they stand in."""
    return " ".join(text.replace("`", "").split())


def test_an_option_is_explained_field_by_field() -> None:
    assert (
        explain("scheduler_spec=exponential")
        == """\
scheduler_spec=exponential configures torch.optim.lr_scheduler.ExponentialLR

The learning rate multiplied by gamma every time.

gamma = 0.95
    a number above 0
    The factor; above 1 the rate grows, as in a search for the largest that still trains.

Like every option of scheduler_spec it has:

interval = epoch
    'epoch' or 'step'
    What the scheduler counts: epochs, or optimizer steps.
frequency = 1
    a whole number of at least 1
    Intervals between two of its steps.
monitor = null
    a text that is not empty or null
    The logged value that reduce_on_plateau watches; the others need none.
strict = true
    true or false
    Stop the run when the monitored value is missing, instead of warning and going on.
"""
    )


@pytest.mark.parametrize("option", EVERY_OPTION, ids=lambda option: f"{option.group.name}={option.name}")
def test_every_field_of_every_option_is_explained(option: Option) -> None:
    text = closed_up(explain(f"{option.group.name}={option.name}"))
    assert option.target in text
    for name, annotation in field_types(option.schema).items():
        assert re.search(rf"(^| ){name}( =|, which needs a value| )", text)
        assert closed_up(expected(annotation)) in text
        assert closed_up(sentences(option.schema).get(name, "")) in text


@pytest.mark.parametrize("group", list(groups))
def test_every_option_of_a_group_is_listed(group: str) -> None:
    text = explain(group)
    for name in options[group]:
        assert re.search(rf"^{group}={name} ", text, re.MULTILINE)
    assert groups[group].mount in text


def test_what_a_metric_is_computed_from_and_logs_is_told() -> None:
    assert (
        "\ncomputed from  logits (preds), target\nlogs           f1 (max)\n  (as for a task of several classes)\n"
        in explain("metrics=f1")
    )
    assert "logs           no number; a table of" in explain("metrics=roc")
    assert "computed from  logits (input), target\n" in explain("loss=focal")


def test_a_preset_is_the_default_of_its_option() -> None:
    assert "\naccelerator = gpu\n" in explain("trainer=gpu")
    assert "\naccelerator = auto\n" in explain("trainer=default")
    assert "Here with accelerator=gpu." in explain("trainer=gpu")


def test_one_field_is_explained_for_all_that_have_it() -> None:
    text = explain("optimizer_spec.momentum")
    assert re.findall(r"^optimizer_spec.momentum = (\S+)   \((.*)\)$", text, re.MULTILINE) == [
        ("0.95", "muon"),
        ("0.0", "rmsprop"),
        ("0.0", "sgd"),
    ]
    assert explain("callbacks.early_stopping.patience").startswith(
        "callbacks.early_stopping.patience = 3\n    a whole number of at least 0\n"
    )
    assert explain("loss.focal.gamma") == explain("joint_loss.losses.focal.gamma").replace(
        "joint_loss.losses.", "loss."
    )
    assert explain("module.model_config.head") == explain("head")


def test_of_a_part_its_fields_are_explained_too() -> None:
    text = explain("seed_params")
    assert text.startswith("seed_params\n    a mapping (SeedParams)\n")
    assert "\nseed = 0\n" in text
    assert "\nlr = null\n" in explain("optimizer_spec.params")
    assert "parameters, which needs a value\n" in explain("optimizers")


def test_every_path_of_a_run_is_explained() -> None:
    for field in dataclasses.fields(RunConfig):
        assert field.name in explain(field.name)
        assert re.search(rf"^{field.name}\b", explain(), re.MULTILINE)


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("optimiser_spec", "optimiser_spec: there is no 'optimiser_spec'; did you mean 'optimizer_spec'?"),
        ("optimizer_spec.lrr", "optimizer_spec.lrr: optimizer_spec has no 'lrr'; did you mean 'lr'?"),
        ("optimizer=sgd", "optimizer: no group 'optimizer'; did you mean 'optimizer_spec'?"),
        (
            "module.model_config.backbone=conv",
            "module.model_config.backbone: is where the choice stands; did you mean 'backbone=conv'?",
        ),
        ("module=digits/cnm", "module: no option 'digits/cnm'; did you mean 'digits/cnn'?"),
        ("trainer.max_epochs.x", "trainer.max_epochs.x: trainer.max_epochs has no 'x'; there is nothing in it"),
        ("callbacks.early_stopping.patienc", "did you mean 'patience'?"),
        ("--fields", "no flag --fields; there is --help"),
    ],
)
def test_a_slip_of_the_finger_is_refused_with_what_was_meant(word: str, message: str) -> None:
    with pytest.raises(ConfigError) as refused:
        explain(word)
    assert message in str(refused.value)


def test_one_thing_is_explained_at_a_time() -> None:
    with pytest.raises(ConfigError, match="one thing is explained at a time"):
        explain("trainer", "module")


def test_an_option_that_parts_of_several_kinds_may_hold_is_named_once() -> None:
    text = " ".join(answer(["augmentation.probability"]).split())
    assert text.count("horizontal_flip") == 1
    assert text.count("random_affine") == 1
