"""Every loss in a real fit of two epochs, from overrides alone."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pytest
import torch

from app.compose import load_config
from app.losses.joint import JointLoss
from app.schemas.problems import ConfigError
from app.schemas.registry import options
from tests.tasks.workbench import built, fit, workbench

__all__ = ["workbench"]

pytestmark = pytest.mark.usefixtures("workbench")

BINARY: Final = ("task.kind=binary",)
MULTILABEL: Final = ("task.kind=multilabel",)
TARGETS: Final[Mapping[str, str]] = {
    "mse": "value",
    "l1": "value",
    "smooth_l1": "value",
    "huber": "value",
    "gaussian_nll": "value",
    "poisson_nll": "count",
    "kl_div": "distribution",
    "hinge_embedding": "sign",
    "cosine_embedding": "sign",
    "margin_ranking": "sign",
    "contrastive": "same",
    "multi_label_margin": "label_indices",
}
"""What a loss compares with that is about something else than classes."""

CHOSEN: Final[Mapping[str, tuple[str, ...]]] = {
    "bce": BINARY,
    "bce_with_logits": MULTILABEL,
    "multi_label_soft_margin": MULTILABEL,
    "soft_margin": (*BINARY, "joint_loss.losses.soft_margin.mapping={target: sign}"),
    "dice": ("joint_loss.losses.dice.mapping={input: mask_logits, target: mask}",),
    "ctc": ("joint_loss.losses.ctc.mapping={log_probs: sequence, targets: symbols}",),
    **{name: (f"joint_loss.losses.{name}.mapping={{target: {target}}}",) for name, target in TARGETS.items()},
}
"""What a loss needs to be chosen with, where its defaults are not for a task of several classes."""


@pytest.mark.parametrize("name", options["loss"])
def test_every_loss_trains(name: str, tmp_path: Path) -> None:
    # Plain SGD, which leaves alone what has no gradient.
    run = built(f"loss=[{name}]", *CHOSEN.get(name, ()), "optimizer_spec=sgd", "optimizer_spec.lr=0.1", folder=tmp_path)
    before = {key: parameter.detach().clone() for key, parameter in run.module.named_parameters()}

    run.trainer.fit(model=run.module, datamodule=run.datamodule)

    logged = run.trainer.callback_metrics
    assert run.trainer.current_epoch == 2
    assert logged.keys() == {"train/loss", "val/loss"}
    assert all(value.isfinite() for value in logged.values())
    changed = {key for key, parameter in run.module.named_parameters() if not torch.equal(parameter, before[key])}
    assert "model.hidden.weight" in changed


@pytest.mark.parametrize("name", ["dice", "focal"])
@pytest.mark.parametrize("kind", ["binary", "multiclass", "multilabel"])
def test_our_own_classification_losses_train_on_every_kind_of_task(name: str, kind: str, tmp_path: Path) -> None:
    run = fit(f"loss=[{name}]", f"task.kind={kind}", folder=tmp_path)
    joint_loss = run.module.joint_loss
    assert isinstance(joint_loss, JointLoss)
    assert joint_loss[name].kind == kind
    assert run.trainer.callback_metrics["train/loss"].isfinite()


def test_several_terms_are_logged_beside_their_total(tmp_path: Path) -> None:
    run = fit(
        "loss=[cross_entropy,l1]",
        "joint_loss.losses.l1={weight: 3, mapping: {target: value}, phases: [train]}",
        "joint_loss.losses.smooth={id: cross_entropy, label_smoothing: 0.1, phases: [val]}",
        folder=tmp_path,
    )
    logged = {name: value.item() for name, value in run.trainer.callback_metrics.items()}
    assert logged.keys() == {
        *("train/loss", "train/cross_entropy", "train/l1"),
        *("val/loss", "val/cross_entropy", "val/smooth"),
    }
    assert logged["train/loss"] == pytest.approx((logged["train/cross_entropy"] + 3 * logged["train/l1"]) / 4)
    assert logged["val/loss"] == pytest.approx((logged["val/cross_entropy"] + logged["val/smooth"]) / 2)


def test_half_precision_trains_too(tmp_path: Path) -> None:
    losses = ["focal", "dice", "ntxent", "supervised_contrastive", "contrastive", "cross_entropy", "bce"]
    run = fit(
        f"loss=[{','.join(losses)}]",
        "task.kind=multilabel",
        "trainer.precision=bf16-mixed",
        "joint_loss.losses.supervised_contrastive.mapping={target: label}",
        "joint_loss.losses.contrastive.mapping={target: same}",
        "joint_loss.losses.cross_entropy.mapping={target: label}",
        folder=tmp_path,
    )
    logged = run.trainer.callback_metrics
    assert {f"train/{name}" for name in losses} <= logged.keys()
    assert all(value.isfinite() for value in logged.values())


def test_an_output_that_the_module_has_not_is_refused_before_anything_is_built() -> None:
    words = ["task=workbench", "loss=[mse]", "joint_loss.losses.mse.mapping={input: predictions}"]
    with pytest.raises(ConfigError) as caught:
        load_config(words)
    (problem,) = caught.value.problems
    assert problem.path == "joint_loss.losses.mse.mapping.input"
    assert problem.message == "there is no output 'predictions'; did you mean 'prediction'?"
