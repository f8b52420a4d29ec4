"""`ManualOptimization`: steps several optimizers from one forward pass, as Lightning steps one.

Lightning's automatic optimization ends where there is a second optimizer. What it does for one (accumulation, clipping,
precision, schedulers, hooks, the count of steps) is done here in the same order, so that with a single optimizer every
weight, learning rate and scheduler comes out bit for bit the same.

Nothing here has to be saved: where a step stands follows from the batch's index and the trainer's count of steps.
"""

import warnings
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, Final, Literal, NamedTuple, cast

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.core.optimizer import LightningOptimizer, do_nothing_closure
from lightning.pytorch.strategies import ParallelStrategy
from torch import Tensor, nn
from torch.optim import Optimizer

from app.schemas.optimization import NamedOptimizerSpec
from app.schemas.problems import ConfigError, Path, Problem, dotted
from app.schemas.schedulers import ReduceLROnPlateauSpec, SchedulerSpec

ClipAlgorithm = Literal["norm", "value"]

_MAIN: Final = 0
"""The main optimizer's place: its steps are the ones that count as the run's."""


class _Part(NamedTuple):
    """What the config says of one optimizer, in the order of `configure_optimizers`."""

    path: Path
    scheduler_spec: SchedulerSpec | None
    losses: tuple[str, ...] | None
    every_n_steps: int


class ManualOptimization:
    """What a module calls instead of leaving the optimization to Lightning.

    A module sets `automatic_optimization = False` and calls `start` from `configure_optimizers`, `step` at the end of
    `training_step`, `clip` from `on_before_optimizer_step`, `end_epoch` at the end of `on_train_epoch_end`, and
    `finish` from `on_fit_end`.

    Lightning's Trainer takes neither accumulation nor clipping then: they are arguments here.

    Args:
        scheduler_spec: The main optimizer's scheduler.
        optimizers: The further optimizers, in the order of `configure_optimizers`.
        accumulate_grad_batches: Batches whose gradients are added up for a step; an epoch's last window may be shorter.
        gradient_clip_val: Largest norm or absolute value of each optimizer's gradients; None and 0 leave them alone.
        gradient_clip_algorithm: Which of the two; None is the norm.
    """

    def __init__(
        self,
        scheduler_spec: SchedulerSpec | None,
        optimizers: Mapping[str, NamedOptimizerSpec],
        *,
        accumulate_grad_batches: int = 1,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: ClipAlgorithm | None = None,
    ) -> None:
        self.accumulate_grad_batches = accumulate_grad_batches
        self.gradient_clip_val = gradient_clip_val
        self.gradient_clip_algorithm = gradient_clip_algorithm
        self._parts = (
            _Part((), scheduler_spec, None, 1),
            *(
                _Part(("optimizers", name), spec.scheduler_spec, spec.losses, spec.every_n_steps)
                for name, spec in optimizers.items()
            ),
        )

    def start(self, trainer: Trainer) -> None:
        """Let the trainer know of the accumulation, once it has seen to it that nobody else does it.

        Its loop counts steps for the loggers by it, and leaves the gradients of an unfinished window alone when it
        validates in between.
        """
        trainer.accumulate_grad_batches = self.accumulate_grad_batches

    def finish(self, trainer: Trainer) -> None:
        """Leave the trainer as it was, so that it takes another fit."""
        trainer.accumulate_grad_batches = 1

    def step(self, module: LightningModule, loss: Tensor, terms: Mapping[str, Tensor], batch_idx: int) -> Tensor:
        """Go back through a batch's losses, and step what is due.

        Args:
            module: The module in whose `training_step` this is.
            loss: The total, which all optimizers share when none has losses of its own.
            terms: What each tag of the joint loss adds to the total, its weight included.
            batch_idx: The batch's place in the epoch.

        Returns:
            The loss as Lightning's callbacks see it in automatic optimization: divided by the batches of a step.
        """
        trainer = module.trainer
        optimizers = _lightning_optimizers(module)
        ends_epoch = _is_last(trainer, batch_idx)
        steps = ends_epoch or (batch_idx + 1) % self.accumulate_grad_batches == 0
        number = trainer.global_step + 1
        due = [place for place, part in enumerate(self._parts) if number % part.every_n_steps == 0]

        if batch_idx % self.accumulate_grad_batches == 0:
            for optimizer in optimizers:
                _zero_gradients(module, optimizer.optimizer, batch_idx)
        self._backward(module, loss, terms, [optimizers[place] for place in due], due, steps=steps)
        if steps:
            _count_only(optimizers, _MAIN)
            for place in due:
                with nullcontext() if place == due[-1] else _scale_kept(trainer):
                    module.optimizer_step(trainer.current_epoch, batch_idx, optimizers[place], do_nothing_closure)
            self._step_schedulers(module, "step", batch_idx, due, number)
        if ends_epoch:
            self._step_schedulers(module, "epoch", batch_idx, range(len(self._parts)), number)
        return (loss / self.accumulate_grad_batches).detach()

    def clip(self, module: LightningModule, optimizer: Optimizer) -> None:
        """Clip an optimizer's gradients, which precision has brought back to scale by now."""
        module.configure_gradient_clipping(
            optimizer,
            gradient_clip_val=self.gradient_clip_val,
            gradient_clip_algorithm=self.gradient_clip_algorithm,
        )

    def end_epoch(self, module: LightningModule) -> None:
        """Step the schedulers that watch a metric, which is known by now.

        Raises:
            ConfigError: when a metric is not there and its scheduler is strict about it.
        """
        trainer = module.trainer
        if not _is_last(trainer, trainer.fit_loop.batch_idx):
            return
        for _, part, scheduler in self._schedulers(trainer):
            spec = part.scheduler_spec
            if not isinstance(spec, ReduceLROnPlateauSpec) or (trainer.current_epoch + 1) % spec.frequency:
                continue
            assert spec.monitor is not None, "the gate asks for a monitor"
            value = trainer.callback_metrics.get(spec.monitor)
            if value is not None:
                module.lr_scheduler_step(scheduler, value)
            elif not trainer.fit_loop.restarting:  # a resumed run whose epoch was already validated knows no metrics
                _missing(part, spec, trainer)

    def _backward(
        self,
        module: LightningModule,
        loss: Tensor,
        terms: Mapping[str, Tensor],
        optimizers: Sequence[LightningOptimizer],
        due: Sequence[int],
        *,
        steps: bool,
    ) -> None:
        """Add each due optimizer's gradients to its own parameters, and to no others."""
        trainer = module.trainer
        claimed = {tag for part in self._parts for tag in part.losses or ()}
        if not claimed and len(due) == len(self._parts):
            with _without_sync(trainer, block=not steps):
                module.manual_backward(loss / self.accumulate_grad_batches)
            return
        shared = _sum([term for tag, term in terms.items() if tag not in claimed]) if claimed else loss
        objectives: list[tuple[Tensor, list[nn.Parameter]]] = [(shared, [])]
        for place, optimizer in zip(due, optimizers, strict=True):
            own = [parameter for parameter in _parameters(optimizer) if parameter.requires_grad]
            if (tags := self._parts[place].losses) is None:
                objectives[0][1].extend(own)
            else:
                objectives.append((_sum([terms[tag] for tag in tags]), own))
        wanted = [(objective, own) for objective, own in objectives if own and objective.requires_grad]
        with _without_sync(trainer, block=True):
            for place, (objective, own) in enumerate(wanted):
                more = place + 1 < len(wanted)
                module.manual_backward(objective / self.accumulate_grad_batches, inputs=own, retain_graph=more)
        if steps and trainer.world_size > 1:
            _average_gradients(trainer, [parameter for _, own in wanted for parameter in own])

    def _step_schedulers(
        self, module: LightningModule, interval: str, batch_idx: int, due: Collection[int], number: int
    ) -> None:
        """Step the schedulers that look at no metric, at the end of a step or of an epoch."""
        trainer = module.trainer
        for place, part, scheduler in self._schedulers(trainer):
            spec = part.scheduler_spec
            if place not in due or spec is None or spec.interval != interval or isinstance(spec, ReduceLROnPlateauSpec):
                continue
            if interval == "epoch":
                count = trainer.current_epoch + 1
            elif part.every_n_steps > 1:
                count = number // part.every_n_steps
            else:
                count = batch_idx + 1  # Lightning counts batches here, also while it accumulates
            if count % spec.frequency == 0:
                module.lr_scheduler_step(scheduler, None)

    def _schedulers(self, trainer: Trainer) -> Iterator[tuple[int, _Part, Any]]:
        """The live schedulers, each with the place of its optimizer and what the config says of it."""
        scheduled = [(place, part) for place, part in enumerate(self._parts) if part.scheduler_spec is not None]
        for (place, part), config in zip(scheduled, trainer.lr_scheduler_configs, strict=True):
            yield place, part, config.scheduler


def _lightning_optimizers(module: LightningModule) -> list[LightningOptimizer]:
    found = module.optimizers()
    return cast(list[LightningOptimizer], found if isinstance(found, list) else [found])


def _is_last(trainer: Trainer, batch_idx: int) -> bool:
    """Whether this batch ends the epoch."""
    return trainer.is_last_batch or batch_idx + 1 == trainer.num_training_batches


def _zero_gradients(module: LightningModule, optimizer: Optimizer, batch_idx: int) -> None:
    trainer = module.trainer
    for callback in trainer.callbacks:  # type: ignore[attr-defined]  # set by a connector
        callback.on_before_zero_grad(trainer, module, optimizer)
    module.on_before_zero_grad(optimizer)
    module.optimizer_zero_grad(trainer.current_epoch, batch_idx, optimizer)


def _count_only(optimizers: Sequence[LightningOptimizer], counted: int) -> None:
    """Let the steps of one optimizer alone count as the run's: Lightning would add up those of all.

    It connects its counter anew before every batch (https://github.com/Lightning-AI/pytorch-lightning/issues/17958).
    """
    for place, optimizer in enumerate(optimizers):
        if place != counted:
            optimizer._on_before_step = do_nothing_closure
            optimizer._on_after_step = do_nothing_closure


@contextmanager
def _scale_kept(trainer: Trainer) -> Iterator[None]:
    """Keep the loss scale of 16-bit precision while other optimizers still hold gradients of this scale.

    Lightning updates it after each of them; torch wants it done once, after the last.
    """
    scaler = getattr(trainer.precision_plugin, "scaler", None)
    if scaler is None:
        yield
        return
    scaler.update = do_nothing_closure
    try:
        yield
    finally:
        del scaler.update


def _without_sync(trainer: Trainer, *, block: bool) -> AbstractContextManager[None]:
    """Keep processes from averaging gradients that are not yet complete."""
    if block and isinstance(trainer.strategy, ParallelStrategy):
        return cast(AbstractContextManager[None], trainer.strategy.block_backward_sync())
    return nullcontext()


def _average_gradients(trainer: Trainer, parameters: Sequence[nn.Parameter]) -> None:
    """The mean of all processes' gradients.

    DistributedDataParallel, which does it otherwise, expects one backward pass with a gradient for every parameter.
    """
    if not parameters:
        return
    there = torch.tensor([parameter.grad is not None for parameter in parameters], device=parameters[0].device)
    anywhere = cast(Tensor, trainer.strategy.reduce(there.float(), reduce_op="sum")).bool().tolist()
    by_kind: dict[torch.dtype, list[nn.Parameter]] = {}
    for parameter, used in zip(parameters, anywhere, strict=True):
        if used:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            by_kind.setdefault(parameter.grad.dtype, []).append(parameter)
    for group in by_kind.values():
        gradients = [cast(Tensor, parameter.grad) for parameter in group]
        flat = torch.cat([gradient.reshape(-1) for gradient in gradients])
        mean = cast(Tensor, trainer.strategy.reduce(flat, reduce_op="mean"))
        for gradient, part in zip(gradients, torch.split(mean, [each.numel() for each in gradients]), strict=True):
            gradient.copy_(part.view_as(gradient))


def _parameters(optimizer: LightningOptimizer) -> list[nn.Parameter]:
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]


def _sum(terms: Sequence[Tensor]) -> Tensor:
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return total


def _missing(part: _Part, spec: SchedulerSpec, trainer: Trainer) -> None:
    there = ", ".join(sorted(trainer.callback_metrics)) or "nothing"
    if spec.strict:
        message = f"'{spec.monitor}' has not been logged when the epoch ended; logged: {there}"
        raise ConfigError([Problem(path=dotted((*part.path, "scheduler_spec", "monitor")), message=message)])
    if trainer.is_global_zero:
        where = dotted((*part.path, "scheduler_spec"))
        warnings.warn(f"{where} waits: '{spec.monitor}' has not been logged", RuntimeWarning, stacklevel=2)
