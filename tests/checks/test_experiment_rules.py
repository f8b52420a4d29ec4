"""Rules that look at an experiment's file: what it sets in vain, and which others give the same config."""

from collections.abc import Callable
from pathlib import Path

import pytest

from app.checks.experiment_rules import duplicates, identity, judge, remarked
from app.compose import Composed, compose
from app.composing.experiments import experiment_at, with_bases
from app.schemas.codes import Code
from app.tasks import import_task_configs
from tests.gate.conftest import Write, experiment, folder

__all__ = ["experiment", "folder"]

Judge = Callable[..., dict[str, str]]


@pytest.fixture
def judged(experiment: Write, folder: Path) -> Judge:
    """What is found in an experiment with this text, typed words on top: by code and path, the message."""

    def judge_text(text: str, *words: str, code: Code) -> dict[str, str]:
        import_task_configs()
        experiment(text)
        read = experiment_at(folder / "x.yaml")
        composed = compose(words, read)
        problems = list(judge(read, with_bases(read)[0][:-1], composed))
        assert len(problems) == len(set(problems))
        return {problem.path: problem.message for problem in problems if problem.code is code}

    return judge_text


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("trainer: {max_epochs: 20, min_epochs: 3}", "trainer.max_epochs"),
        ("optimizer_spec: {weight_decay: 0.01, lr: 0.002}", "optimizer_spec.weight_decay"),
        ("optimizer_spec: {betas: [0.9, 0.999]}", "optimizer_spec.betas"),
        ("optimizer_spec: {params: {}}", "optimizer_spec.params"),
        ("load_checkpoint: null", "load_checkpoint"),
        ("callbacks: {checkpoint: {monitor: '${task.monitor}'}}", "callbacks.checkpoint.monitor"),
        ("callbacks: {checkpoint: {monitor: val/loss}}", "callbacks.checkpoint.monitor"),
        ("callbacks: {checkpoint: {}}", "callbacks.checkpoint"),
        (
            "datamodule: {augmentations: {random_affine: {max_scale: 0.08}}}",
            "datamodule.augmentations.random_affine.max_scale",
        ),
        ("datamodule: {train_fraction: 1}", "datamodule.train_fraction"),
        ("module: {model_config: {channels: [32, 64]}}", "module.model_config.channels"),
        ("{defaults: [override /optimizer_spec: sgd], optimizer_spec: {momentum: 0}}", "optimizer_spec.momentum"),
        (
            "{defaults: [override /scheduler_spec: step], scheduler_spec: {step_size: 10}}",
            "scheduler_spec.step_size",
        ),
        (
            "{defaults: [override /trainer: ddp_cpu], trainer: {strategy: ddp_spawn}}",
            "trainer.strategy",
        ),
        (
            "optimizers: {a: {parameters: [x], optimizer_spec: {id: sgd, lr: 0.1, momentum: 0.0}}}",
            "optimizers.a.optimizer_spec.momentum",
        ),
        (
            "optimizers: {a: {parameters: [x], optimizer_spec: {id: sgd, lr: 0.1}, every_n_steps: 1}}",
            "optimizers.a.every_n_steps",
        ),
        (
            "joint_loss: {losses: {a: {id: cross_entropy, phases: [train, val, test]}}}",
            "joint_loss.losses.a.phases",
        ),
        ("{defaults: [base], trainer: {max_epochs: 40}}", "trainer.max_epochs"),
        ("{defaults: [base], datamodule: {dataloader: {batch_size: 16}}}", "datamodule.dataloader.batch_size"),
        ("{defaults: [base], optimizer_spec: {momentum: 0.9}}", "optimizer_spec.momentum"),
        ("{defaults: [override /optimizer_spec: adamw]}", "optimizer_spec"),
        ("{defaults: [override /scheduler_spec: null]}", "scheduler_spec"),
        ("{defaults: [override /module: digits/default]}", "module"),
        ("{defaults: [override /metrics: []]}", "metrics"),
        ("{defaults: [override /logger: [csv]]}", "logger"),
        ("{defaults: [override /logger: csv]}", "logger"),
        ("{defaults: [override /loss: [cross_entropy]]}", "joint_loss.losses"),
        ("{defaults: [override /module: parts, override /head: linear]}", "module.model_config.head"),
        ("{defaults: [base, override /optimizer_spec: sgd]}", "optimizer_spec"),
        ("{defaults: [override /task: digits]}", "task"),
    ],
)
def test_what_would_be_so_without_its_line_is_named(judged: Judge, experiment: Write, text: str, path: str) -> None:
    experiment(BASE, "base")
    assert judged(text, code=Code.SAME_AS_BEFORE).keys() == {path}


BASE = """
defaults: [override /optimizer_spec: sgd]
trainer: {max_epochs: 40}
datamodule: {dataloader: {batch_size: 16}}
optimizer_spec: {momentum: 0.9}
"""


CIRCLE = """
defaults: [override /scheduler_spec: cosine_annealing]
scheduler_spec: {T_max: 33}
trainer: {max_epochs: "${scheduler_spec.T_max}"}
"""


@pytest.mark.parametrize(
    "text",
    [
        "trainer: {max_epochs: 40}",
        "trainer: {deterministic: false}",
        "optimizer_spec: {betas: [0.9, 0.99]}",
        "optimizer_spec: {params: {.head: {lr: 0.01}}}",
        "{defaults: [override /optimizer_spec: sgd], optimizer_spec: {weight_decay: 0.01}}",
        "{defaults: [override /trainer: ddp_cpu], trainer: {devices: 1}}",
        "{defaults: [override /scheduler_spec: step], scheduler_spec: {step_size: 5}}",
        # The base's value, not the default's, is what it would be.
        "{defaults: [base], trainer: {max_epochs: 20}}",
        "{defaults: [base], optimizer_spec: {momentum: 0.0}}",
        "{defaults: [base, override /scheduler_spec: step]}",
        "{defaults: [override /callbacks: [model_summary, progress_bar, checkpoint]]}",
        "{defaults: [override /module: digits/cnn]}",
        "{defaults: [override /module: parts, override /backbone: conv]}",
        # Another option of the same field: nothing of the one before stays.
        "joint_loss: {losses: {cross_entropy: {id: cross_entropy, label_smoothing: 0.1}}}",
        "optimizers: {a: {parameters: [x], optimizer_spec: {id: sgd, lr: 0.1}}}",
        "datamodule: {split_seed: '${seed_params.seed}'}",
        # Without the length there would be none: the interpolations would go in a circle.
        CIRCLE,
    ],
)
def test_what_differs_is_not_named(judged: Judge, experiment: Write, text: str) -> None:
    experiment(BASE, "base")
    assert judged(text, code=Code.SAME_AS_BEFORE) == {}


def test_the_message_says_where_the_same_value_comes_from(judged: Judge, experiment: Write) -> None:
    experiment(BASE, "base")
    text = """
        defaults: [base, override /scheduler_spec: cosine_annealing]
        trainer: {max_epochs: 40, devices: 1}
        scheduler_spec: {T_max: 40}
        """
    assert judged(text, code=Code.SAME_AS_BEFORE) == {
        "trainer.max_epochs": "is 40 without this line too, as digits/base sets it",
        "trainer.devices": "is 1 without this line too",
        "scheduler_spec.T_max": "is 40 without this line too, from ${trainer.max_epochs}",
    }
    assert judged("defaults: [override /optimizer_spec: adamw]", code=Code.SAME_AS_BEFORE) == {
        "optimizer_spec": "chooses 'adamw', which is chosen without this line too"
    }


def test_a_word_may_take_the_place_of_the_part_that_a_line_sets_a_field_of(judged: Judge) -> None:
    assert judged("callbacks: {checkpoint: {monitor: val/loss}}", "callbacks={}", code=Code.SAME_AS_BEFORE) == {}


def test_a_file_outside_the_tasks_folders_may_say_whose_it_is(tmp_path: Path) -> None:
    import_task_configs()
    file = tmp_path / "alone.yaml"
    file.write_text("defaults: [override /task: digits]\ntrainer: {max_epochs: 40}")
    read = experiment_at(file)
    assert list(judge(read, [], compose([], read))) == []


def test_only_what_the_experiment_itself_sets_is_called_unused(judged: Judge, experiment: Write) -> None:
    experiment("{defaults: [override /optimizer_spec: sgd], optimizer_spec: {momentum: 0.9, dampening: 0.1}}", "base")
    sgd = "defaults: [override /optimizer_spec: sgd]"
    assert judged(sgd, code=Code.UNUSED) == {}
    assert judged(f"{{{sgd}, optimizer_spec: {{dampening: 0.5}}}}", code=Code.UNUSED).keys() == {
        "optimizer_spec.dampening"
    }
    assert judged("{defaults: [base], optimizer_spec: {momentum: 0.0}}", code=Code.UNUSED) == {}
    assert judged(sgd, "optimizer_spec.dampening=0.5", code=Code.UNUSED).keys() == {"optimizer_spec.dampening"}
    # The default written out is called so, and nothing else.
    assert judged(f"{{{sgd}, optimizer_spec: {{dampening: 0.0}}}}", code=Code.UNUSED) == {}


def test_of_typed_words_alone_only_what_they_set_is_called_unused() -> None:
    def unused(*words: str) -> list[tuple[str, str | None]]:
        return [(problem.path, problem.source) for problem in remarked(compose(words)) if problem.code is Code.UNUSED]

    word = "optimizer_spec.dampening=0.5"
    assert unused("optimizer_spec=sgd") == []
    assert unused("optimizer_spec=sgd", word) == [("optimizer_spec.dampening", word)]
    inside = "+optimizers.a={parameters: [x], optimizer_spec: {id: sgd, lr: 0.1, dampening: 0.5}}"
    assert unused(inside) == [("optimizers.a.optimizer_spec.dampening", inside)]


def test_every_remark_names_the_line_that_is_to_blame(experiment: Write, folder: Path) -> None:
    import_task_configs()
    experiment("trainer:\n  max_epochs: 20\noptimizer_spec:\n  lr: 7.0\n")
    read = experiment_at(folder / "x.yaml")
    found = {problem.path: problem.source for problem in judge(read, [], compose([], read))}
    assert found == {
        "trainer.max_epochs": "digits/experiments/x.yaml:2:3",
        "optimizer_spec.lr": "digits/experiments/x.yaml:4:3",
    }


def of(*words: str) -> Composed:
    return compose(words)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ([], [], True),
        (["optimizer_spec.weight_decay=1"], ["optimizer_spec.weight_decay=1.0"], True),
        (["metrics=[auroc,recall]"], ["metrics=[recall,auroc]"], True),
        (["module=digits/default"], ["module=digits/cnn"], True),
        ([], ["seed_params.seed=1"], False),
        (["optimizer_spec=adam"], ["optimizer_spec=nadam"], False),
        (["optimizer_spec.amsgrad=true"], ["optimizer_spec.amsgrad=false"], False),
        (["task.monitor=train/loss"], [], False),
    ],
)
def test_only_equal_configs_have_the_same_identity(one: list[str], other: list[str], same: bool) -> None:
    assert (of(*one).config == of(*other).config) is same
    assert (identity(of(*one)) == identity(of(*other))) is same


def test_experiments_with_equal_configs_are_named_with_the_first_of_them() -> None:
    one, other = identity(of("seed_params.seed=1")), identity(of("seed_params.seed=2"))
    found = list(duplicates({"a": one, "b": other, "c": one, "d": one}, {"digits": identity(of())}))
    assert [(name, problem.message) for name, problem in found] == [
        ("c", "gives the same config as a; keep one of them"),
        ("d", "gives the same config as a; keep one of them"),
    ]
    assert {problem.code for _, problem in found} == {Code.DUPLICATE}


def test_an_experiment_that_changes_nothing_is_named() -> None:
    found = list(duplicates({"a": identity(of()), "b": identity(of("seed_params.seed=1"))}, {"digits": identity(of())}))
    assert [(name, problem.message) for name, problem in found] == [
        ("a", "changes nothing: task=digits gives the same config without it")
    ]


def test_experiments_that_differ_are_not_named() -> None:
    several = {str(seed): identity(of(f"seed_params.seed={seed}")) for seed in range(1, 5)}
    assert list(duplicates(several, {"digits": identity(of()), "cannot_run": None})) == []
    assert list(duplicates({}, {})) == []
