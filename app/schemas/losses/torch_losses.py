"""Every loss of `torch.nn`, by its name there without "loss": `cross_entropy` is `CrossEntropyLoss`.

Torch's `size_average` and `reduce` are old names for `reduction`, which lacks "none": a term is one number.
"""

from collections.abc import Iterator
from typing import Annotated, ClassVar, Final, Literal

from annotated_types import Ge, Le, MinLen

from app.schemas.codes import Code
from app.schemas.constraints import (
    AtLeastOne,
    NonNegativeFloat,
    NonNegativeInt,
    PartialShare,
    PositiveFloat,
)
from app.schemas.losses.loss import LossConfig
from app.schemas.registry import register
from app.schemas.rules import Finding, remark, rule
from app.schemas.schema import schema

LEFT_OUT: Final = {
    "NLLLoss2d": "an old name of NLLLoss",
    "AdaptiveLogSoftmaxWithLoss": "holds the classifier's weights and puts out two tensors: the head of a model",
    "LinearCrossEntropyLoss": "holds the classifier's weights; a linear head with cross_entropy is the same",
}
"""Losses of `torch.nn` that are no options, each with the reason."""

Reduction = Literal["mean", "sum"]
Factors = Annotated[tuple[NonNegativeFloat, ...], MinLen(1)]
Cosine = Annotated[float, Ge(-1), Le(1)]


@schema
class ReducedLoss(LossConfig):
    """Losses that come from as many values as there are samples or elements."""

    abstract: ClassVar = True

    reduction: Reduction = "mean"
    """How the values make one: their mean, or their sum, which grows with the batch as the gradients then do."""


@schema
class ClassWeightedLoss(ReducedLoss):
    """Losses in which classes can count differently."""

    abstract: ClassVar = True

    class_weights: Factors | None = None
    """How much each class counts, torch's `weight`; more for rare ones balances them, null weighs all alike."""

    @rule("class_weights")
    def some_class_counts(self) -> Iterator[Finding]:
        """With nothing but zeros there is nothing to learn, and the mean would be 0/0."""
        if self.class_weights is not None and not any(self.class_weights):
            yield "class_weights", "leaves no class that counts; expected one above 0 at least"


@schema
class ElementwiseLoss(ReducedLoss):
    """Losses that compare a prediction to a target, value by value."""

    abstract: ClassVar = True
    arguments: ClassVar = {"input": "prediction", "target": "target"}
    same_shape: ClassVar = ("input", "target")
    real_valued: ClassVar = ("target",)


@register("loss", "cross_entropy", target="torch.nn.CrossEntropyLoss")
@schema
class CrossEntropyConfig(ClassWeightedLoss):
    """Cross entropy of class scores `(batch, classes, …)` to classes `(batch, …)` or to probabilities of them."""

    kinds: ClassVar = ("multiclass",)
    takes: ClassVar = {"input": ("logits", "log_probabilities")}

    label_smoothing: PartialShare = 0.0
    """Spread this share of each target over all classes (Szegedy et al., 2016), against overconfidence."""

    ignore_index: int = -100
    """The target value that counts for nothing, such as the padding of a mask."""


@register("loss", "nll", target="torch.nn.NLLLoss")
@schema
class NLLConfig(ClassWeightedLoss):
    """Negative log likelihood: cross entropy of what are log-probabilities already."""

    arguments: ClassVar = {"input": "log_probabilities", "target": "target"}
    kinds: ClassVar = ("multiclass",)
    takes: ClassVar = {"input": ("log_probabilities",)}

    ignore_index: int = -100
    """The target value that counts for nothing, such as the padding of a mask."""


@register("loss", "bce_with_logits", target="torch.nn.BCEWithLogitsLoss")
@schema
class BCEWithLogitsConfig(ClassWeightedLoss):
    """Binary cross entropy of scores to targets of 0 and 1, or shares between: for yes or no, and for many labels."""

    same_shape: ClassVar = ("input", "target")
    real_valued: ClassVar = ("target",)
    kinds: ClassVar = ("binary", "multilabel")
    takes: ClassVar = {"input": ("logits",)}

    pos_weight: Factors | None = None
    """How much each label's positives count beside its negatives; above 1 finds more of them, less precisely."""


@register("loss", "bce", target="torch.nn.BCELoss")
@schema
class BCEConfig(ClassWeightedLoss):
    """Binary cross entropy of probabilities; of scores, `bce_with_logits` is the more exact one."""

    arguments: ClassVar = {"input": "probabilities", "target": "target"}
    same_shape: ClassVar = ("input", "target")
    real_valued: ClassVar = ("target",)
    kinds: ClassVar = ("binary", "multilabel")
    takes: ClassVar = {"input": ("probabilities",)}


@register("loss", "mse", target="torch.nn.MSELoss")
@schema
class MSEConfig(ElementwiseLoss):
    """The squared error: the mean is what it leads to, and outliers count most."""


@register("loss", "l1", target="torch.nn.L1Loss")
@schema
class L1Config(ElementwiseLoss):
    """The absolute error: the median is what it leads to, and outliers count as far as they are off."""


@register("loss", "smooth_l1", target="torch.nn.SmoothL1Loss")
@schema
class SmoothL1Config(ElementwiseLoss):
    """Squared for small errors and absolute for large ones (Girshick, 2015); the slope of these stays 1."""

    beta: NonNegativeFloat = 1.0
    """The error at which one becomes the other; 0 is `l1`."""


@register("loss", "huber", target="torch.nn.HuberLoss")
@schema
class HuberConfig(ElementwiseLoss):
    """Squared for small errors and absolute for large ones (Huber, 1964); the slope of these is `delta`."""

    delta: PositiveFloat = 1.0
    """The error at which one becomes the other."""


@register("loss", "poisson_nll", target="torch.nn.PoissonNLLLoss")
@schema
class PoissonNLLConfig(ReducedLoss):
    """Negative log likelihood of counts, whose rate is predicted."""

    arguments: ClassVar = {"log_input": "prediction", "target": "target"}
    same_shape: ClassVar = ("log_input", "target")

    log_input: bool = True
    """Take the prediction for the rate's logarithm, which may have any sign; false takes it for the rate itself."""

    full: bool = False
    """Add Stirling's approximation of the term that depends on the target alone: other values, the same gradients."""

    eps: PositiveFloat = 1e-8
    """Guard against the logarithm of 0 when the rate itself is predicted."""

    @remark(Code.UNUSED)
    def guard_is_needed(self) -> Iterator[Finding]:
        """The exponential of a logarithm is never 0."""
        if self.log_input:
            yield "eps", "has an effect with log_input=false only"


@register("loss", "gaussian_nll", target="torch.nn.GaussianNLLLoss")
@schema
class GaussianNLLConfig(ReducedLoss):
    """Negative log likelihood of values, whose mean and variance are predicted (Nix and Weigend, 1994)."""

    arguments: ClassVar = {"input": "prediction", "target": "target", "var": "variance"}
    same_shape: ClassVar = ("input", "target")

    full: bool = False
    """Add the constant term of the likelihood: other values, the same gradients."""

    eps: PositiveFloat = 1e-6
    """The smallest variance that is believed, for stability."""


@register("loss", "kl_div", target="torch.nn.KLDivLoss")
@schema
class KLDivConfig(LossConfig):
    """Kullback-Leibler divergence of predicted log-probabilities from a target distribution, as in distillation."""

    arguments: ClassVar = {"input": "log_probabilities", "target": "target"}
    same_shape: ClassVar = ("input", "target")
    takes: ClassVar = {"input": ("log_probabilities",)}

    reduction: Literal["batchmean", "mean", "sum"] = "batchmean"
    """How the values make one; only `batchmean` is the divergence, `mean` divides it by the number of classes too."""

    log_target: bool = False
    """Take the targets for log-probabilities too."""


@register("loss", "soft_margin", target="torch.nn.SoftMarginLoss")
@schema
class SoftMarginConfig(ReducedLoss):
    """The logistic loss of scores to targets of 1 and -1."""

    same_shape: ClassVar = ("input", "target")
    kinds: ClassVar = ()  # no task of ours says yes and no by 1 and -1
    takes: ClassVar = {"input": ("logits",)}


@register("loss", "hinge_embedding", target="torch.nn.HingeEmbeddingLoss")
@schema
class HingeEmbeddingConfig(ReducedLoss):
    """Distances of pairs: small where the target is 1, beyond a margin where it is -1."""

    arguments: ClassVar = {"input": "distance", "target": "target"}
    same_shape: ClassVar = ("input", "target")

    margin: PositiveFloat = 1.0
    """The distance beyond which a pair of unlike samples counts for nothing."""


@register("loss", "cosine_embedding", target="torch.nn.CosineEmbeddingLoss")
@schema
class CosineEmbeddingConfig(ReducedLoss):
    """Pairs of embeddings: alike in direction where the target is 1, unlike where it is -1."""

    arguments: ClassVar = {"input1": "embedding", "input2": "other_embedding", "target": "target"}
    same_shape: ClassVar = ("input1", "input2")

    margin: Cosine = 0.0
    """The cosine below which a pair of unlike samples counts for nothing; torch advises 0 to 0.5."""


@register("loss", "margin_ranking", target="torch.nn.MarginRankingLoss")
@schema
class MarginRankingConfig(ReducedLoss):
    """Pairs of scores: the first is to be the larger one where the target is 1, the second where it is -1."""

    arguments: ClassVar = {"input1": "scores", "input2": "other_scores", "target": "target"}
    same_shape: ClassVar = ("input1", "input2", "target")

    margin: NonNegativeFloat = 0.0
    """How far apart two scores have to be."""


@register("loss", "multi_margin", target="torch.nn.MultiMarginLoss")
@schema
class MultiMarginConfig(ClassWeightedLoss):
    """The hinge loss of several classes: the right one's score is to be above the others by a margin."""

    kinds: ClassVar = ("multiclass",)

    p: Literal[1, 2] = 1
    """The exponent of each shortfall; 2 punishes few large ones more than many small ones."""

    margin: PositiveFloat = 1.0
    """How far above the others the right class's score has to be."""


@register("loss", "multi_label_margin", target="torch.nn.MultiLabelMarginLoss")
@schema
class MultiLabelMarginConfig(ReducedLoss):
    """The hinge loss of many labels; a target lists the classes that apply, filled up with -1."""

    same_shape: ClassVar = ("input", "target")
    kinds: ClassVar = ()  # no task of ours lists its labels


@register("loss", "multi_label_soft_margin", target="torch.nn.MultiLabelSoftMarginLoss")
@schema
class MultiLabelSoftMarginConfig(ClassWeightedLoss):
    """Binary cross entropy of many labels' scores, a mean over the labels of each sample."""

    same_shape: ClassVar = ("input", "target")
    kinds: ClassVar = ("multilabel",)
    takes: ClassVar = {"input": ("logits",)}


@schema
class TripletLoss(ReducedLoss):
    """Losses of triplets: an anchor, a sample like it and a sample unlike it."""

    abstract: ClassVar = True
    arguments: ClassVar = {"anchor": "anchor", "positive": "positive", "negative": "negative"}
    same_shape: ClassVar = ("anchor", "positive", "negative")

    margin: PositiveFloat = 1.0
    """How much farther the unlike sample has to be than the like one."""

    swap: bool = False
    """Measure the unlike sample from the like one where that is nearer (Balntas et al., 2016): harder triplets."""


@register("loss", "triplet_margin", target="torch.nn.TripletMarginLoss")
@schema
class TripletMarginConfig(TripletLoss):
    """Triplets of embeddings: nearer to the like sample than to the unlike one (Schroff et al., 2015)."""

    p: AtLeastOne = 2.0
    """The norm that distances are measured in; 2 is the straight line."""

    eps: PositiveFloat = 1e-6
    """Added to each difference, since the norm has no slope at 0."""


@register("loss", "triplet_margin_with_distance", target="torch.nn.TripletMarginWithDistanceLoss")
@schema
class TripletMarginWithDistanceConfig(TripletLoss):
    """Triplets of embeddings under a distance of one's choice."""

    distance: Literal["euclidean", "cosine", "chebyshev"] = "euclidean"
    """The distance: along a straight line, one minus the cosine, or the largest difference in any dimension."""


@register("loss", "ctc", target="torch.nn.CTCLoss")
@schema
class CTCConfig(ReducedLoss):
    """Connectionist temporal classification (Graves et al., 2006): sequences without alignment to their symbols.

    The log-probabilities are `(steps, batch, symbols)`, as torch takes them.
    """

    arguments: ClassVar = {
        "log_probs": "log_probabilities",
        "targets": "target",
        "input_lengths": "input_lengths",
        "target_lengths": "target_lengths",
    }
    takes: ClassVar = {"log_probs": ("log_probabilities",)}

    blank: NonNegativeInt = 0
    """The symbol that stands for none; no target may hold it."""

    zero_infinity: bool = False
    """Let samples that are too short for their symbols, whose loss is infinite, count for nothing."""
