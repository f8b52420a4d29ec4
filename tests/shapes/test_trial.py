"""A module's steps on tensors without values: each mistake is named where it stands, and what is right passes."""

import re
from abc import ABCMeta
from typing import Final

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensor
from torchmetrics.classification import MulticlassAUROC

from app.compose import compose
from app.schemas.codes import Code
from app.schemas.registry import options
from app.shapes.report import ShapeReport
from app.shapes.trial import shape_report
from tests.shapes.planted import PLANTED, planted
from tests.tasks.workbench import LEAN, workbench
from tests.test_every_loss_trains import CHOSEN as CHOSEN_LOSSES
from tests.test_every_metric_is_logged import MEASURED, overrides_of

__all__ = ["planted", "workbench"]

pytestmark = pytest.mark.usefixtures("planted")

PARTS: Final = "module.model_config"
HEAD: Final = "parameters: [.head], optimizer_spec: {id: sgd, lr: 0.1, momentum: 0.9}"

RIGHT: Final = (
    *("right", "all_pairs", "extras", "own_metrics", "adversarial", "talks"),
    *("reads_values", "leaves_torch", "reads_what_it_logged", "waits_for_what_it_logged"),
    *("looks_up_callbacks", "looks_at_its_data", "skips_a_batch"),
)

WRONG: Final = {
    "other_width": "TLA501 module.model_config: .head (Linear) fails in the training step, given (8, 8) float32;"
    " expected (…, 6)",
    "other_input": "TLA501 module.model_config: the model (Conv2d) fails in the training step, given (8, 4) float32;"
    " expected (batch, 1, …)",
    "fails_in_validation": "TLA501 module.model_config: .body.0 (Linear) fails in the validation step,"
    " given (8, 1, 8) float32; expected (…, 4)",
    "raises_in_its_making": "TLA501 module: making the module fails: KeyError: 'large' (planted.py:LINE)",
    "quits": "TLA501 module: the training step fails: SystemExit: enough (planted.py:LINE)",
    "metric_of_other_classes": "TLA501 module: its metric 'theirs' cannot be computed of 3 samples,"
    " preds=logits (3, 3) float32, target=target (3,) int64: If `preds` have one dimension more than `target`,"
    " `preds.shape[1]` should be equal to number of classes",
    "column": "TLA502 joint_loss.losses.mse: MSELoss takes arguments of one shape,"
    " found input from 'prediction' (8, 1), target from 'value' (8,)",
    "column_in_torch": "TLA502 module: (8, 1) float32 is compared with (8,) float32, each with all (planted.py:LINE);"
    " expected tensors of one shape",
    "column_in_evaluation": "TLA502 module: smooth_l1_loss cannot be computed of (8, 1) float32, (8,) float32:"
    " each would be compared with all; expected tensors of one shape (planted.py:LINE)",
    "column_by_hand": "TLA502 module: (8, 1) float32 is compared with (8,) float32, each with all (planted.py:LINE);"
    " expected tensors of one shape",
    "real_classes": "TLA503 module: cross_entropy cannot be computed of (8, 3) float32, (8,) float32:"
    " expected target to hold classes, as whole numbers (planted.py:LINE)",
    "too_many_classes": "TLA504 module.model_config: its model scores 7 classes, logits (8, 7);"
    " expected 3, as the task has: (8, 3)",
    "fewer_classes_by_hand": "TLA504 module: cross_entropy cannot be computed of (8, 2) float32, (8,) int64:"
    " Target 2 is out of bounds; expected a score for each of the task's 3 classes (planted.py:LINE)",
    "idle": "TLA505 module.model_config: '.idle.weight' and '.idle.bias' get no gradient: no loss depends on them;"
    " freeze or leave out what is not to be trained",
    "detached": "TLA505 joint_loss: nothing that is trained has a part in the loss: no parameter would get a gradient",
    "beside_the_model": "TLA505 module: no optimizer trains 'scale'",
    "frozen": "TLA505 optimizer_spec: nothing to train: all parameters of Small are frozen"
    " ('body.0.weight', 'body.0.bias', 'head.weight' and 1 more)",
    "softmax": "TLA304 joint_loss.losses.cross_entropy: is given what .last (Softmax) has normalised already;"
    " it takes scores as they are, so leave that out",
    "log_softmax": "TLA304 joint_loss.losses.cross_entropy: is given what .last (LogSoftmax) has normalised already;"
    " it takes scores as they are, so leave that out",
    "softmax_in_the_loss": "TLA304 module: a loss is given what softmax has normalised already;"
    " it takes scores as they are, so leave that out",
    "misspells_its_trainer": "TLA501 module: on_validation_start fails: AttributeError:"
    " 'Trainer' object has no attribute 'curent_epoch' (planted.py:LINE)",
    "draws_in_a_table": "TLA501 module: on_train_start fails: AttributeError:"
    " 'ExperimentWriter' object has no attribute 'add_scalar' (planted.py:LINE)",
    "text_for_a_model": "TLA501 module: initialize_model must return an nn.Module, found str",
    "nothing_for_a_model": "TLA501 module: initialize_model must return an nn.Module, found nothing",
    "forgets_its_loss": "TLA505 module: training_step returned nothing, so that nothing is trained; expected the loss",
    "fails_after_an_epoch": "TLA501 module: on_train_epoch_end fails: epoch 0 is odd (planted.py:LINE)",
    "has_no_logits": "TLA501 joint_loss.losses.cross_entropy: needs the output 'logits', which the step did not"
    " put out; it put out scores, input, target, value, count, sign, same, label, labels, label_indices, distribution,"
    " mask, symbols, input_lengths, target_lengths, indexes, groups, boxes, location_labels, location_boxes,"
    " location_centerness (output_keys of the module's config must name what is there)",
    "needs_its_data": "TLA506 module: the training step needs the run's datamodule,"
    " which this check does not have (planted.py:LINE)",
    "needs_its_kind_of_data": "TLA506 module: on_fit_start needs the run's datamodule,"
    " which this check does not have (planted.py:LINE)",
    "reads_values_and_is_large": "TLA506 module: the training step looks at values,"
    " which a check without data does not have (planted.py:LINE)",
}
"""What is said of each planted mistake; `LINE` stands for a line's number."""

MORE_WORDS: Final = {
    "column": ("loss=[mse]", "joint_loss.losses.mse.mapping={target: value}"),
    "reads_what_it_logged": ("logger=[tensorboard]",),
    "looks_up_callbacks": ("logger=[csv]", "callbacks=[checkpoint,early_stopping]"),
    "draws_in_a_table": ("logger=[csv]",),
}


def report_of(*overrides: str) -> ShapeReport:
    return shape_report(compose(overrides).config)


def said_of(report: ShapeReport) -> list[str]:
    return [f"{problem.code} {problem.path}: {problem.message}" for problem in report.problems]


def said_of_a_task_with_idle_outputs(*overrides: str) -> list[str]:
    """What is said of the workbench, whose model has outputs that no loss of these looks at."""
    said = said_of(report_of(*LEAN, *overrides))
    return [line for line in said if not line.startswith("TLA505") or "gradient" not in line]


def test_every_planted_module_is_tried() -> None:
    assert {*RIGHT, *WRONG} == PLANTED.keys()


@pytest.mark.parametrize("name", WRONG)
def test_a_mistake_is_named_and_nothing_else(name: str) -> None:
    said = said_of(report_of(*LEAN, f"module=workbench/{name}", *MORE_WORDS.get(name, ())))

    assert [re.sub(r"(?<=\.py:)\d+", "LINE", line) for line in said] == [WRONG[name]]


@pytest.mark.parametrize("name", RIGHT)
def test_what_is_unusual_but_right_passes(name: str) -> None:
    report = report_of(*LEAN, f"module=workbench/{name}", *MORE_WORDS.get(name, ()))

    assert said_of(report) == []
    assert report.flops > 0


@pytest.mark.parametrize("name", options["loss"])
def test_every_loss_is_computed(name: str) -> None:
    assert said_of_a_task_with_idle_outputs(f"loss=[{name}]", *CHOSEN_LOSSES.get(name, ())) == []


@pytest.mark.parametrize("fit", dict.fromkeys(fit for _, fit in MEASURED))
def test_every_metric_is_computed(fit: str) -> None:
    names = [name for name, where in MEASURED if where == fit]
    more = [override for name in names for override in overrides_of(name)]
    chosen = ("loss=[focal]", f"task.kind={fit.partition(' ')[0]}", f"metrics=[{','.join(names)}]")

    assert said_of_a_task_with_idle_outputs(*chosen, *more) == []


@pytest.mark.parametrize("mapping", ["{target: value}", "{target: distribution, input: embedding}"])
def test_a_term_that_does_not_fit_its_target_is_named(mapping: str) -> None:
    said = said_of_a_task_with_idle_outputs(f"joint_loss.losses.cross_entropy.mapping={mapping}")

    assert len(said) == 1
    assert said[0].startswith(
        {
            "{target: value}": "TLA503 joint_loss.losses.cross_entropy: CrossEntropyLoss cannot be computed of"
            " input (8, 3) float32, target (8,) float32: expected target to hold classes, as whole numbers",
            "{target: distribution, input: embedding}": "TLA501 joint_loss.losses.cross_entropy: CrossEntropyLoss"
            " cannot be computed of input (8, 4) float32, target (8, 3) float32: expected target of shape (8,)",
        }[mapping]
    )


@pytest.mark.parametrize(
    "overrides",
    [
        ("backbone=small_resnet", "head=linear"),
        ("backbone=conv", "neck=fpn", "pooling=gem", "head=arcface"),
        ("backbone=conv_mixer", "neck=fpn", "pooling=max"),
        ("neck=unet", "pooling=average"),
        (
            "head=multi",
            f"{PARTS}.head.heads={{digit: {{id: linear}}, view: {{id: arcface}}}}",
            f"{PARTS}.head.main=digit",
            "+joint_loss.losses.view={id: cross_entropy, mapping: {input: view_logits}}",
        ),
    ],
    ids=" ".join,
)
def test_every_part_of_a_model_passes(overrides: tuple[str, ...]) -> None:
    assert said_of(report_of("module=parts", *overrides)) == []


@pytest.mark.parametrize(
    "overrides",
    [
        ("optimizer_spec=lbfgs",),
        ("optimizer_spec=adafactor", "trainer.gradient_clip_val=1.0"),
        ("scheduler_spec=one_cycle",),
        ("scheduler_spec=reduce_on_plateau",),
        (f"optimizers.head={{{HEAD}, scheduler_spec: {{id: reduce_on_plateau}}}}",),
        ("trainer.precision=bf16-true",),
        ("trainer.precision=64-true", "datamodule.dataloader.batch_size=1"),
        (f"optimizers.head={{{HEAD}, every_n_steps: 5}}", "trainer.precision=bf16-mixed"),
        (f"optimizers.head={{{HEAD}}}", "trainer.gradient_clip_val=1.0", "trainer.accumulate_grad_batches=4"),
        ("callbacks=[freeze]", "callbacks.freeze.parts={.backbone: {}}", "optimizer_spec.filter_requires_grad=true"),
        ("callbacks=[freeze]", "callbacks.freeze.parts={.backbone: {until: 3}}"),
    ],
    ids=" ".join,
)
def test_every_way_to_train_passes(overrides: tuple[str, ...]) -> None:
    report = report_of("module=mlp", *overrides)

    assert said_of(report) == []
    assert report.trainable > 0


def test_a_step_is_measured() -> None:
    report = report_of("module=mlp", "module.model_config={hidden_dims: [32], dropout: 0.0}")

    weights, biases, batch = 64 * 32 + 32 * 10, 32 + 10, 16
    assert report.parameters == report.trainable == weights + biases
    # Two operations for each weight on the way forward, two for its gradient, and two for that of the hidden layer.
    assert report.flops == batch * (2 * weights + 2 * weights + 2 * 32 * 10)
    assert report.parameter_bytes == report.gradient_bytes == 4 * report.parameters
    steps = 4 * 4  # Adam counts its steps for each tensor
    assert report.optimizer_bytes == 2 * report.parameter_bytes + steps
    images, hidden, scores, classes = batch * 64 * 4, batch * 32 * 4, batch * 10 * 4, batch * 8
    assert images + hidden + scores + classes <= report.activation_bytes <= images + hidden + scores + classes + 16
    assert [(part.path, part.output) for part in report.parts if part.parameters] == [
        (".backbone", "(16, 32) float32"),
        (".backbone.1", "(16, 32) float32"),
        (".head", "(16, 10) float32"),
    ]


def test_memory_follows_batch_size_precision_and_optimizer() -> None:
    usual = report_of("module=mlp", "optimizer_spec=sgd")
    twice = report_of("module=mlp", "optimizer_spec=sgd", "datamodule.dataloader.batch_size=32")
    halved = report_of("module=mlp", "optimizer_spec=sgd", "trainer.precision=bf16-true")

    assert usual.optimizer_bytes == 0
    assert twice.flops == 2 * usual.flops
    assert twice.activation_bytes == pytest.approx(2 * usual.activation_bytes, rel=0.01)
    assert halved.parameter_bytes * 2 == usual.parameter_bytes
    assert halved.gradient_bytes * 2 == usual.gradient_bytes


def test_a_target_that_nothing_is_declared_of_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    config = compose(LEAN).config
    declared = type(config.datamodule).batch

    def incomplete(self: object, task: object) -> object:
        batch = declared(self, task)  # type: ignore[arg-type]  # as it is called
        return batch._replace(targets={"target": batch.targets["target"]})

    monkeypatch.setattr(type(config.datamodule), "batch", incomplete)

    codes = {problem.code: problem for problem in shape_report(config).problems}

    assert codes[Code.UNCHECKED].path == "datamodule"
    assert codes[Code.UNCHECKED].message.endswith("Config.batch does not say what the target 'value' looks like")


def test_nothing_is_left_behind() -> None:
    made, before = ABCMeta.__call__, torch.get_rng_state()

    report_of(*LEAN, "module=workbench/own_metrics")

    area = MulticlassAUROC(num_classes=2)
    area.update(torch.tensor([[0.9, 0.1], [0.2, 0.8]]), torch.tensor([0, 1]))
    assert ABCMeta.__call__ is made
    assert area.compute() == 1
    assert not isinstance(torch.rand(2), FakeTensor)
    assert before.shape == torch.get_rng_state().shape


def test_a_large_model_takes_no_memory() -> None:
    report = report_of("module=mlp", "module.model_config.hidden_dims=[100000, 100000]")

    assert report.parameters > 10**10
    assert said_of(report) == []
