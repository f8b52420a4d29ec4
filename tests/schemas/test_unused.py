"""Fields to which another part leaves no effect: each is named when it does, and not when it does not."""

import pytest

from app.compose import load_config
from app.schemas.codes import Code
from app.schemas.problems import dotted
from app.schemas.rules import remarks

VAL_ONLY = "joint_loss.losses.smooth={id: cross_entropy, phases: [val]}"
NO_LOSS_ON_VAL = ["module.compute_loss_on_valid=false", "task.monitor=train/loss"]
ONE_CYCLE = ["optimizer_spec=sgd", "scheduler_spec=one_cycle"]
HEAD = "{parameters: [.head], optimizer_spec: {id: sgd, lr: 0.1}, scheduler_spec: {id: one_cycle, max_lr: 0.1}}"
WORKERS = ["datamodule.dataloader.num_workers=2"]

CASES: list[tuple[str, list[str], list[str]]] = [
    # The field, words with which it has no effect, and words with which it has one.
    ("joint_loss.losses.smooth.phases", [VAL_ONLY, *NO_LOSS_ON_VAL], [VAL_ONLY]),
    (
        "module.compute_loss_on_valid",
        ["joint_loss.losses.cross_entropy.phases=[train]", "task.monitor=train/loss"],
        [],
    ),
    ("datamodule.dataloader.pin_memory", ["trainer.accelerator=cpu"], ["trainer.accelerator=gpu"]),
    ("seed_params.workers", [], WORKERS),
    ("seed_params.workers", [], ["datamodule.evaluation_dataloader.num_workers=2"]),
    ("trainer.min_epochs", [], ["callbacks=[early_stopping]"]),
    ("trainer.min_epochs", ["callbacks=[]"], ["callbacks=[timer]"]),
    ("trainer.min_steps", [], ["trainer.max_time='00:01:00:00'"]),
    ("trainer.log_every_n_steps", ["logger=[]"], []),
    ("trainer.enable_autolog_hparams", ["logger=[]"], []),
    (
        "optimizer_spec.lr",
        ["callbacks=[lr_finder]"],
        ["callbacks=[lr_finder]", "callbacks.lr_finder.update_attr=false"],
    ),
    ("datamodule.dataloader.batch_size", ["callbacks=[batch_size_finder]"], []),
    ("optimizer_spec.lr", [*ONE_CYCLE, "scheduler_spec.max_lr=0.5"], ONE_CYCLE),
    ("optimizer_spec.momentum", ONE_CYCLE, [*ONE_CYCLE, "scheduler_spec.cycle_momentum=false"]),
    (
        "optimizer_spec.momentum",
        ["optimizer_spec=sgd", "scheduler_spec=cyclic"],
        [*ONE_CYCLE, "optimizer_spec.momentum=0.9", "optimizer_spec.nesterov=true"],
    ),
    (
        "optimizers.head.optimizer_spec.lr",
        [f"optimizers.head={HEAD}", "optimizers.head.scheduler_spec.max_lr=0.5"],
        [f"optimizers.head={HEAD}"],
    ),
]


@pytest.mark.parametrize(("field", "without", "effective"), CASES)
def test_a_field_is_named_only_while_it_has_no_effect(field: str, without: list[str], effective: list[str]) -> None:
    assert field in unused(*without)
    assert field not in unused(*effective)


def unused(*overrides: str) -> set[str]:
    return {dotted(fault.path) for fault in remarks(load_config(overrides)) if fault.code is Code.UNUSED}
