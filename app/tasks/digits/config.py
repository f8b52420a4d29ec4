"""What can be configured about the digits task. Nothing here imports torch."""

import math
from collections.abc import Iterator
from dataclasses import field
from typing import Annotated, Literal

from annotated_types import Ge, Le, Lt, MaxLen, MinLen

from app.schemas.constraints import Fraction, NonEmptyText, NonNegativeFloat, PositiveInt
from app.schemas.datamodule import DataModuleConfig
from app.schemas.metrics.classification import AccuracyConfig, F1Config
from app.schemas.metrics.metric import MetricConfig
from app.schemas.module import ModuleConfig
from app.schemas.parts.parts import PartsConfig
from app.schemas.phases import Mode
from app.schemas.registry import register
from app.schemas.rules import Finding, rule
from app.schemas.schema import schema
from app.schemas.task import TaskConfig

Dropout = Annotated[float, Ge(0), Lt(1)]
"""The share of activations set to zero in training; all of them would leave nothing to learn from."""


@register("task", "digits", target="app.tasks.digits.config.DigitsTaskConfig")
@schema
class DigitsTaskConfig(TaskConfig):
    """UCI's handwritten digits (Alpaydin and Kaynak, 1998): 1,797 grey images, carried by scikit-learn."""

    name: Literal["digits"] = "digits"
    """The task's folder in `app/tasks`; its modules, datamodules and experiments are named `digits/...`."""

    kind: Literal["multiclass"] = "multiclass"
    """Each image shows one digit."""

    input_shape: tuple[Literal[1], Literal[8], Literal[8]] = (1, 8, 8)
    """Channels, height and width of an image; its values lie between 0 and 1."""

    num_classes: Literal[10] = 10
    """One class for each digit."""

    test_fingerprint: Literal["07f9a19c42615ce75fe8bfc79a9e88ba6a71b258b5bcbb649949c8183539cbee"] = (
        "07f9a19c42615ce75fe8bfc79a9e88ba6a71b258b5bcbb649949c8183539cbee"
    )
    """SHA-256 of the test split; testing on anything else is refused."""

    monitor: NonEmptyText = "val/loss"
    """The logged value that picks the best checkpoint: the loss, since on few images many epochs tie in accuracy."""

    mode: Mode = "min"
    """Whether the monitored value should be small (`min`) or large (`max`)."""

    def fixed_metrics(self) -> dict[str, MetricConfig]:
        """The share of images told right, and the F1 score averaged over the ten digits."""
        return {
            "accuracy": AccuracyConfig(task=self.kind, num_classes=self.num_classes, average="micro"),
            "f1": F1Config(task=self.kind, num_classes=self.num_classes, average="macro"),
        }


@schema
class MLPConfig:
    """Hyperparameters of a multilayer perceptron over the image's pixels."""

    hidden_dims: tuple[PositiveInt, ...] = (128, 128)
    """Width of each hidden layer; none at all leaves a linear classifier."""

    dropout: Dropout = 0.1
    """Chance that an activation of a hidden layer is dropped in training."""


@schema
class CNNConfig:
    """Hyperparameters of a small convolutional network in the manner of VGG (Simonyan and Zisserman, 2015)."""

    channels: Annotated[tuple[PositiveInt, ...], MinLen(1), MaxLen(3)] = (32, 64)
    """Channels of each block; a block halves the image, so that three leave a single pixel of it."""

    dropout: Dropout = 0.2
    """Chance that a feature is dropped in training, before the last layer."""


@register("module", "digits/default", target="app.tasks.digits.module.CNNModule")
@register("module", "digits/cnn", target="app.tasks.digits.module.CNNModule")
@schema
class CNNModuleConfig(ModuleConfig):
    """The convolutional network: the more accurate module, and the default."""

    model_config: CNNConfig = field(default_factory=CNNConfig)
    """Hyperparameters of the network."""


@register("module", "digits/mlp", target="app.tasks.digits.module.MLPModule")
@schema
class MLPModuleConfig(ModuleConfig):
    """The multilayer perceptron: faster, and blind to which pixels are neighbours."""

    model_config: MLPConfig = field(default_factory=MLPConfig)
    """Hyperparameters of the network."""


@register(
    "module",
    "digits/parts",
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


@schema
class AugmentationConfig:
    """How far training images are changed at random, drawn anew for each image and epoch; all zeros change nothing."""

    max_rotation: Annotated[float, Ge(0), Le(180)] = 8.0
    """Largest turn to either side, in degrees; beyond 30 some digits turn into others."""

    max_shift: NonNegativeFloat = 0.3
    """Largest move along each axis, in pixels of the eight that an image is wide."""

    max_scale: Annotated[float, Ge(0), Lt(1)] = 0.08
    """Largest growth or shrinking, as a share of the image's size."""

    noise: NonNegativeFloat = 0.0
    """Standard deviation of the noise added to each pixel, whose values lie between 0 and 1."""


@register("datamodule", "digits/default", target="app.tasks.digits.datamodule.DigitsDataModule")
@schema
class DigitsDataModuleConfig(DataModuleConfig):
    """Every fifth image of each digit is the fixed test split; the others are split at random into train and val."""

    train_val_split: tuple[Fraction, Fraction] = (0.9, 0.1)
    """Shares of the images outside the test split that become train and val; they add up to 1."""

    train_fraction: Fraction = 1.0
    """The share of the training split that is used, to study learning from less data; val stays as it is."""

    augmentation: AugmentationConfig = field(default_factory=AugmentationConfig)
    """Random changes to the training images; the other splits are never changed."""

    @rule("train_val_split")
    def split_adds_up(self) -> Iterator[Finding]:
        """Anything left over would go unused without a word, and more than all there is cannot be had."""
        total = sum(self.train_val_split)
        if not math.isclose(total, 1, abs_tol=1e-6):
            yield "train_val_split", f"the shares must add up to 1, found {total:g}"
