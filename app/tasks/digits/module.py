"""The modules that learn the digits: a perceptron, a convolutional network, and networks made of exchangeable parts."""

from torch import nn

from app.tasks.digits.config import CNNConfig, DigitsTaskConfig, MLPConfig
from app.tasks.digits.model import CNN, MLP
from app.tasks.shared.module import BaseModule


class MLPModule(BaseModule[MLPConfig, DigitsTaskConfig]):
    """A multilayer perceptron."""

    def initialize_model(self) -> nn.Module:
        """An `MLP` for the task's images."""
        return MLP(
            self.task.input_shape,
            self.task.num_classes,
            hidden_dims=self.model_config.hidden_dims,
            dropout=self.model_config.dropout,
        )


class CNNModule(BaseModule[CNNConfig, DigitsTaskConfig]):
    """A convolutional network."""

    def initialize_model(self) -> nn.Module:
        """A `CNN` for the task's images."""
        return CNN(
            self.task.input_shape,
            self.task.num_classes,
            channels=self.model_config.channels,
            dropout=self.model_config.dropout,
        )
