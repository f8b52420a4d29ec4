"""Modules that serve every task: their sizes are the task's, so that one option fits whatever its data looks like."""

from dataclasses import field
from typing import ClassVar

from app.schemas.constraints import PartialShare, PositiveInt
from app.schemas.module import ModuleConfig
from app.schemas.parts.parts import PartsConfig
from app.schemas.registry import register
from app.schemas.schema import schema


@schema
class MLPConfig:
    """Hyperparameters of a multilayer perceptron."""

    hidden_dims: tuple[PositiveInt, ...] = (128, 128)
    """Width of each hidden layer; none at all leaves a linear model."""

    dropout: PartialShare = 0.1
    """Chance that an activation of a hidden layer is dropped in training."""

    batch_norm: bool = False
    """Normalise the sums of each hidden layer over the batch (Ioffe and Szegedy, 2015), before ReLU."""


@register("module", "mlp", target="app.tasks.shared.mlp_module.MLPModule")
@schema
class MLPModuleConfig(ModuleConfig):
    """A multilayer perceptron over the input's values: fast, and blind to which pixels of an image are neighbours."""

    dense: ClassVar = False

    model_config: MLPConfig = field(default_factory=MLPConfig)
    """Hyperparameters of the network."""


@register(
    "module",
    "parts",
    target="app.tasks.shared.parts_module.PartsModule",
    model_config={
        "backbone": {"id": "small_resnet"},
        "pooling": {"id": "average"},
        "head": {"id": "linear", "num_classes": "${task.num_classes}"},
    },
)
@schema
class PartsModuleConfig(ModuleConfig):
    """A network of exchangeable parts: `backbone=conv pooling=gem` puts in others."""

    model_config: PartsConfig
    """The parts; each can also be chosen through a group of its own."""

    def model_outputs(self) -> tuple[str, ...]:
        """What the head gives."""
        return self.model_config.output_keys()

    def model_targets(self) -> tuple[str, ...]:
        """What the head needs."""
        return self.model_config.target_keys()
