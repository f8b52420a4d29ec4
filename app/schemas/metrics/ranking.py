"""Metrics of classification that look at how sure a model was: curves, areas below them, calibration, margins.

Curves keep every prediction of an epoch unless `thresholds` are given, and are exact for it.
"""

from collections.abc import Iterator, Mapping
from typing import Annotated, ClassVar, Literal

from annotated_types import Ge, Le, MinLen

from app.schemas.constraints import LARGEST_INT, Fraction, PositiveInt, Probability
from app.schemas.metrics.classification import (
    FROM_TASK,
    WITH_LABELS,
    Average,
    ClassificationConfig,
    Kind,
    KindWithoutLabels,
)
from app.schemas.metrics.metric import MetricConfig, each
from app.schemas.phases import Mode
from app.schemas.registry import register
from app.schemas.rules import Finding, rule
from app.schemas.schema import schema

AtLeastTwo = Annotated[int, Ge(2), Le(LARGEST_INT)]
Thresholds = AtLeastTwo | Annotated[tuple[Probability, ...], MinLen(1)] | None


@schema
class CurveConfig(ClassificationConfig):
    """A metric of the curve that two rates describe as the threshold moves."""

    abstract: ClassVar = True

    thresholds: Thresholds = None
    """How many thresholds to try, evenly spaced, or which; null tries every prediction, which are all kept for it."""

    num_labels: PositiveInt | None = None
    """How many labels a sample may have; needed where it may have any number."""


@schema
class AreaConfig(CurveConfig):
    """An area below a curve."""

    abstract: ClassVar = True

    average: Average = "macro"
    """The mean over the classes (`macro`), weighted by their sizes, or each class on its own (`none`)."""

    @rule("task", "average")
    def micro_is_for_labels(self) -> Iterator[Finding]:
        """Torchmetrics has it for labels only."""
        if self.task == "multiclass" and self.average == "micro":
            yield "average", "'micro' is for multilabel metrics; expected 'macro', 'weighted' or 'none'"

    def results(self, name: str) -> dict[str, Mode | None]:
        """One number, or one for each class."""
        return {name: self.better} if self.is_averaged() else each(name, self.num_parts(), self.better)


@register("metrics", "auroc", target="torchmetrics.classification.AUROC", **WITH_LABELS)
@schema
class AUROCConfig(AreaConfig):
    """The chance that a sample of a class scores higher for it than one of another: the area under the ROC curve."""

    max_fpr: Fraction | None = None
    """Look at false positive rates up to this one only, rescaled so that chance is 0.5 and perfection 1."""


@register("metrics", "average_precision", target="torchmetrics.classification.AveragePrecision", **WITH_LABELS)
@schema
class AveragePrecisionConfig(AreaConfig):
    """Precision averaged over recall: the area under the precision-recall curve, telling where positives are rare."""


@register("metrics", "eer", target="torchmetrics.classification.EER", **WITH_LABELS)
@schema
class EERConfig(CurveConfig):
    """The equal error rate: where the curve has as many false positives as false negatives, in shares."""

    better: ClassVar[Mode | None] = "min"
    taken_by: ClassVar[Mapping[str, tuple[Kind, ...]]] = {"average": ("multiclass",)}

    average: Literal["micro", "macro"] | None = None
    """Over all classes at once, or of their mean curve; null logs each."""

    def results(self, name: str) -> dict[str, Mode | None]:
        """One number, or one for each class."""
        return {name: self.better} if self.is_averaged() else each(name, self.num_parts(), self.better)


@register("metrics", "log_auc", target="torchmetrics.classification.LogAUC", **WITH_LABELS)
@schema
class LogAUCConfig(CurveConfig):
    """The area under the ROC curve drawn over the logarithm of the false positive rate; one for each class.

    It tells where only the first few hits count, as in screening.
    """

    fpr_range: tuple[Fraction, Fraction] = (0.001, 0.1)
    """The false positive rates from which and up to which the area is taken."""

    @rule("fpr_range")
    def range_rises(self) -> Iterator[Finding]:
        """There is no area between a rate and itself."""
        if self.fpr_range[0] >= self.fpr_range[1]:
            yield "fpr_range", f"must rise, found {list(self.fpr_range)}"

    def results(self, name: str) -> dict[str, Mode | None]:
        """One number, or one for each class."""
        return {name: self.better} if self.is_averaged() else each(name, self.num_parts(), self.better)


@register("metrics", "roc", target="torchmetrics.classification.ROC", **WITH_LABELS)
@schema
class ROCConfig(CurveConfig):
    """The curve of true over false positive rates, as a table."""

    better: ClassVar[Mode | None] = None
    table: ClassVar[tuple[str, ...]] = ("fpr", "tpr", "thresholds")


@register("metrics", "precision_recall_curve", target="torchmetrics.classification.PrecisionRecallCurve", **WITH_LABELS)
@schema
class PrecisionRecallCurveConfig(CurveConfig):
    """The curve of precision over recall, as a table."""

    better: ClassVar[Mode | None] = None
    table: ClassVar[tuple[str, ...]] = ("precision", "recall", "thresholds")


@schema
class OperatingPointConfig(CurveConfig):
    """The best value on a curve under a condition, and the threshold at which it is reached.

    Logged as `<name>` and `<name>_threshold`, each followed by `/<class>` where there are several.
    """

    abstract: ClassVar = True

    def results(self, name: str) -> dict[str, Mode | None]:
        """The value and the threshold."""
        if self.task == "binary":
            return {name: self.better, f"{name}_threshold": None}
        count = self.num_parts()
        return {**each(name, count, self.better), **each(f"{name}_threshold", count, None)}


@register(
    "metrics", "precision_at_fixed_recall", target="torchmetrics.classification.PrecisionAtFixedRecall", **WITH_LABELS
)
@schema
class PrecisionAtFixedRecallConfig(OperatingPointConfig):
    """The highest precision that still finds a given share of what there is."""

    min_recall: Probability
    """The share of actual positives that must be found."""


@register(
    "metrics", "recall_at_fixed_precision", target="torchmetrics.classification.RecallAtFixedPrecision", **WITH_LABELS
)
@schema
class RecallAtFixedPrecisionConfig(OperatingPointConfig):
    """The largest share found while a given share of the findings is right."""

    min_precision: Probability
    """The share of predicted positives that must be right."""


@register(
    "metrics",
    "sensitivity_at_specificity",
    target="torchmetrics.classification.SensitivityAtSpecificity",
    **WITH_LABELS,
)
@schema
class SensitivityAtSpecificityConfig(OperatingPointConfig):
    """The largest share of positives found while a given share of negatives is left alone."""

    min_specificity: Probability
    """The share of actual negatives that must be taken for such."""


@register(
    "metrics",
    "specificity_at_sensitivity",
    target="torchmetrics.classification.SpecificityAtSensitivity",
    **WITH_LABELS,
)
@schema
class SpecificityAtSensitivityConfig(OperatingPointConfig):
    """The largest share of negatives left alone while a given share of positives is found."""

    min_sensitivity: Probability
    """The share of actual positives that must be found."""


@register("metrics", "calibration_error", target="torchmetrics.classification.CalibrationError", **FROM_TASK)
@schema
class CalibrationErrorConfig(ClassificationConfig):
    """How far the probability of a prediction is from how often such predictions are right (Guo et al., 2017)."""

    better: ClassVar[Mode | None] = "min"

    task: KindWithoutLabels
    """What a target says: yes or no, or one of several classes."""

    n_bins: PositiveInt = 15
    """Into how many bins of equal width the probabilities are sorted; more need more samples."""

    norm: Literal["l1", "l2", "max"] = "l1"
    """The mean error over the bins, the root of the mean square, or the largest."""


@register("metrics", "hinge_loss", target="torchmetrics.classification.HingeLoss", **FROM_TASK)
@schema
class HingeLossConfig(ClassificationConfig):
    """By how much the right answer misses a margin of 1 over the wrong ones, of probabilities.

    Torchmetrics turns scores outside 0 to 1 into probabilities first, so margins of raw scores cannot be measured.
    """

    better: ClassVar[Mode | None] = "min"

    task: KindWithoutLabels
    """What a target says: yes or no, or one of several classes."""

    squared: bool = False
    """Square what is missing, which makes large misses count more."""

    multiclass_mode: Literal["crammer-singer", "one-vs-all"] = "crammer-singer"
    """Against the best wrong class, or each class against the rest, which gives a number for each."""

    def results(self, name: str) -> dict[str, Mode | None]:
        """One number, or one for each class."""
        if self.task == "multiclass" and self.multiclass_mode == "one-vs-all":
            return each(name, self.num_classes, self.better)
        return {name: self.better}


@schema
class LabelRankingConfig(MetricConfig):
    """A metric of how the labels of a sample are ranked, where it may have any number of them."""

    abstract: ClassVar = True
    arguments: ClassVar[Mapping[str, str]] = {"preds": "probabilities", "target": "target"}
    kinds: ClassVar[tuple[str, ...] | None] = ("multilabel",)

    num_labels: AtLeastTwo
    """How many labels a sample may have."""

    ignore_index: int | None = None
    """A target that stands for "unknown", which is left out."""


_LABELS = {"num_labels": "${task.num_classes}"}


@register(
    "metrics",
    "multilabel_coverage_error",
    target="torchmetrics.classification.MultilabelCoverageError",
    **_LABELS,
)
@schema
class MultilabelCoverageErrorConfig(LabelRankingConfig):
    """How far down the ranking one has to go to meet all labels that a sample has."""

    better: ClassVar[Mode | None] = "min"


@register(
    "metrics",
    "multilabel_ranking_average_precision",
    target="torchmetrics.classification.MultilabelRankingAveragePrecision",
    **_LABELS,
)
@schema
class MultilabelRankingAveragePrecisionConfig(LabelRankingConfig):
    """The share of right labels among those ranked above each right one, on average."""


@register(
    "metrics",
    "multilabel_ranking_loss",
    target="torchmetrics.classification.MultilabelRankingLoss",
    **_LABELS,
)
@schema
class MultilabelRankingLossConfig(LabelRankingConfig):
    """The share of pairs of a right and a wrong label that are ranked the wrong way round."""

    better: ClassVar[Mode | None] = "min"


@schema
class GroupsConfig(MetricConfig):
    """A metric of yes-or-no predictions that compares groups of samples, such as people of different origin."""

    abstract: ClassVar = True
    arguments: ClassVar[Mapping[str, str]] = {"preds": "probabilities", "target": "target", "groups": "groups"}
    kinds: ClassVar[tuple[str, ...] | None] = ("binary",)

    num_groups: AtLeastTwo
    """How many groups there are; the output `groups` holds the index of each sample's."""

    threshold: Probability = 0.5
    """The probability from which on the answer is yes."""

    ignore_index: int | None = None
    """A target that stands for "unknown"; samples that have it are left out."""


@register("metrics", "binary_fairness", target="torchmetrics.classification.BinaryFairness")
@schema
class BinaryFairnessConfig(GroupsConfig):
    """The rate of the worst-off group as a share of the best-off one's: 1 is fair.

    Logged as `<name>_demographic_parity` (of positive predictions) and `<name>_equal_opportunity` (of true positives).
    """

    task: Literal["equal_opportunity", "all"] = "all"
    """Which rates are compared; the first alone warns of its target at each step in torchmetrics, and is left out."""

    def results(self, name: str) -> dict[str, Mode | None]:
        """One number, or two."""
        names = ("demographic_parity", "equal_opportunity") if self.task == "all" else (self.task,)
        return {f"{name}_{criterion}": self.better for criterion in names}


# Hydra takes `_group_` in the name of an option for an old keyword of its own.
@register("metrics", "group_stat_rates", target="torchmetrics.classification.BinaryGroupStatRates")
@schema
class BinaryGroupStatRatesConfig(GroupsConfig):
    """The shares of true and false positives, true and false negatives in each group, as a table."""

    better: ClassVar[Mode | None] = None
    table: ClassVar[tuple[str, ...]] = ("groups",)
