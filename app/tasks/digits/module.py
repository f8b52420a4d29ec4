"""The module that learns the digits; others that serve every task do so too."""

from torch import nn

from app.tasks.digits.config import CNNConfig, DigitsTaskConfig
from app.tasks.digits.model import CNN
from app.tasks.shared.module import BaseModule


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
