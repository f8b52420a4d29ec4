"""The losses that torch has not; their classes are in `app.losses`."""

from collections.abc import Iterator
from typing import ClassVar

from app.schemas.constraints import NonNegativeFloat, OpenShare, PositiveFloat
from app.schemas.losses.loss import LossConfig
from app.schemas.losses.torch_losses import Factors, Reduction
from app.schemas.registry import register
from app.schemas.rules import Finding, rule
from app.schemas.schema import schema
from app.schemas.task import ClassKind


@register("loss", "dice", target="app.losses.dice.DiceLoss", kind="${task.kind}")
@schema
class DiceConfig(LossConfig):
    """Soft Dice (Milletari et al., 2016): one minus the overlap with the target, whatever the regions' size."""

    takes: ClassVar = {"input": ("logits", "log_probabilities")}

    kind: ClassKind = "multiclass"
    """What a target says of a pixel: one of several classes (softmax), yes or no, or any number of labels (sigmoid)."""

    smooth: PositiveFloat = 1.0
    """Added above and below the fraction bar, in pixels, so that a class which is nowhere is no division by zero."""

    squared: bool = False
    """Square the terms below the fraction bar as Milletari et al. do: flatter where the model is unsure."""

    generalized: bool = False
    """Weigh classes by the inverse square of their size (Sudre et al., 2017) instead of alike."""

    per_sample: bool = False
    """Measure the overlap in each sample instead of the batch as a whole, in which rare classes are steadier."""

    include_background: bool = True
    """Count class 0 too; without it a large background cannot hide what is wrong with the rest."""

    ignore_index: int | None = None
    """The target value of pixels that count for nothing; null counts all."""

    @rule("kind", "include_background")
    def background_is_a_class(self) -> Iterator[Finding]:
        """Only among several classes is one of them the background."""
        if not self.include_background and self.kind != "multiclass":
            yield "include_background", f"false leaves out class 0 of several, but kind is '{self.kind}'; expected true"

    @rule("kind", "generalized")
    def classes_can_be_weighed(self) -> Iterator[Finding]:
        """One class alone has the same weight whatever its size."""
        if self.generalized and self.kind == "binary":
            yield "generalized", "weighs several classes, and a binary target has one; expected false"


@register("loss", "focal", target="app.losses.focal.FocalLoss", kind="${task.kind}")
@schema
class FocalConfig(LossConfig):
    """Focal loss (Lin et al., 2017): cross entropy in which samples that are told right already count for little."""

    takes: ClassVar = {"input": ("logits", "log_probabilities")}

    kind: ClassKind = "multiclass"
    """What a target says: one of several classes (softmax), yes or no, or any number of labels (sigmoid)."""

    gamma: NonNegativeFloat = 2.0
    """How fast a sample counts less as it is told right with more confidence; 0 is cross entropy."""

    alpha: OpenShare | None = None
    """The weight of positives, that of negatives being the rest: 0.25 in the paper; null weighs both with 1."""

    class_weights: Factors | None = None
    """How much each of several classes counts; null weighs all alike."""

    ignore_index: int = -100
    """The target value that counts for nothing, such as the padding of a mask."""

    reduction: Reduction = "mean"
    """How the values make one: their mean, weighted by the classes' weights, or their sum."""

    @rule("kind", "alpha", "class_weights")
    def weights_suit_the_kind(self) -> Iterator[Finding]:
        """Positives and negatives are of sigmoid targets, several classes of softmax ones."""
        if self.kind == "multiclass" and self.alpha is not None:
            yield "alpha", "weighs positives against negatives, and kind is 'multiclass'; class_weights weigh classes"
        if self.kind != "multiclass" and self.class_weights is not None:
            yield "class_weights", f"weigh several classes, and kind is '{self.kind}'; alpha weighs the positives"

    @rule("class_weights")
    def some_class_counts(self) -> Iterator[Finding]:
        """With nothing but zeros there is nothing to learn."""
        if self.class_weights is not None and not any(self.class_weights):
            yield "class_weights", "leaves no class that counts; expected one above 0 at least"


@register("loss", "contrastive", target="app.losses.contrastive.ContrastiveLoss")
@schema
class ContrastiveConfig(LossConfig):
    """Pairs of embeddings (Hadsell et al., 2006): close where the target is 1, a margin apart where it is 0."""

    arguments: ClassVar = {"input1": "embedding", "input2": "other_embedding", "target": "target"}

    margin: PositiveFloat = 1.0
    """The distance beyond which a pair of unlike samples counts for nothing."""

    reduction: Reduction = "mean"
    """How the pairs' values make one: their mean or their sum."""


@register("loss", "ntxent", target="app.losses.contrastive.NTXentLoss")
@schema
class NTXentConfig(LossConfig):
    """SimCLR's loss (Chen et al., 2020): of all samples in the batch, find the other view of the same one."""

    arguments: ClassVar = {"input1": "embedding", "input2": "other_embedding"}

    temperature: PositiveFloat = 0.5
    """The unit of similarity: low ones look at the most similar samples only; the paper's best are 0.1 to 0.5."""


@register("loss", "supervised_contrastive", target="app.losses.contrastive.SupervisedContrastiveLoss")
@schema
class SupervisedContrastiveConfig(LossConfig):
    """Supervised contrastive loss (Khosla et al., 2020): of all samples in the batch, find those of the same class."""

    arguments: ClassVar = {"input": "embedding", "target": "target"}

    temperature: PositiveFloat = 0.1
    """The unit of similarity: low ones look at the most similar samples only."""
