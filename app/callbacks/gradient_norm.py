"""`GradientNorm`: logs how large the gradients are, before they are clipped."""

from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from torch import Tensor
from torch.optim import Optimizer


class GradientNorm(Callback):
    """Logs the Euclidean norm of an optimizer's gradients as `grad_norm`; of a further optimizer as `grad_norm-<name>`.

    They are complete then, over all batches of an accumulation, and brought back to scale where precision has scaled
    them. Nothing is computed, and no GPU waited for, at steps that are not logged.

    Args:
        every_n_steps: Steps between two values; None is the trainer's `log_every_n_steps`.
        per_group: Also log the norm of each parameter group, as `grad_norm/<group>`.
    """

    def __init__(self, every_n_steps: int | None = None, per_group: bool = False) -> None:
        self.every_n_steps = every_n_steps
        self.per_group = per_group

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer) -> None:
        """Log the norms, at the steps at which the loggers are told of others."""
        step = trainer.fit_loop.epoch_loop._batches_that_stepped
        pace: int = trainer.log_every_n_steps  # type: ignore[attr-defined]  # set by a connector
        every = pace if self.every_n_steps is None else self.every_n_steps
        if not trainer.loggers or every == 0 or (step + 1) % every:
            return
        norms = [_norm(group) for group in optimizer.param_groups]
        name = _name(trainer, pl_module, optimizer)
        values = {name: torch.stack(norms).norm()}
        if self.per_group:
            groups = [group.get("name", f"pg{place}") for place, group in enumerate(optimizer.param_groups, start=1)]
            values |= {f"{name}/{group}": norm for group, norm in zip(groups, norms, strict=True)}
        numbers = dict(zip(values, torch.stack(list(values.values())).tolist(), strict=True))
        for logger in trainer.loggers:
            logger.log_metrics(numbers, step=step)


def _norm(group: dict[str, Any]) -> Tensor:
    parameters = group["params"]
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    norm = torch.nn.utils.get_total_norm(gradients) if gradients else torch.zeros(())
    return norm.to(parameters[0].device, torch.float32)


def _name(trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer) -> str:
    """`grad_norm`, with the name behind it that the module's hyperparameters give a further optimizer."""
    place = next(place for place, known in enumerate(trainer.optimizers) if known is optimizer)
    if place == 0:
        return "grad_norm"
    names = list(pl_module.hparams.get("optimizers") or {})
    return f"grad_norm-{names[place - 1] if place <= len(names) else place}"
