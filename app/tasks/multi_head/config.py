"""What can be configured about the multi-head task. Nothing here imports torch."""

from collections.abc import Iterator, Mapping
from dataclasses import field
from typing import ClassVar, Final, Literal

from app.schemas.augmentations.augmentation import AugmentationConfig
from app.schemas.augmentations.images import RandomAffineConfig
from app.schemas.batch import BatchSpec, TensorSpec
from app.schemas.constraints import NonEmptyText
from app.schemas.image_files import IMAGE_ENDINGS
from app.schemas.metrics.classification import AccuracyConfig, F1Config
from app.schemas.metrics.metric import MetricConfig
from app.schemas.module import ModuleConfig
from app.schemas.modules import MLPConfig
from app.schemas.parts.parts import PartsConfig
from app.schemas.phases import Mode
from app.schemas.problems import show
from app.schemas.registry import register
from app.schemas.rules import Finding, rule
from app.schemas.schema import schema
from app.schemas.splitting import SplitConfig
from app.schemas.task import TaskConfig, TaskKind

HEADS: Final[Mapping[str, int]] = {"digit": 10, "parity": 2, "loops": 3}
"""The targets, each with a head of its own, and how many classes they have."""


@register("task", "multi_head", target="app.tasks.multi_head.config.MultiHeadTaskConfig")
@schema
class MultiHeadTaskConfig(TaskConfig):
    """Three things at once of the images of the task digits, tested on the same fixed split.

    `digit`, from 0 to 9; `parity`, 1 where it is odd; and `loops`, how many closed loops it is drawn with: 2 in the 8,
    1 in 0, 6 and 9, none in the others (the 4 is written open).
    """

    name: Literal["multi_head"] = "multi_head"
    """The task's folder in `app/tasks`; its modules, datamodules and experiments are named `multi_head/...`."""

    kind: Literal["multiclass"] = "multiclass"
    """Each target is one of several classes."""

    input_shape: tuple[Literal[1], Literal[8], Literal[8]] = (1, 8, 8)
    """Channels, height and width of an image; its values lie between 0 and 1."""

    num_classes: Literal[10] = 10
    """One class for each digit; the other targets have 2 and 3."""

    test_fingerprint: Literal["fe59681ba9b4f53936b501209f66a600e3c3471c6ab7d92119ad3964bb890943"] = (
        "fe59681ba9b4f53936b501209f66a600e3c3471c6ab7d92119ad3964bb890943"
    )
    """SHA-256 of the test split; testing on anything else is refused."""

    monitor: NonEmptyText = "val/loss"
    """The logged value that picks the best checkpoint: the mean of the heads' losses, unless they are weighted."""

    mode: Mode = "min"
    """Whether the monitored value should be small (`min`) or large (`max`)."""

    def fixed_metrics(self) -> dict[str, MetricConfig]:
        """For each target the share told right, and for the digit F1 averaged over the ten."""
        accuracies: dict[str, MetricConfig] = {
            f"{target}_accuracy": AccuracyConfig(
                task=self.kind, num_classes=count, average="micro", mapping=_mapping("preds", target)
            )
            for target, count in HEADS.items()
        }
        digit_f1 = F1Config(
            task=self.kind, num_classes=HEADS["digit"], average="macro", mapping=_mapping("preds", "digit")
        )
        return {**accuracies, "digit_f1": digit_f1}


def _mapping(scores: str, target: str) -> dict[str, str]:
    """A target and the scores of its head, which go into the argument `scores`."""
    return {scores: f"{target}_logits", "target": target}


@schema
class HeadsModuleConfig(ModuleConfig):
    """A module with a cross entropy for each head, of equal weight at first."""

    abstract: ClassVar = True
    default_losses: ClassVar[Mapping[str, Mapping[str, object]]] = {
        f"{target}_loss": {"id": "cross_entropy", "mapping": _mapping("input", target)} for target in HEADS
    }

    def model_outputs(self) -> tuple[str, ...]:
        """The scores of each head."""
        return tuple(f"{target}_logits" for target in HEADS)

    def output_keys(self, kind: TaskKind) -> tuple[str, ...]:
        """The scores, and what they say in probabilities and decide on."""
        said = (f"{target}_{what}" for target in HEADS for what in ("probabilities", "class"))
        return (*super().output_keys(kind), *said)


@register(
    "module",
    "multi_head/default",
    target="app.tasks.multi_head.module.PartsHeadsModule",
    model_config={
        "backbone": {"id": "conv"},
        "pooling": {"id": "average"},
        "head": {
            "id": "multi",
            "heads": {target: {"id": "linear", "num_classes": count} for target, count in HEADS.items()},
        },
    },
)
@schema
class PartsHeadsModuleConfig(HeadsModuleConfig):
    """A network of exchangeable parts with three heads: `backbone=conv_mixer` puts in another backbone."""

    model_config: PartsConfig
    """The parts; each can also be chosen through a group of its own."""

    @rule("model_config")
    def heads_have_a_place_for_each_class(self) -> Iterator[Finding]:
        """A score too few has no place for a class, and one too many is learnt as what never happens."""
        heads: Mapping[str, object] = getattr(self.model_config.head, "heads", {})
        for target, head in heads.items():
            right, found = HEADS.get(target), getattr(head, "num_classes", None)
            if None not in (right, found) and found != right:
                where = ("model_config", "head", "heads", target, "num_classes")
                yield where, f"expected {right}, as the target '{target}' has, found {show(found)}"

    def model_outputs(self) -> tuple[str, ...]:
        """What the heads give."""
        return self.model_config.output_keys()

    def model_targets(self) -> tuple[str, ...]:
        """What the heads need."""
        return self.model_config.target_keys()


@register("module", "multi_head/mlp", target="app.tasks.multi_head.module.MLPHeadsModule")
@schema
class MLPHeadsModuleConfig(HeadsModuleConfig):
    """A multilayer perceptron whose last hidden layer all heads start from."""

    model_config: MLPConfig = field(default_factory=MLPConfig)
    """Hyperparameters of the network."""


@register("datamodule", "multi_head/default", target="app.tasks.multi_head.datamodule.MultiHeadDataModule")
@schema
class MultiHeadDataModuleConfig(SplitConfig):
    """The images of the task digits with three targets; the test split is the same."""

    input_endings: ClassVar[tuple[str, ...]] = IMAGE_ENDINGS

    augmentations: dict[str, AugmentationConfig] = field(
        default_factory=lambda: {"random_affine": RandomAffineConfig(max_rotation=8.0, max_shift=0.3, max_scale=0.08)}
    )
    """Small turns, moves and changes of size: beyond 30 degrees some digits turn into others."""

    def target_keys(self) -> tuple[str, ...]:
        """Each target by its name."""
        return tuple(HEADS)

    def batch(self, task: TaskConfig) -> BatchSpec:
        """Images `(1, 8, 8)`, and a class for each target."""
        targets = {
            target: TensorSpec(shape=(), dtype="int64", low=0, high=count - 1) for target, count in HEADS.items()
        }
        return BatchSpec(input=TensorSpec(shape=task.input_shape), targets=targets)
