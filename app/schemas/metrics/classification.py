"""Metrics of classification that compare labels: from counts of right and wrong, and from the confusion matrix.

Those that look at how sure a model was are in `ranking.py`. Targets are class indices, `(batch, ...)`, or zeros and
ones, `(batch, labels, ...)`, where a sample has any number of labels.

On a GPU, what counts the classes apart (all averages but `micro`, and the confusion matrix) waits for the device at
each step, since `torch.bincount` does.
"""

from collections.abc import Iterator, Mapping
from typing import ClassVar, Literal

from app.schemas.codes import Code
from app.schemas.constraints import PositiveFloat, PositiveInt, Probability
from app.schemas.metrics.metric import MetricConfig, each
from app.schemas.phases import Mode
from app.schemas.problems import show
from app.schemas.registry import register
from app.schemas.rules import Finding, remark, rule
from app.schemas.schema import schema

Kind = Literal["binary", "multiclass", "multilabel"]
KindWithoutLabels = Literal["binary", "multiclass"]
KindWithClasses = Literal["multiclass", "multilabel"]
Average = Literal["micro", "macro", "weighted", "none"]

FROM_TASK = {"task": "${task.kind}", "num_classes": "${task.num_classes}"}
"""What a metric of classification learns from the run's task."""

WITH_LABELS = {**FROM_TASK, "num_labels": "${task.num_classes}"}
"""The same where a task may also ask for several labels of a sample."""


@schema
class ClassificationConfig(MetricConfig):
    """A metric of classification, of one of several kinds.

    Torchmetrics would tell logits from probabilities by their range, batch by batch; so what compares scores with a
    threshold, or with each other across samples, is given `probabilities`.
    """

    abstract: ClassVar = True
    arguments: ClassVar[Mapping[str, str]] = {"preds": "probabilities", "target": "target"}

    from_largest_score: ClassVar[bool] = False
    """Whether only the order of a sample's scores counts where one class is right, for which logits do as well."""

    taken_by: ClassVar[Mapping[str, tuple[Kind, ...]]] = {
        "threshold": ("binary", "multilabel"),
        "average": ("multiclass", "multilabel"),
        "top_k": ("multiclass",),
        "max_fpr": ("binary",),
        "multiclass_mode": ("multiclass",),
    }
    """The fields that not every kind has a use for."""

    task: Kind
    """What a target says: yes or no, one of several classes, or any number of labels."""

    num_classes: PositiveInt | None = None
    """How many classes there are to choose from; needed where one of several is right."""

    ignore_index: int | None = None
    """A target that stands for "unknown"; samples that have it are left out. Costs a wait for the device each step."""

    @rule("task", "num_classes", "num_labels")
    def sizes_are_known(self) -> Iterator[Finding]:
        """Torchmetrics finds this out with a traceback, or not before the first batch."""
        name = {"multiclass": "num_classes", "multilabel": "num_labels"}.get(self.task)
        if name is not None:
            count = getattr(self, name)
            if count is None or count < 2:
                yield name, f"a {self.task} metric needs to know how many there are, 2 or more; found {show(count)}"

    @remark(Code.UNUSED)
    def sizes_are_asked_for(self) -> Iterator[Finding]:
        """Each kind of metric looks at one of them, or at none."""
        for name, kind in (("num_classes", "multiclass"), ("num_labels", "multilabel")):
            if self.task != kind and hasattr(self, name):
                yield name, f"has no effect on a {self.task} metric"

    @rule("task", "threshold", "average", "top_k", "max_fpr", "multiclass_mode", code=Code.UNUSED)
    def fields_have_an_effect(self) -> Iterator[Finding]:
        """A value that the metric of this kind does not take would be dropped in silence."""
        for name, kinds in self.taken_by.items():
            if hasattr(self, name) and self.task not in kinds:
                default = type(self).__dataclass_fields__[name].default
                if getattr(self, name) != default:
                    found = show(getattr(self, name))
                    yield name, f"has no effect on a {self.task} metric; leave it at {show(default)}, found {found}"

    @rule("top_k", "num_classes")
    def top_k_leaves_something_out(self) -> Iterator[Finding]:
        """With all classes among the best, every prediction is right."""
        top_k = getattr(self, "top_k", 1)
        if self.task == "multiclass" and self.num_classes is not None and top_k >= max(self.num_classes, 2):
            yield "top_k", f"must be below num_classes={self.num_classes}, found {top_k}"

    def output_of(self) -> dict[str, str]:
        """The output that goes into each argument."""
        scores = "logits" if self.from_largest_score and self.task == "multiclass" else "probabilities"
        return {**self.arguments, "preds": scores, **self.mapping}

    def num_parts(self) -> int:
        """How many values there are before averaging: one for each class or label."""
        sizes = {"multiclass": self.num_classes, "multilabel": getattr(self, "num_labels", None)}
        return sizes.get(self.task) or 1

    def is_averaged(self) -> bool:
        """Whether there is one value for all classes or labels."""
        return self.task == "binary" or getattr(self, "average", "none") not in ("none", None)


@schema
class CountsConfig(ClassificationConfig):
    """A metric made of the counts of true and false positives and negatives.

    Those of one kind that count alike share one update in each step.
    """

    abstract: ClassVar = True
    from_largest_score: ClassVar[bool] = True

    average: Average = "micro"
    """All classes together (`micro`), their mean (`macro`), weighted by their sizes, or each by itself (`none`).

    Where one of several classes is right, micro averages of accuracy, precision, recall and F1 are the same number.
    """

    top_k: PositiveInt = 1
    """How many of the most probable classes may hold the right one."""

    threshold: Probability = 0.5
    """The probability from which on a label counts as predicted."""

    num_labels: PositiveInt | None = None
    """How many labels a sample may have; needed where it may have any number."""

    multidim_average: Literal["global", "samplewise"] = "global"
    """Over all positions of all samples, or for each sample on its own, which gives a table instead of a number."""

    def results(self, name: str) -> dict[str, Mode | None]:
        """One number, or one for each class."""
        if self.table or self.multidim_average == "samplewise":
            return {}
        return {name: self.better} if self.is_averaged() else each(name, self.num_parts(), self.better)


@register("metrics", "accuracy", target="torchmetrics.classification.Accuracy", **WITH_LABELS)
@schema
class AccuracyConfig(CountsConfig):
    """The share of predictions that are right; with `average=macro`, the mean recall of the classes."""


@register("metrics", "precision", target="torchmetrics.classification.Precision", **WITH_LABELS)
@schema
class PrecisionConfig(CountsConfig):
    """The share of what was found that is right: true positives of all predicted positives."""


@register("metrics", "recall", target="torchmetrics.classification.Recall", **WITH_LABELS)
@schema
class RecallConfig(CountsConfig):
    """The share of what is right that was found: true positives of all actual positives."""


@register("metrics", "specificity", target="torchmetrics.classification.Specificity", **WITH_LABELS)
@schema
class SpecificityConfig(CountsConfig):
    """The share of actual negatives that were taken for such."""


@register(
    "metrics",
    "negative_predictive_value",
    target="torchmetrics.classification.NegativePredictiveValue",
    **WITH_LABELS,
)
@schema
class NegativePredictiveValueConfig(CountsConfig):
    """The share of predicted negatives that are such."""


@register("metrics", "f1", target="torchmetrics.classification.F1Score", **WITH_LABELS)
@schema
class F1Config(CountsConfig):
    """The harmonic mean of precision and recall."""

    zero_division: Probability = 0.0
    """The value of a class that was neither predicted nor there."""


@register("metrics", "fbeta", target="torchmetrics.classification.FBetaScore", **WITH_LABELS)
@schema
class FBetaConfig(CountsConfig):
    """The harmonic mean of precision and recall, with recall counting `beta` times as much."""

    beta: PositiveFloat = 1.0
    """How much more recall matters than precision; below 1 precision matters more."""

    zero_division: Probability = 0.0
    """The value of a class that was neither predicted nor there."""


@register("metrics", "hamming_distance", target="torchmetrics.classification.HammingDistance", **WITH_LABELS)
@schema
class HammingDistanceConfig(CountsConfig):
    """The share of labels that are wrong."""

    better: ClassVar[Mode | None] = "min"


@register("metrics", "stat_scores", target="torchmetrics.classification.StatScores", **WITH_LABELS)
@schema
class StatScoresConfig(CountsConfig):
    """The counts themselves, as a table: true and false positives, true and false negatives, actual positives."""

    better: ClassVar[Mode | None] = None
    table: ClassVar[tuple[str, ...]] = ("counts",)


@register("metrics", "exact_match", target="torchmetrics.classification.ExactMatch", **WITH_LABELS)
@schema
class ExactMatchConfig(ClassificationConfig):
    """The share of samples of which everything is right: all labels, or all positions."""

    from_largest_score: ClassVar[bool] = True

    task: KindWithClasses
    """What a target says: one of several classes at each position, or any number of labels."""

    threshold: Probability = 0.5
    """The probability from which on a label counts as predicted."""

    num_labels: PositiveInt | None = None
    """How many labels a sample may have; needed where it may have any number."""

    multidim_average: Literal["global", "samplewise"] = "global"
    """Over all samples, or for each on its own, which gives a table instead of a number."""

    def results(self, name: str) -> dict[str, Mode | None]:
        """One number, unless each sample has its own."""
        return {name: self.better} if self.multidim_average == "global" else {}


@register("metrics", "jaccard_index", target="torchmetrics.classification.JaccardIndex", **WITH_LABELS)
@schema
class JaccardIndexConfig(ClassificationConfig):
    """What prediction and truth have in common, as a share of both together (intersection over union)."""

    from_largest_score: ClassVar[bool] = True

    average: Average = "macro"
    """All classes together (`micro`), their mean (`macro`), weighted by their sizes, or each by itself (`none`)."""

    threshold: Probability = 0.5
    """The probability from which on a label counts as predicted."""

    num_labels: PositiveInt | None = None
    """How many labels a sample may have; needed where it may have any number."""

    def results(self, name: str) -> dict[str, Mode | None]:
        """One number, or one for each class."""
        return {name: self.better} if self.is_averaged() else each(name, self.num_parts(), self.better)


@register("metrics", "matthews_corr_coef", target="torchmetrics.classification.MatthewsCorrCoef", **WITH_LABELS)
@schema
class MatthewsCorrCoefConfig(ClassificationConfig):
    """The correlation of predictions and targets: 1 is right, 0 is chance, -1 is wrong throughout."""

    from_largest_score: ClassVar[bool] = True

    threshold: Probability = 0.5
    """The probability from which on a label counts as predicted."""

    num_labels: PositiveInt | None = None
    """How many labels a sample may have; needed where it may have any number."""


@register("metrics", "cohen_kappa", target="torchmetrics.classification.CohenKappa", **FROM_TASK)
@schema
class CohenKappaConfig(ClassificationConfig):
    """How far predictions and targets agree beyond chance: 1 is full agreement, 0 is chance."""

    from_largest_score: ClassVar[bool] = True

    task: KindWithoutLabels
    """What a target says: yes or no, or one of several classes."""

    weights: Literal["linear", "quadratic", "none"] | None = None
    """Whether classes that are further apart count as a graver mistake, for classes that have an order."""

    threshold: Probability = 0.5
    """The probability from which on the answer is yes."""


@register("metrics", "confusion_matrix", target="torchmetrics.classification.ConfusionMatrix", **WITH_LABELS)
@schema
class ConfusionMatrixConfig(ClassificationConfig):
    """How often each class was taken for which, as a table: a row for each target, a column for each prediction."""

    from_largest_score: ClassVar[bool] = True
    better: ClassVar[Mode | None] = None
    table: ClassVar[tuple[str, ...]] = ("matrix",)

    normalize: Literal["true", "pred", "all", "none"] | None = None
    """Shares instead of counts: of each row (`true`), of each column (`pred`) or of everything (`all`)."""

    threshold: Probability = 0.5
    """The probability from which on a label counts as predicted."""

    num_labels: PositiveInt | None = None
    """How many labels a sample may have; each has a matrix of its own."""
