"""The module that learns the task; those that serve every task, such as `mlp`, do so too."""

from torch import nn

from app.scaffold.templates.new_task.config import NetworkConfig, NewTaskTaskConfig
from app.scaffold.templates.new_task.model import Network
from app.tasks.shared.module import BaseModule


class NetworkModule(BaseModule[NetworkConfig, NewTaskTaskConfig]):
    """The task's own network."""

    def initialize_model(self) -> nn.Module:
        """A `Network` for the task's inputs."""
        return Network(
            self.task.input_shape,
            self.task.num_classes,
            width=self.model_config.width,
            dropout=self.model_config.dropout,
        )
