"""The norm of the gradients, as it is before clipping, at the steps that are logged."""

from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import CSVLogger

from app.callbacks.gradient_norm import GradientNorm
from app.schemas.optimization import NamedOptimizerSpec
from app.schemas.optimizers import ParamGroupSpec, SGDSpec
from tests.tasks.shared.test_manual_optimization import BATCHES, TwoParts, WithoutDropout, fit, pytestmark

__all__ = ["pytestmark"]


class Recorder(CSVLogger):
    """Keeps what is logged."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.rows: list[tuple[int, dict[str, float]]] = []

    def log_metrics(self, metrics: dict[str, Any], step: int | None = None) -> None:
        if any(name.startswith("grad_norm") for name in metrics):
            self.rows.append((-1 if step is None else step, dict(metrics)))


class TrueNorms(Callback):
    """Every step's norm, computed another way."""

    def __init__(self) -> None:
        self.norms: list[float] = []

    def on_before_optimizer_step(self, *arguments: Any) -> None:
        gradients = [own.grad.flatten() for own in arguments[1].parameters() if own.grad is not None]
        self.norms.append(float(torch.cat(gradients).square().sum().sqrt()))


def logged(module: TwoParts, callback: GradientNorm, folder: Path, **settings: Any) -> tuple[Recorder, TrueNorms]:
    logger, true = Recorder(folder), TrueNorms()
    fit(module, folder, callback, true, **{"logger": logger, "log_every_n_steps": 1} | settings)
    return logger, true


@pytest.mark.parametrize("manual", [True, False])
@pytest.mark.parametrize("accumulate", [1, 3])
def test_the_norm_before_clipping_is_logged_at_every_nth_step(manual: bool, accumulate: int, tmp_path: Path) -> None:
    limits: dict[str, Any] = {"accumulate_grad_batches": accumulate, "gradient_clip_val": 1e-3}
    module = TwoParts(SGDSpec(lr=0.1), manual=manual, **limits if manual else {})
    logger, true = logged(module, GradientNorm(every_n_steps=2), tmp_path, **{} if manual else limits)
    assert len(true.norms) == 3 * -(-BATCHES // accumulate)
    assert [step for step, _ in logger.rows] == list(range(1, len(true.norms), 2))
    assert [row for _, row in logger.rows] == [{"grad_norm": pytest.approx(norm)} for norm in true.norms[1::2]]
    assert min(true.norms) > 1e-3, "clipping would have been seen"


def test_by_default_it_keeps_the_loggers_pace(tmp_path: Path) -> None:
    logger, true = logged(TwoParts(SGDSpec(lr=0.1)), GradientNorm(), tmp_path, log_every_n_steps=5)
    assert [step for step, _ in logger.rows] == [4, 9, 14, 19]
    assert [row["grad_norm"] for _, row in logger.rows] == pytest.approx(true.norms[4::5])
    silent, _ = logged(TwoParts(SGDSpec(lr=0.1)), GradientNorm(), tmp_path, log_every_n_steps=0)
    assert silent.rows == []


def test_groups_and_further_optimizers_have_norms_of_their_own(tmp_path: Path) -> None:
    head = NamedOptimizerSpec(parameters=(".head",), optimizer_spec=SGDSpec(lr=0.1))
    main = SGDSpec(lr=0.1, params={".body.0": ParamGroupSpec(lr=0.2)})
    module = WithoutDropout(main, None, {"head": head})
    module.save_hyperparameters({"optimizers": {"head": {}}})
    logger, true = logged(module, GradientNorm(every_n_steps=1, per_group=True), tmp_path, max_epochs=1)
    of_body, of_head = (row for _, row in logger.rows[:2])
    assert list(of_body) == ["grad_norm", "grad_norm/body.0", "grad_norm/remaining"]
    assert list(of_head) == ["grad_norm-head", "grad_norm-head/head"]
    parts = [of_body["grad_norm/body.0"], of_body["grad_norm/remaining"]]
    assert of_body["grad_norm"] == pytest.approx(sum(norm**2 for norm in parts) ** 0.5)
    whole = (of_body["grad_norm"] ** 2 + of_head["grad_norm-head"] ** 2) ** 0.5
    assert true.norms[0] == pytest.approx(whole)
