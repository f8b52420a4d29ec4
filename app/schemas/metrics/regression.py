"""Metrics of regression: how far predicted numbers are from the true ones, and how far they go along with them.

`num_outputs` is for predictions of shape `(batch, outputs)`: each output is then measured on its own.
"""

from collections.abc import Iterator, Mapping
from typing import Annotated, ClassVar, Literal

from annotated_types import Ge

from app.schemas.codes import Code
from app.schemas.constraints import NonNegativeInt, PositiveInt
from app.schemas.metrics.metric import MetricConfig, each
from app.schemas.phases import Mode
from app.schemas.registry import register
from app.schemas.rules import Finding, rule
from app.schemas.schema import schema

Exponent = Annotated[float, Ge(1)]


@schema
class RegressionConfig(MetricConfig):
    """A metric of predicted numbers."""

    abstract: ClassVar = True
    arguments: ClassVar[Mapping[str, str]] = {"preds": "prediction", "target": "target"}


@schema
class ErrorConfig(RegressionConfig):
    """How wrong the predictions are."""

    abstract: ClassVar = True
    better: ClassVar[Mode | None] = "min"


@schema
class OutputsConfig(RegressionConfig):
    """A metric that measures each of several outputs on its own."""

    abstract: ClassVar = True

    num_outputs: PositiveInt = 1
    """How many numbers are predicted for a sample; each is logged, as `<name>/<output>`, when there are several."""

    def results(self, name: str) -> dict[str, Mode | None]:
        """One number, or one for each output."""
        return {name: self.better} if self.num_outputs == 1 else each(name, self.num_outputs, self.better)


@register("metrics", "mean_squared_error", target="torchmetrics.regression.MeanSquaredError")
@schema
class MeanSquaredErrorConfig(OutputsConfig):
    """The mean of the squared differences."""

    better: ClassVar[Mode | None] = "min"

    squared: bool = True
    """Leave the mean as it is; false takes its root, which has the unit of the target."""


@register("metrics", "mean_absolute_error", target="torchmetrics.regression.MeanAbsoluteError")
@schema
class MeanAbsoluteErrorConfig(OutputsConfig):
    """The mean of the differences, without their signs; outliers weigh less than when squared."""

    better: ClassVar[Mode | None] = "min"


@register(
    "metrics",
    "mean_absolute_percentage_error",
    target="torchmetrics.regression.MeanAbsolutePercentageError",
)
@schema
class MeanAbsolutePercentageErrorConfig(ErrorConfig):
    """The mean difference as a share of the target; explodes where targets are near zero."""


@register(
    "metrics",
    "symmetric_mean_absolute_percentage_error",
    target="torchmetrics.regression.SymmetricMeanAbsolutePercentageError",
)
@schema
class SymmetricMeanAbsolutePercentageErrorConfig(ErrorConfig):
    """The mean difference as a share of the mean of prediction and target, at most 2."""


@register(
    "metrics",
    "weighted_mean_absolute_percentage_error",
    target="torchmetrics.regression.WeightedMeanAbsolutePercentageError",
)
@schema
class WeightedMeanAbsolutePercentageErrorConfig(ErrorConfig):
    """The sum of the differences as a share of the sum of the targets."""


@register("metrics", "mean_squared_log_error", target="torchmetrics.regression.MeanSquaredLogError")
@schema
class MeanSquaredLogErrorConfig(ErrorConfig):
    """The mean squared difference of logarithms, for targets above -1 that span orders of magnitude."""


@register("metrics", "log_cosh_error", target="torchmetrics.regression.LogCoshError")
@schema
class LogCoshErrorConfig(OutputsConfig):
    """Like the squared error near zero, and like the absolute one far from it."""

    better: ClassVar[Mode | None] = "min"


@register("metrics", "minkowski_distance", target="torchmetrics.regression.MinkowskiDistance")
@schema
class MinkowskiDistanceConfig(ErrorConfig):
    """The distance of all predictions to all targets, in the norm of a given order; grows with their number."""

    arguments: ClassVar[Mapping[str, str]] = {"preds": "prediction", "targets": "target"}

    p: Exponent
    """The order: 1 adds up the differences, 2 is the Euclidean distance."""


@register("metrics", "tweedie_deviance_score", target="torchmetrics.regression.TweedieDevianceScore")
@schema
class TweedieDevianceScoreConfig(ErrorConfig):
    """The deviance of a Tweedie distribution, for amounts such as counts, durations and insurance claims."""

    arguments: ClassVar[Mapping[str, str]] = {"preds": "prediction", "targets": "target"}

    power: float = 0.0
    """The distribution: 0 is normal, 1 Poisson, between 1 and 2 compound Poisson, 2 gamma, 3 inverse Gaussian."""

    @rule("power")
    def power_has_a_distribution(self) -> Iterator[Finding]:
        """Between 0 and 1 there is none."""
        if 0 < self.power < 1:
            yield "power", f"there is no distribution between 0 and 1, found {self.power}"


@register("metrics", "relative_squared_error", target="torchmetrics.regression.RelativeSquaredError")
@schema
class RelativeSquaredErrorConfig(ErrorConfig):
    """The squared error as a share of that of always predicting the mean; the mean over several outputs."""

    num_outputs: PositiveInt = 1
    """How many numbers are predicted for a sample."""

    squared: bool = True
    """Leave the share as it is; false takes its root."""


@register(
    "metrics",
    "normalized_root_mean_squared_error",
    target="torchmetrics.regression.NormalizedRootMeanSquaredError",
)
@schema
class NormalizedRootMeanSquaredErrorConfig(OutputsConfig):
    """The root of the mean squared error, in units of the targets' own size."""

    better: ClassVar[Mode | None] = "min"

    normalization: Literal["mean", "range", "std", "l2"] = "mean"
    """What counts as their size: their mean, range, standard deviation or norm."""


@register(
    "metrics",
    "continuous_ranked_probability_score",
    target="torchmetrics.regression.ContinuousRankedProbabilityScore",
)
@schema
class ContinuousRankedProbabilityScoreConfig(ErrorConfig):
    """The absolute error of a whole ensemble of predictions, of shape `(batch, members)`, for each target."""


@register("metrics", "critical_success_index", target="torchmetrics.regression.CriticalSuccessIndex")
@schema
class CriticalSuccessIndexConfig(RegressionConfig):
    """The share of hits among hits, misses and false alarms, where a threshold makes an event of a number."""

    threshold: float
    """The number from which on there is an event, such as rain."""

    keep_sequence_dim: NonNegativeInt | None = None
    """The dimension of time, to measure each moment on its own, which gives a table; null takes all together."""

    def results(self, name: str) -> dict[str, Mode | None]:
        """One number, unless each moment has its own."""
        return {name: self.better} if self.keep_sequence_dim is None else {}


@register("metrics", "r2_score", target="torchmetrics.regression.R2Score")
@schema
class R2ScoreConfig(RegressionConfig):
    """The share of the targets' variance that is explained: 1 is all of it, 0 as good as always predicting the mean."""

    adjusted: NonNegativeInt = 0
    """Independent variables to correct the share for; 0 does not."""

    multioutput: Literal["uniform_average", "variance_weighted"] = "uniform_average"
    """The mean over several outputs, or weighted by their variances."""


@register("metrics", "explained_variance", target="torchmetrics.regression.ExplainedVariance")
@schema
class ExplainedVarianceConfig(RegressionConfig):
    """The share of the targets' variance that is explained, not counting a constant offset."""

    multioutput: Literal["uniform_average", "variance_weighted"] = "uniform_average"
    """The mean over several outputs, or weighted by their variances."""


@register("metrics", "pearson_corr_coef", target="torchmetrics.regression.PearsonCorrCoef")
@schema
class PearsonCorrCoefConfig(OutputsConfig):
    """How far predictions and targets lie on a line: 1 and -1 on one that rises or falls, 0 not at all."""

    better: ClassVar[Mode | None] = None


@register("metrics", "spearman_corr_coef", target="torchmetrics.regression.SpearmanCorrCoef")
@schema
class SpearmanCorrCoefConfig(OutputsConfig):
    """How far predictions and targets have the same order; keeps all of an epoch."""


@register("metrics", "kendall_rank_corr_coef", target="torchmetrics.regression.KendallRankCorrCoef")
@schema
class KendallRankCorrCoefConfig(OutputsConfig):
    """The share of pairs in the same order, less that of pairs in the opposite one; keeps all of an epoch."""

    better: ClassVar[Mode | None] = None

    variant: Literal["a", "b", "c"] = "b"
    """How ties are counted: not at all, or in one of two ways."""

    t_test: bool = False
    """Also test whether there is an order in common, and log the p-value as `<name>_p_value`."""

    alternative: Literal["two-sided", "less", "greater"] = "two-sided"
    """What the test holds against chance: any order in common, the opposite one, or the same one."""

    @rule("t_test", "alternative", code=Code.UNUSED)
    def alternative_is_tested(self) -> Iterator[Finding]:
        """Without a test it would have no effect."""
        if self.alternative != "two-sided" and not self.t_test:
            yield "alternative", "has an effect with t_test=true only"

    def results(self, name: str) -> dict[str, Mode | None]:
        """The correlation, and the p-value if it is asked for."""
        names = (name, f"{name}_p_value") if self.t_test else (name,)
        if self.num_outputs == 1:
            return dict.fromkeys(names)
        return {key: None for one in names for key in each(one, self.num_outputs, None)}


@register("metrics", "concordance_corr_coef", target="torchmetrics.regression.ConcordanceCorrCoef")
@schema
class ConcordanceCorrCoefConfig(OutputsConfig):
    """How far predictions equal targets: the correlation, less where their means or spreads differ."""


@register("metrics", "cosine_similarity", target="torchmetrics.regression.CosineSimilarity")
@schema
class CosineSimilarityConfig(RegressionConfig):
    """The cosine of the angle between predicted and true vectors, `(batch, dims)`; keeps all of an epoch."""

    reduction: Literal["mean", "sum", "none"] = "mean"
    """The mean over the samples, their sum, or a table with a value for each."""

    def results(self, name: str) -> dict[str, Mode | None]:
        """One number, unless each sample has its own."""
        return {name: self.better} if self.reduction != "none" else {}


@schema
class DivergenceConfig(MetricConfig):
    """How far one distribution over classes, `(batch, classes)`, is from another."""

    abstract: ClassVar = True
    arguments: ClassVar[Mapping[str, str]] = {"p": "target", "q": "probabilities"}
    kinds: ClassVar[tuple[str, ...] | None] = ()  # a distribution over the classes is no kind of target
    better: ClassVar[Mode | None] = "min"

    log_prob: bool = False
    """Whether the outputs hold logarithms of probabilities; what does not add up to 1 is scaled to it otherwise."""

    reduction: Literal["mean", "sum", "none"] = "mean"
    """The mean over the samples, their sum, or a table with a value for each."""

    def results(self, name: str) -> dict[str, Mode | None]:
        """One number, unless each sample has its own."""
        return {name: self.better} if self.reduction != "none" else {}


@register("metrics", "kl_divergence", target="torchmetrics.regression.KLDivergence")
@schema
class KLDivergenceConfig(DivergenceConfig):
    """What is lost when the distribution `q` is taken for the true one `p` (Kullback-Leibler), in nats."""


@register("metrics", "jensen_shannon_divergence", target="torchmetrics.regression.JensenShannonDivergence")
@schema
class JensenShannonDivergenceConfig(DivergenceConfig):
    """The mean Kullback-Leibler divergence of two distributions from their mean: the same both ways, and bounded."""


OWN_DEFAULTS: dict[type, dict[str, str]] = {
    CosineSimilarityConfig: {"reduction": "a sum grows with the number of samples, and cannot be compared"},
}
"""The fields that start from another value than torchmetrics' argument, each with why."""
