"""`FiniteLoss`: stops a run whose loss is no number any more, before anything is saved of it."""

import math
from collections import deque
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from torch import Tensor

from app.schemas.problems import AppError


class NonFiniteLossError(AppError):
    """Training has diverged: the loss is infinite or not a number."""

    def __init__(self, loss: float, epoch: int, batch: int | None = None) -> None:
        self.loss, self.epoch, self.batch = loss, epoch, batch
        where = f"in epoch {epoch}" if batch is None else f"at batch {batch} of epoch {epoch}"
        super().__init__(f"train/loss is {loss} {where}: training has diverged; a smaller optimizer_spec.lr helps")

    def __reduce__(self) -> tuple[type["NonFiniteLossError"], tuple[float, int, int | None]]:
        return type(self), (self.loss, self.epoch, self.batch)


class NonFiniteWeightsError(AppError):
    """Training has diverged: the loss was finite, the step that followed from it was not."""

    def __init__(self, parameter: str, epoch: int) -> None:
        self.parameter, self.epoch = parameter, epoch
        super().__init__(
            f"{parameter} is not finite in epoch {epoch}, so no checkpoint was saved: training has diverged;"
            " a smaller optimizer_spec.lr or trainer.gradient_clip_val helps"
        )

    def __reduce__(self) -> tuple[type["NonFiniteWeightsError"], tuple[str, int]]:
        return type(self), (self.parameter, self.epoch)


class _Watched(NamedTuple):
    """A loss on its way from the device."""

    loss: Tensor
    arrival: torch.cuda.Event | None
    epoch: int
    batch: int


class FiniteLoss(Callback):
    """Looks at each step's loss: on the CPU at once, else at the next step, by when it is known, so that none waits.

    Nothing is saved before the losses of all steps are known, and while a weight is not finite. Overflows that 16-bit
    training skips leave both alone.
    """

    def __init__(self) -> None:
        self._watched: deque[_Watched] = deque()

    def on_train_batch_start(
        self,
        trainer: Trainer,
        pl_module: LightningModule,  # noqa: ARG002  # Lightning's signature
        batch: Any,  # noqa: ARG002
        batch_idx: int,  # noqa: ARG002
    ) -> None:
        """Look at what has arrived from the device by now, and wait for what is a step behind.

        Raises:
            NonFiniteLossError: when a loss is infinite or not a number.
        """
        while self._watched and (len(self._watched) > 1 or _has_arrived(self._watched[0], trainer)):
            self._look_at_next()

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,  # noqa: ARG002  # Lightning's signature
        outputs: Any,
        batch: Any,  # noqa: ARG002
        batch_idx: int,
    ) -> None:
        """Look at the loss, or ask the device for it.

        Raises:
            NonFiniteLossError: when it is known, and infinite or not a number.
        """
        loss = outputs.get("loss") if isinstance(outputs, Mapping) else outputs
        if not isinstance(loss, Tensor):
            return
        loss = loss.detach()
        if trainer.world_size > 1:  # all processes stop at the same step, or the others would wait for ever
            loss = trainer.strategy.reduce(loss.clone(), reduce_op="sum")
        if loss.device.type == "cpu":
            _check(float(loss), trainer.current_epoch, batch_idx)
            return
        arrival = None
        if loss.is_cuda:
            loss = loss.to("cpu", non_blocking=True)
            arrival = torch.cuda.Event()  # type: ignore[no-untyped-call]  # torch leaves it untyped
            arrival.record()
        self._watched.append(_Watched(loss, arrival, trainer.current_epoch, batch_idx))

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002  # Lightning's signature
        """Measure nothing of a run that has diverged."""
        self._look_at_all()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002  # Lightning's signature
        """Let no loss go unseen."""
        self._look_at_all()

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:  # noqa: ARG002  # Lightning's signature
        """Save nothing that is not finite.

        Raises:
            NonFiniteLossError: when a loss is infinite or not a number.
            NonFiniteWeightsError: when a parameter is.
        """
        self._look_at_all()
        parameters = {name: parameter for name, parameter in pl_module.named_parameters() if parameter.numel()}
        finite = [parameter.detach().isfinite().all() for parameter in parameters.values()]
        if finite and not torch.stack([flag.to(finite[0].device) for flag in finite]).all():
            name = next(name for name, flag in zip(parameters, finite, strict=True) if not flag)
            raise NonFiniteWeightsError(name, trainer.current_epoch)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:  # noqa: ARG002  # Lightning's signature
        """Forget the losses of a run that is over."""
        self._watched.clear()

    def _look_at_all(self) -> None:
        while self._watched:
            self._look_at_next()

    def _look_at_next(self) -> None:
        watched = self._watched.popleft()
        if watched.arrival is not None:
            watched.arrival.synchronize()
        _check(float(watched.loss), watched.epoch, watched.batch)


def _check(loss: float, epoch: int, batch: int) -> None:
    if not math.isfinite(loss):
        raise NonFiniteLossError(loss, epoch, batch)


def _has_arrived(watched: _Watched, trainer: Trainer) -> bool:
    """Whether looking means no waiting; of several processes each would say something else, so they all wait."""
    if watched.arrival is None:
        return False
    return trainer.world_size == 1 and bool(watched.arrival.query())  # type: ignore[no-untyped-call]  # likewise
