"""What is added to a task's `config.py`."""

from dataclasses import field

from app.schemas.constraints import NonNegativeInt, PartialShare, PositiveInt
from app.schemas.module import ModuleConfig
from app.schemas.registry import register
from app.schemas.schema import schema


@schema
class NewModelConfig:
    """Hyperparameters of a network of residual blocks."""

    width: PositiveInt = 64
    """Features of each block."""

    num_blocks: NonNegativeInt = 2
    """How many blocks follow each other; none at all leaves a linear model."""

    dropout: PartialShare = 0.1
    """Chance that a feature is dropped in training."""


@register("module", "new_task/new_model", target="app.scaffold.templates.new_model.module.NewModelModule")
@schema
class NewModelModuleConfig(ModuleConfig):
    """A network of residual blocks over all values of the input."""

    model_config: NewModelConfig = field(default_factory=NewModelConfig)
    """Hyperparameters of the network."""
