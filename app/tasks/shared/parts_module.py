"""Modules whose model is a network of exchangeable parts: `PartsModule` for any task, and what others share with it."""

from abc import ABC
from typing import Generic, TypeVar, cast

from torch import Tensor

from app.builders.models import build_network
from app.models.network import PartsNetwork
from app.schemas.parts.parts import PartsConfig
from app.schemas.task import TaskConfig
from app.tasks.shared.datasets import Batch
from app.tasks.shared.general_module import GeneralModule
from app.tasks.shared.module import BaseModule, TaskConfigT, targets_of

PartsConfigT = TypeVar("PartsConfigT", bound=PartsConfig)


class OfParts(BaseModule[PartsConfigT, TaskConfigT], ABC, Generic[PartsConfigT, TaskConfigT]):
    """Inherit it first: a config of parts, the network that they make, and what that one puts out."""

    def network(self) -> PartsNetwork:
        """The parts in a row, from the shape of the task's inputs on."""
        return build_network(self.model_config, self.task.input_shape)

    def kept_model_config(self) -> PartsConfigT:
        """The config without first weights: a checkpoint brings all weights, and those may be gone by then."""
        return cast(PartsConfigT, self.model_config.without_weights())

    def model_outputs(self, batch: Batch) -> dict[str, Tensor]:
        """The model's outputs; in training some heads look at the targets too."""
        return self.named(self.model(batch[0], targets_of(batch) if self.training else None))


class PartsModule(OfParts[PartsConfig, TaskConfig], GeneralModule[PartsConfig]):
    """Backbone, neck, pooling and head, as the config names them."""
