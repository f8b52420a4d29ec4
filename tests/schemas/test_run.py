"""The rules that span the parts of a run: each fires on what it is for, and on nothing that trains."""

import pytest

from app.compose import load_config
from app.schemas.codes import Code
from app.schemas.problems import ConfigError

PLATEAU = "scheduler_spec=reduce_on_plateau"
COSINE = "scheduler_spec=cosine_annealing"
HEAD = "parameters: [.head], optimizer_spec: {id: sgd}"
FUSED = ["optimizer_spec.fused=true", "trainer.gradient_clip_val=1.0"]

WRONG: list[tuple[list[str], str, str]] = [
    (["task.monitor=val/acc"], "task.monitor", "nothing logs 'val/acc' during training; did you mean 'val/accuracy'?"),
    (["task.monitor=test/loss"], "task.monitor", "nothing logs 'test/loss' during training"),
    (["callbacks.checkpoint.monitor=val/f2"], "callbacks.checkpoint.monitor", "nothing logs 'val/f2' during training"),
    ([PLATEAU, "scheduler_spec.monitor=val/los"], "scheduler_spec.monitor", "did you mean 'val/loss'?"),
    (
        ["task.monitor=val/accuracy"],
        "task.mode",
        "val/accuracy is better the larger it is: expected 'max', found 'min'",
    ),
    (
        ["callbacks.checkpoint.monitor=val/f1"],
        "callbacks.checkpoint.mode",
        "val/f1 is better the larger it is: expected 'max', found 'min'",
    ),
    (
        ["trainer.limit_val_batches=0"],
        "task.monitor",
        "never runs: trainer.limit_val_batches is 0; type trainer.limit_val_batches=null or task.monitor=train/loss",
    ),
    (
        ["trainer.check_val_every_n_epoch=30"],
        "task.monitor",
        "never runs: trainer.check_val_every_n_epoch is 30, of 20 epochs",
    ),
    (
        ["trainer.max_steps=10", "trainer.max_epochs=-1", "trainer.val_check_interval=11"],
        "task.monitor",
        "never runs: trainer.val_check_interval is 11, of 10 batches; type trainer.val_check_interval=10",
    ),
    ([COSINE, "scheduler_spec.T_max=3"], "scheduler_spec.T_max", "ends after 3 epochs of 20"),
    (
        [COSINE, "scheduler_spec.interval=step", "trainer.max_steps=100"],
        "scheduler_spec.T_max",
        "ends after 20 steps of 100",
    ),
    (
        [COSINE, "scheduler_spec.interval=step"],
        "scheduler_spec.T_max",
        "counts optimizer steps with interval=step, found 20, no more than there are epochs",
    ),
    (
        ["callbacks=[lr_monitor]", "callbacks.lr_monitor.log_weight_decay=true", "optimizer_spec=rprop"],
        "callbacks.lr_monitor.log_weight_decay",
        "true needs an optimizer with weight_decay, which RpropSpec has not; expected false",
    ),
    ([PLATEAU, "scheduler_spec.interval=step"], "scheduler_spec.interval", "what it watches is logged once an epoch"),
    (
        [PLATEAU, "trainer.check_val_every_n_epoch=2"],
        "scheduler_spec.frequency",
        "looks every 1 epochs for what is validated every 2; expected a multiple of 2",
    ),
    (
        ["optimizer_spec.capturable=true", "trainer.accelerator=cpu"],
        "optimizer_spec.capturable",
        "trainer.accelerator is 'cpu'; expected false",
    ),
    (
        [*FUSED, "trainer.precision=bf16-mixed"],
        "optimizer_spec.fused",
        "leaves no gradients to clip with trainer.precision=bf16-mixed",
    ),
    (
        ["scheduler_spec=cyclic", "optimizer_spec=adagrad", "scheduler_spec.cycle_momentum=true"],
        "scheduler_spec.cycle_momentum",
        "momentum",
    ),
    (
        ["joint_loss.losses.cross_entropy.mapping={input: logit}"],
        "joint_loss.losses.cross_entropy.mapping.input",
        "there is no output 'logit'; did you mean 'logits'?",
    ),
    (
        ["metrics=[recall]", "metrics.recall.mapping={target: parity}"],
        "metrics.recall.mapping.target",
        "there is no output 'parity'; there is logits, probabilities, classes, input, target",
    ),
    (
        ["metrics=[f1]"],
        "metrics.f1",
        "is measured by the task already, in a fixed way; to add another: metrics.<another",
    ),
    (["metrics.cross_entropy={id: recall}"], "metrics.cross_entropy", "would be logged as 'cross_entropy', like some"),
    (["joint_loss.losses.f1={id: focal}"], "joint_loss.losses.f1", "cannot be told from what else is logged as 'f1'"),
    (["loss=[]"], "joint_loss.losses", "needs a term in training; choose one, as by loss=[cross_entropy]"),
    (["module.compute_loss_on_valid=false"], "task.monitor", "nothing logs 'val/loss' during training"),
    (
        ["metrics=[recall]", "metrics.recall.phases=[test]", "callbacks.checkpoint.monitor=val/recall"],
        "callbacks.checkpoint.monitor",
        "nothing logs 'val/recall' during training; logged: train/loss",
    ),
    (
        [f"optimizers.head={{{HEAD}, losses: [dice]}}"],
        "optimizers.head.losses[0]",
        "joint_loss has no term 'dice' in training; its terms in training: cross_entropy",
    ),
    (
        [f"optimizers.head={{{HEAD}, scheduler_spec: {{id: cosine_annealing, T_max: 3}}}}"],
        "optimizers.head.scheduler_spec.T_max",
        "ends after 3 epochs of 20",
    ),
    (
        [f"optimizers.head={{{HEAD}, scheduler_spec: {{id: reduce_on_plateau, monitor: val/los}}}}"],
        "optimizers.head.scheduler_spec.monitor",
        "nothing logs 'val/los' during training; did you mean 'val/loss'?",
    ),
    (["trainer=barebones", "callbacks=[]"], "logger", "is not allowed with trainer.barebones=true; choose logger=[]"),
    (
        ["trainer.enable_progress_bar=false"],
        "callbacks.progress_bar",
        "is switched off by trainer.enable_progress_bar=false",
    ),
]

RIGHT: list[list[str]] = [
    ["task.monitor=val/accuracy", "task.mode=max"],
    ["task.monitor=train/loss", "trainer.limit_val_batches=0"],
    [COSINE],
    [COSINE, "scheduler_spec.T_max=100"],
    [COSINE, "scheduler_spec.T_max=100", "scheduler_spec.interval=step"],
    ["callbacks=[lr_monitor]", "callbacks.lr_monitor.log_weight_decay=true"],
    [COSINE, "scheduler_spec.T_max=10", "scheduler_spec.frequency=2"],
    [PLATEAU],
    [PLATEAU, "trainer.check_val_every_n_epoch=2", "scheduler_spec.frequency=4"],
    [PLATEAU, "scheduler_spec.monitor=train/loss", "trainer.check_val_every_n_epoch=2"],
    ["optimizer_spec.capturable=true", "trainer=gpu"],
    ["module=parts", "head=arcface", "neck=fpn", "pooling=gem"],
    ["metrics=[auroc]", "task.monitor=val/auroc", "task.mode=max"],
    ["metrics.top3={id: accuracy, top_k: 3}", "callbacks.checkpoint.monitor=val/top3", "callbacks.checkpoint.mode=max"],
    ["joint_loss.losses.second={id: focal}", "callbacks.checkpoint.monitor=val/second"],
    ["module.compute_loss_on_valid=false", "task.monitor=val/accuracy", "task.mode=max"],
    [f"optimizers.head={{{HEAD}}}"],
    FUSED,
    ["trainer=barebones", "callbacks=[]", "logger=[]"],
]


@pytest.mark.parametrize(("overrides", "path", "message"), WRONG)
def test_parts_that_contradict_each_other_are_refused(overrides: list[str], path: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(overrides)

    assert [problem.path for problem in caught.value.problems] == [path]
    assert message in caught.value.problems[0].message
    assert caught.value.problems[0].source in overrides


@pytest.mark.parametrize("overrides", RIGHT)
def test_parts_that_go_together_are_left_alone(overrides: list[str]) -> None:
    load_config(overrides)


@pytest.mark.parametrize(
    ("overrides", "code"),
    [
        (["task.monitor=val/acc"], Code.MONITOR),
        (["callbacks.checkpoint.monitor=val/f1"], Code.MONITOR),
        (["trainer.limit_val_batches=0"], Code.MONITOR),
        ([COSINE, "scheduler_spec.T_max=3"], Code.SCHEDULE),
        ([PLATEAU, "trainer.check_val_every_n_epoch=2"], Code.MONITOR),
        ([PLATEAU, "scheduler_spec.monitor=null"], Code.MONITOR),
        (["callbacks.checkpoint.mode=null"], Code.MONITOR),
        (["joint_loss.losses.cross_entropy.mapping={input: probabilities}"], Code.NORMALIZED_TWICE),
        (["trainer.fast_dev_run=true", "trainer.limit_train_batches=2"], Code.UNUSED),
        (["optimizer_spec=sgd", "optimizer_spec.nesterov=true"], Code.CONFLICT),
    ],
)
def test_what_is_refused_has_the_code_of_its_kind(overrides: list[str], code: Code) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(overrides)
    assert {problem.code for problem in caught.value.problems} == {code}
