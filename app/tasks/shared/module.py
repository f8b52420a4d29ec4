"""`BaseModule`: everything about training, evaluation and checkpoints that the modules of all tasks share."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Generic, TypeVar

from lightning.pytorch import LightningModule
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn
from torchmetrics import Metric

from app.builders.metrics import build_metrics
from app.builders.optimizers import build_optimizer
from app.builders.schedulers import lightning_scheduler
from app.schemas.optimizers import OptimizerSpec
from app.schemas.plain import to_plain
from app.schemas.problems import AppError
from app.schemas.schedulers import OneCycleLRSpec, SchedulerSpec
from app.schemas.task import Split, TaskConfig
from app.tasks.shared.datasets import Batch
from app.tasks.shared.restoring import restored
from app.tasks.shared.split_metrics import SplitMetrics

ModelConfigT = TypeVar("ModelConfigT")
TaskConfigT = TypeVar("TaskConfigT", bound=TaskConfig)


class NonFiniteLossError(AppError):
    """Training has diverged."""

    def __init__(self, loss: float, epoch: int) -> None:
        self.loss, self.epoch = loss, epoch
        super().__init__(
            f"train/loss is {loss} in epoch {epoch}: training has diverged; a smaller optimizer_spec.lr helps"
        )

    def __reduce__(self) -> tuple[type["NonFiniteLossError"], tuple[float, int]]:
        return type(self), (self.loss, self.epoch)


class BaseModule(LightningModule, ABC, Generic[ModelConfigT, TaskConfigT]):
    """A model with its loss, metrics, optimizer and scheduler.

    A task's module implements `initialize_model` and `compute_loss`. It may add losses in training (`extra_losses`)
    and metrics on any split (`extra_metrics`), and override any of the steps without touching the others.

    Each argument is a schema object, or the plain container that a checkpoint keeps of it, so that
    `Module.load_from_checkpoint(path)` needs nothing else. The containers are visible as `self.hparams`.
    """

    def __init__(
        self,
        model_config: ModelConfigT | Mapping[str, Any],
        optimizer_spec: OptimizerSpec | Mapping[str, Any],
        scheduler_spec: SchedulerSpec | Mapping[str, Any] | None,
        task: TaskConfigT | Mapping[str, Any],
    ) -> None:
        super().__init__()
        self.model_config: ModelConfigT = restored(model_config)
        self.optimizer_spec: OptimizerSpec = restored(optimizer_spec)
        self.scheduler_spec: SchedulerSpec | None = None if scheduler_spec is None else restored(scheduler_spec)
        self.task: TaskConfigT = restored(task)
        # Checkpoints are read with `weights_only`, which takes plain containers and no schema objects.
        self.save_hyperparameters(
            {
                "model_config": to_plain(self.model_config),
                "optimizer_spec": to_plain(self.optimizer_spec),
                "scheduler_spec": None if self.scheduler_spec is None else to_plain(self.scheduler_spec),
                "task": to_plain(self.task),
            }
        )
        self.train_metrics = self._metrics_of("train")
        self.val_metrics = self._metrics_of("val")
        self.test_metrics = self._metrics_of("test")
        self.model = self.initialize_model()

    @property
    def lr(self) -> float:
        """The optimizer's learning rate, where Lightning's learning-rate finder looks for it and puts what it found."""
        return self.optimizer_spec.lr

    @lr.setter
    def lr(self, value: float) -> None:
        self.optimizer_spec = replace(self.optimizer_spec, lr=value)

    @abstractmethod
    def initialize_model(self) -> nn.Module:
        """A new model, made from `self.model_config` and `self.task`."""

    @abstractmethod
    def compute_loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The loss of a batch, a mean over its samples; `self.training` tells training from evaluation."""

    def extra_losses(self, outputs: Tensor, batch: Batch) -> dict[str, Tensor]:  # noqa: ARG002  # for overriding
        """Losses to add in training, by the name each is logged under, as `train/<name>`; none unless overridden."""
        return {}

    def extra_metrics(self, split: Split) -> dict[str, Metric]:  # noqa: ARG002  # for overriding
        """Metrics to log on a split beside the task's own, by name; none unless overridden.

        List them in the `logged_metrics` of the module's config if runs shall be able to monitor them.
        """
        return {}

    def forward(self, inputs: Tensor) -> Tensor:
        """The model's outputs for a batch of inputs."""
        outputs: Tensor = self.model(inputs)
        return outputs

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:  # noqa: ARG002  # Lightning's signature
        """The loss to minimise: the task's and the extra ones added up."""
        inputs, targets = batch
        outputs = self(inputs)
        loss = self.compute_loss(outputs, targets)
        extra = self.extra_losses(outputs, batch)
        for value in extra.values():
            loss = loss + value
        self.train_metrics.update({"loss": loss, **extra}, outputs, targets)
        return loss

    def validation_step(self, batch: Batch, batch_idx: int) -> None:  # noqa: ARG002  # Lightning's signature
        """Measure one batch of the val split."""
        self._evaluate(batch, self.val_metrics)

    def test_step(self, batch: Batch, batch_idx: int) -> None:  # noqa: ARG002  # Lightning's signature
        """Measure one batch of the test split."""
        self._evaluate(batch, self.test_metrics)

    def predict_step(self, batch: Batch, batch_idx: int) -> Tensor:  # noqa: ARG002  # Lightning's signature
        """The model's outputs for one batch, whose targets are not looked at."""
        outputs: Tensor = self(batch[0])
        return outputs

    def on_train_start(self) -> None:
        """Forget the sanity check's batches: they say nothing about the epoch that starts."""
        self.val_metrics.reset()

    def on_train_epoch_end(self) -> None:
        """Log the epoch's loss and metrics on train.

        Raises:
            NonFiniteLossError: when the loss is not a number any more: nothing that follows could be.
        """
        loss = self._log(self.train_metrics).get("train/loss")
        if loss is not None and not loss.isfinite():
            raise NonFiniteLossError(float(loss), self.current_epoch)

    def on_validation_epoch_end(self) -> None:
        """Log the loss and metrics on val."""
        self._log(self.val_metrics)

    def on_test_epoch_end(self) -> None:
        """Log the loss and metrics on test."""
        self._log(self.test_metrics)

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """The optimizer that `optimizer_spec` describes, and the scheduler if there is one."""
        optimizer = build_optimizer(self.optimizer_spec, self.model)
        if self.scheduler_spec is None:
            return optimizer
        # Asking the trainer makes it load the training data first, so it is asked only by who needs the answer.
        needs_length = isinstance(self.scheduler_spec, OneCycleLRSpec) and self.scheduler_spec.length is None
        run_steps = self.trainer.estimated_stepping_batches if needs_length else None
        scheduler = lightning_scheduler(self.scheduler_spec, optimizer, run_steps=run_steps)
        return {"optimizer": optimizer, "lr_scheduler": scheduler}

    def _metrics_of(self, split: Split) -> SplitMetrics:
        return SplitMetrics(split, {**build_metrics(self.task), **self.extra_metrics(split)})

    def _evaluate(self, batch: Batch, metrics: SplitMetrics) -> None:
        inputs, targets = batch
        outputs = self(inputs)
        metrics.update({"loss": self.compute_loss(outputs, targets)}, outputs, targets)

    def _log(self, metrics: SplitMetrics) -> dict[str, Tensor]:
        values = metrics.compute()
        metrics.reset()
        if self.trainer.barebones:
            return values  # Lightning logs nothing then, and would warn that it was asked to
        # Torchmetrics has already brought the processes together; `sync_dist` tells Lightning that the values agree.
        self.log_dict(values, prog_bar=True, sync_dist=True)
        return values
