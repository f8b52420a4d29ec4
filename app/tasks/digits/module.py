"""The modules that learn the digits: cross-entropy over a perceptron or a convolutional network."""

from collections.abc import Mapping
from typing import Any, TypeVar

from torch import Tensor, nn
from torch.nn import functional

from app.schemas.optimizers import OptimizerSpec
from app.schemas.schedulers import SchedulerSpec
from app.tasks.digits.config import CNNConfig, DigitsTaskConfig, MLPConfig
from app.tasks.digits.model import CNN, MLP
from app.tasks.shared.module import BaseModule

ModelConfigT = TypeVar("ModelConfigT")


class DigitsModule(BaseModule[ModelConfigT, DigitsTaskConfig]):
    """What the modules of the task share: the loss."""

    def __init__(
        self,
        model_config: ModelConfigT | Mapping[str, Any],
        optimizer_spec: OptimizerSpec | Mapping[str, Any],
        scheduler_spec: SchedulerSpec | Mapping[str, Any] | None,
        task: DigitsTaskConfig | Mapping[str, Any],
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(model_config, optimizer_spec, scheduler_spec, task)
        self.label_smoothing = label_smoothing
        self.save_hyperparameters({"label_smoothing": label_smoothing})

    def compute_loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Cross-entropy; smoothed in training only, so that evaluation losses compare across runs."""
        smoothing = self.label_smoothing if self.training else 0.0
        return functional.cross_entropy(outputs, targets, label_smoothing=smoothing)


class MLPModule(DigitsModule[MLPConfig]):
    """A multilayer perceptron."""

    def initialize_model(self) -> nn.Module:
        """An `MLP` for the task's images."""
        return MLP(
            self.task.input_shape,
            self.task.num_classes,
            hidden_dims=self.model_config.hidden_dims,
            dropout=self.model_config.dropout,
        )


class CNNModule(DigitsModule[CNNConfig]):
    """A convolutional network."""

    def initialize_model(self) -> nn.Module:
        """A `CNN` for the task's images."""
        return CNN(
            self.task.input_shape,
            self.task.num_classes,
            channels=self.model_config.channels,
            dropout=self.model_config.dropout,
        )
