"""`BaseModule`: everything about training, evaluation and checkpoints that the modules of all tasks share."""

import inspect
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar, Generic, TypeVar

from lightning.pytorch import LightningModule
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn
from torch.optim import Optimizer
from torchmetrics import Metric

from app.builders.losses import build_joint_loss
from app.builders.metrics import build_metrics
from app.builders.optimizers import build_optimizers
from app.metrics.named_metric import NamedMetric
from app.metrics.split_metrics import SplitMetrics
from app.metrics.tables import keep_table
from app.schemas.losses.joint import JointLossConfig
from app.schemas.metrics.metric import MetricConfig
from app.schemas.optimization import NamedOptimizerSpec
from app.schemas.optimizers import OptimizerSpec
from app.schemas.phases import Phase
from app.schemas.plain import to_plain
from app.schemas.schedulers import SchedulerSpec
from app.schemas.task import TaskConfig
from app.tasks.shared.datamodule import BaseDataModule
from app.tasks.shared.datasets import Batch
from app.tasks.shared.manual_optimization import ClipAlgorithm, ManualOptimization
from app.tasks.shared.restoring import restored
from app.tasks.shared.scores import as_targets_are

ModelConfigT = TypeVar("ModelConfigT")
TaskConfigT = TypeVar("TaskConfigT", bound=TaskConfig)

Outputs = Mapping[str, Tensor]
"""What a step puts out, by name; the first dimension of each tensor is the batch."""


class BaseModule(LightningModule, ABC, Generic[ModelConfigT, TaskConfigT]):
    """A model with its losses, metrics, optimizers and schedulers.

    A task's module implements `initialize_model`. What its steps put out is named (`step_outputs`), and the losses and
    metrics of the config pick what they need by name. It may add losses in training (`extra_losses`) and metrics on
    any split (`extra_metrics`), and override any of the steps without touching the others.

    Each argument is a schema object, or the plain container that a checkpoint keeps of it, so that
    `Module.load_from_checkpoint(path)` needs nothing else. The containers are visible as `self.hparams`.
    """

    output: ClassVar[str] = "logits"
    """What the model's output is called, when it is one tensor instead of a mapping of named ones."""

    def __init__(
        self,
        model_config: ModelConfigT | Mapping[str, Any],
        optimizer_spec: OptimizerSpec | Mapping[str, Any],
        scheduler_spec: SchedulerSpec | Mapping[str, Any] | None,
        task: TaskConfigT | Mapping[str, Any],
        joint_loss: JointLossConfig | Mapping[str, Any],
        metrics: Mapping[str, MetricConfig | Mapping[str, Any]] | None = None,
        optimizers: Mapping[str, NamedOptimizerSpec | Mapping[str, Any]] | None = None,
        compute_loss_on_valid: bool = True,
    ) -> None:
        super().__init__()
        self.model_config: ModelConfigT = restored(model_config)
        self.optimizer_spec: OptimizerSpec = restored(optimizer_spec)
        self.scheduler_spec: SchedulerSpec | None = None if scheduler_spec is None else restored(scheduler_spec)
        self.task: TaskConfigT = restored(task)
        loss_config: JointLossConfig = restored(joint_loss)
        self._metrics: dict[str, MetricConfig] = {name: restored(metric) for name, metric in (metrics or {}).items()}
        self.further_optimizers: dict[str, NamedOptimizerSpec] = {
            name: restored(spec) for name, spec in (optimizers or {}).items()
        }
        self.compute_loss_on_valid = compute_loss_on_valid
        # Checkpoints are read with `weights_only`, which takes plain containers and no schema objects.
        self.save_hyperparameters(
            {
                "model_config": to_plain(self.kept_model_config()),
                "optimizer_spec": to_plain(self.optimizer_spec),
                "scheduler_spec": None if self.scheduler_spec is None else to_plain(self.scheduler_spec),
                "task": to_plain(self.task),
                "joint_loss": to_plain(loss_config),
                "metrics": {name: to_plain(metric) for name, metric in self._metrics.items()},
                "optimizers": {name: to_plain(spec) for name, spec in self.further_optimizers.items()},
                "compute_loss_on_valid": compute_loss_on_valid,
            }
        )
        computed = (*loss_config.losses.values(), *self._metrics.values(), *self.task.fixed_metrics().values())
        self._asked_for = {name for config in computed for name in config.output_of().values()}
        self.joint_loss = build_joint_loss(loss_config)
        self.train_metrics = self._metrics_of("train")
        self.val_metrics = self._metrics_of("val")
        self.test_metrics = self._metrics_of("test")
        self.model = self.initialize_model()
        self._manual: ManualOptimization | None = None
        if self.further_optimizers:
            self.optimize_manually()

    def optimize_manually(
        self,
        *,
        accumulate_grad_batches: int = 1,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: ClipAlgorithm | None = None,
    ) -> None:
        """Step the optimizers here instead of leaving that to Lightning, which can do it for one only.

        Lightning's Trainer then takes neither accumulation nor clipping: they are arguments here.
        """
        self.automatic_optimization = False
        self._manual = ManualOptimization(
            self.scheduler_spec,
            self.further_optimizers,
            accumulate_grad_batches=accumulate_grad_batches,
            gradient_clip_val=gradient_clip_val,
            gradient_clip_algorithm=gradient_clip_algorithm,
        )

    def __setattr__(self, name: str, value: Any) -> None:
        """Set an attribute.

        Lightning notes the name of each hook as it is called, some fifty times in a step, and `nn.Module` looks among
        parameters and modules first. It is set past that; under another name it would be set as ever.
        """
        if name == "_current_fx_name":
            vars(self)[name] = value
        else:
            super().__setattr__(name, value)

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

    def kept_model_config(self) -> ModelConfigT:
        """What checkpoints keep of the model's config: enough to make a model that takes their weights."""
        return self.model_config

    def extra_losses(self, outputs: Outputs, batch: Batch) -> dict[str, Tensor]:  # noqa: ARG002  # for overriding
        """Losses to add in training, by the name each is logged under, as `train/<name>`; none unless overridden.

        List them in the `logged_metrics` of the module's config if runs shall be able to monitor them.
        """
        return {}

    def extra_metrics(self, phase: Phase) -> dict[str, Metric]:  # noqa: ARG002  # for overriding
        """Metrics to log in a phase beside the run's own, by name; none unless overridden.

        List them in the `logged_metrics` of the module's config if runs shall be able to monitor them.
        """
        return {}

    def forward(self, inputs: Tensor) -> dict[str, Tensor]:
        """The model's outputs for a batch of inputs, by name."""
        return self.named(self.model(inputs))

    def model_outputs(self, batch: Batch) -> dict[str, Tensor]:
        """The model's outputs for a batch, by name; for modules whose model looks at more than the inputs."""
        outputs: dict[str, Tensor] = self(batch[0])
        return outputs

    def step_outputs(self, batch: Batch) -> dict[str, Tensor]:
        """Everything that the losses and metrics of a step may be computed from, by name.

        The model's outputs, `input`, and `target`, or each of the batch's targets under its own name when these are a
        mapping. `probabilities` and `classes` come from `logits`, if a loss or metric asks for them.
        """
        outputs = self.model_outputs(batch)
        if "probabilities" in self._asked_for and "probabilities" not in outputs:
            outputs["probabilities"] = self.probabilities(outputs["logits"])
        if "classes" in self._asked_for and "classes" not in outputs:
            outputs["classes"] = self.classes(outputs["logits"])
        return {**outputs, "input": batch[0], **targets_of(batch)}

    def named(self, outputs: Tensor | Outputs) -> dict[str, Tensor]:
        """What a model gives, by name, its scores in the form of the task's targets."""
        by_name = {self.output: outputs} if isinstance(outputs, Tensor) else outputs
        return as_targets_are(by_name, self.task.kind)

    def probabilities(self, logits: Tensor) -> Tensor:
        """What the model's scores say in probabilities; over the classes where one of several is right."""
        found: Tensor = logits.softmax(dim=1) if self.task.kind == "multiclass" else logits.sigmoid()
        return found

    def classes(self, logits: Tensor) -> Tensor:
        """What the model's scores decide on: the one class, or yes (1) and no (0) for each."""
        found: Tensor = logits.argmax(dim=1) if self.task.kind == "multiclass" else (logits > 0).long()
        return found

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """The loss to minimise: the joint loss and the extra ones added up."""
        outputs = self.step_outputs(batch)
        loss, terms = self.joint_loss(outputs, "train")
        extra = self.extra_losses(outputs, batch)
        loss = sum(extra.values(), start=loss)
        self.train_metrics.update(_logged(loss, terms) | extra, outputs, len(batch[0]))
        if self._manual is not None:
            return self._manual.step(self, loss, self.joint_loss.shares(terms) | extra, batch_idx)
        return loss

    # Lightning asks for it at every step, and it would be made out anew each time.
    training_step.__signature__ = inspect.signature(training_step)  # type: ignore[attr-defined]

    def validation_step(self, batch: Batch, batch_idx: int, dataloader_idx: int = 0) -> None:  # noqa: ARG002  # Lightning's signature
        """Measure one batch of the val split."""
        self._evaluate(batch, self.val_metrics, dataloader_idx, with_loss=self.compute_loss_on_valid)

    def test_step(self, batch: Batch, batch_idx: int, dataloader_idx: int = 0) -> None:  # noqa: ARG002  # Lightning's signature
        """Measure one batch of the test split."""
        self._evaluate(batch, self.test_metrics, dataloader_idx)

    def predict_step(self, batch: Batch, batch_idx: int, dataloader_idx: int = 0) -> dict[str, Tensor]:  # noqa: ARG002  # Lightning's signature
        """The model's outputs for one batch, by name; its targets are not looked at."""
        outputs: dict[str, Tensor] = self(batch[0])
        if "logits" in outputs:
            outputs.setdefault("probabilities", self.probabilities(outputs["logits"]))
        return outputs

    def on_train_start(self) -> None:
        """Forget the sanity check's batches: they say nothing about the epoch that starts."""
        self.val_metrics.reset()

    def on_validation_start(self) -> None:
        """Tell the val split's datasets apart, if there are several."""
        self._name_dataloaders(self.val_metrics)

    def on_test_start(self) -> None:
        """Tell the test split's datasets apart, if there are several."""
        self._name_dataloaders(self.test_metrics)

    def on_train_epoch_end(self) -> None:
        """Log the epoch's loss and metrics on train."""
        self._log(self.train_metrics)
        if self._manual is not None:
            self._manual.end_epoch(self)

    def on_validation_epoch_end(self) -> None:
        """Log the loss and metrics on val."""
        self._log(self.val_metrics)

    def on_test_epoch_end(self) -> None:
        """Log the loss and metrics on test."""
        self._log(self.test_metrics)

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """The optimizer that `optimizer_spec` describes and the further ones, with their schedulers."""
        if self._manual is not None:
            self._manual.start(self.trainer)
        return build_optimizers(
            self.optimizer_spec,
            self.scheduler_spec,
            self.further_optimizers,
            self.model,
            # Asking the trainer makes it load the training data first, so it is asked only by who needs the answer.
            run_steps=lambda: self.trainer.estimated_stepping_batches,
            manual=self._manual is not None,
        )

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        """Clip the gradients, where Lightning does not."""
        if self._manual is not None:
            self._manual.clip(self, optimizer)

    def teardown(self, stage: str) -> None:
        """Leave the trainer as it was."""
        if self._manual is not None and stage == "fit":
            self._manual.finish(self.trainer)

    def _metrics_of(self, phase: Phase) -> SplitMetrics:
        chosen = {**self.task.fixed_metrics(), **self._metrics}
        metrics = build_metrics({name: config for name, config in chosen.items() if phase in config.phases})
        extra = {
            name: NamedMetric(metric=metric, results=(name,)) for name, metric in self.extra_metrics(phase).items()
        }
        return SplitMetrics(phase, metrics | extra)

    def _name_dataloaders(self, metrics: SplitMetrics) -> None:
        datamodule = getattr(self.trainer, "datamodule", None)
        if isinstance(datamodule, BaseDataModule):
            metrics.name_dataloaders(datamodule.datamodule_config.dataset_names(metrics.split))

    def _evaluate(self, batch: Batch, metrics: SplitMetrics, dataloader_idx: int, *, with_loss: bool = True) -> None:
        outputs = self.step_outputs(batch)
        has_terms = with_loss and bool(self.joint_loss.tags(metrics.split))
        losses = _logged(*self.joint_loss(outputs, metrics.split)) if has_terms else {}
        metrics.update(losses, outputs, len(batch[0]), dataloader_idx)

    def _log(self, metrics: SplitMetrics) -> None:
        values = metrics.compute()
        for name, table in metrics.tables().items():
            keep_table(self.trainer, name, table)
        metrics.reset()
        if self.trainer.barebones:
            return  # Lightning logs nothing then, and would warn that it was asked to
        # Torchmetrics has already brought the processes together; `sync_dist` tells Lightning that the values agree.
        self.log_dict(values, prog_bar=True, sync_dist=True)


def targets_of(batch: Batch) -> Mapping[str, Tensor]:
    """A batch's targets by name; a single one is called `target`."""
    targets: Tensor | Mapping[str, Tensor] = batch[1]
    return {"target": targets} if isinstance(targets, Tensor) else targets


def _logged(total: Tensor, terms: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A joint loss as it is logged: one term alone is the total."""
    return {"loss": total, **terms} if len(terms) > 1 else {"loss": total}
