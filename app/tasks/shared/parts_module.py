"""`PartsModule`: a model of exchangeable parts, for any task whose inputs are images."""

from torch import Tensor, nn

from app.builders.models import build_network
from app.schemas.parts.parts import PartsConfig
from app.schemas.task import TaskConfig
from app.tasks.shared.datasets import Batch
from app.tasks.shared.module import BaseModule, targets_of


class PartsModule(BaseModule[PartsConfig, TaskConfig]):
    """Backbone, neck, pooling and head, as the config names them."""

    def initialize_model(self) -> nn.Module:
        """The parts in a row, from the channels of the task's images on."""
        return build_network(self.model_config, in_channels=self.task.input_shape[0])

    def kept_model_config(self) -> PartsConfig:
        """The config without first weights: a checkpoint brings all weights, and those may be gone by then."""
        return self.model_config.without_weights()

    def model_outputs(self, batch: Batch) -> dict[str, Tensor]:
        """The model's outputs; in training some heads look at the targets too."""
        return self.named(self.model(batch[0], targets_of(batch) if self.training else None))
