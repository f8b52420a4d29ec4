"""What can be configured about the digits task. Nothing here imports torch."""

import math
from collections.abc import Iterator
from dataclasses import field
from typing import Annotated, Literal

from annotated_types import Ge, Le, Lt, MaxLen, MinLen

from app.schemas.constraints import Fraction, NonEmptyText, NonNegativeFloat, PositiveInt
from app.schemas.datamodule import DataModuleConfig
from app.schemas.module import ModuleConfig
from app.schemas.registry import register
from app.schemas.schema import Finding, rule, schema
from app.schemas.task import Mode, TaskConfig

Dropout = Annotated[float, Ge(0), Lt(1)]
"""The share of activations set to zero in training; all of them would leave nothing to learn from."""


@register("task", "digits", target="app.tasks.digits.config.DigitsTaskConfig")
@schema
class DigitsTaskConfig(TaskConfig):
    """UCI's handwritten digits (Alpaydin and Kaynak, 1998): 1,797 grey images, carried by scikit-learn."""

    name: Literal["digits"] = "digits"
    """The task's folder in `app/tasks`; its modules, datamodules and experiments are named `digits/...`."""

    input_shape: tuple[Literal[1], Literal[8], Literal[8]] = (1, 8, 8)
    """Channels, height and width of an image; its values lie between 0 and 1."""

    num_classes: Literal[10] = 10
    """One class for each digit."""

    metrics: tuple[Literal["accuracy"], Literal["f1"]] = ("accuracy", "f1")
    """The share of images told right, and the F1 score averaged over the ten digits."""

    test_fingerprint: Literal["07f9a19c42615ce75fe8bfc79a9e88ba6a71b258b5bcbb649949c8183539cbee"] = (
        "07f9a19c42615ce75fe8bfc79a9e88ba6a71b258b5bcbb649949c8183539cbee"
    )
    """SHA-256 of the test split; testing on anything else is refused."""

    monitor: NonEmptyText = "val/loss"
    """The logged value that picks the best checkpoint: the loss, since on few images many epochs tie in accuracy."""

    mode: Mode = "min"
    """Whether the monitored value should be small (`min`) or large (`max`)."""


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


@schema
class DigitsModuleConfig(ModuleConfig):
    """What the modules of the task share."""

    model_config: CNNConfig | MLPConfig
    """Hyperparameters of the network."""

    label_smoothing: Annotated[float, Ge(0), Le(1)] = 0.0
    """Spread this share of each target over all classes in training (Szegedy et al., 2016), against overconfidence."""


@register("module", "digits/default", target="app.tasks.digits.module.CNNModule")
@register("module", "digits/cnn", target="app.tasks.digits.module.CNNModule")
@schema
class CNNModuleConfig(DigitsModuleConfig):
    """The convolutional network: the more accurate module, and the default."""

    model_config: CNNConfig = field(default_factory=CNNConfig)
    """Hyperparameters of the network."""


@register("module", "digits/mlp", target="app.tasks.digits.module.MLPModule")
@schema
class MLPModuleConfig(DigitsModuleConfig):
    """The multilayer perceptron: faster, and blind to which pixels are neighbours."""

    model_config: MLPConfig = field(default_factory=MLPConfig)
    """Hyperparameters of the network."""


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
