"""Metrics of retrieval: how well the relevant documents of each query are ranked.

The output `scores` holds a score for each pair of query and document, `target` its relevance, and `indexes` the query's
number. Everything of an epoch is kept, and looked at by query at its end.
"""

from collections.abc import Iterator, Mapping
from typing import ClassVar, Literal

from app.schemas.codes import Code
from app.schemas.constraints import Fraction, PositiveInt, Probability
from app.schemas.metrics.metric import MetricConfig
from app.schemas.phases import Mode
from app.schemas.registry import register
from app.schemas.rules import Finding, remark
from app.schemas.schema import schema

EmptyTargetAction = Literal["neg", "pos", "skip", "error"]


@schema
class RetrievalConfig(MetricConfig):
    """A metric of ranked documents, with a value for each query."""

    abstract: ClassVar = True
    arguments: ClassVar[Mapping[str, str]] = {"preds": "scores", "target": "target", "indexes": "indexes"}

    empty_target_action: EmptyTargetAction = "neg"
    """What a query without a relevant document counts as: 0, 1, nothing, or a mistake in the data."""

    ignore_index: int | None = None
    """A target that stands for "unknown", whose pair is left out."""

    aggregation: Literal["mean", "median", "min", "max"] = "mean"
    """How the values of the queries become one."""


@schema
class TopRetrievalConfig(RetrievalConfig):
    """A metric of the first few documents found."""

    abstract: ClassVar = True

    top_k: PositiveInt | None = None
    """How many of the documents found are looked at; null looks at all."""


@register("metrics", "retrieval_map", target="torchmetrics.retrieval.RetrievalMAP")
@schema
class RetrievalMAPConfig(TopRetrievalConfig):
    """Mean average precision: precision at each relevant document, averaged."""


@register("metrics", "retrieval_mrr", target="torchmetrics.retrieval.RetrievalMRR")
@schema
class RetrievalMRRConfig(TopRetrievalConfig):
    """Mean reciprocal rank: one over the place of the first relevant document."""


@register("metrics", "retrieval_precision", target="torchmetrics.retrieval.RetrievalPrecision")
@schema
class RetrievalPrecisionConfig(TopRetrievalConfig):
    """The share of the documents found that are relevant."""

    adaptive_k: bool = False
    """Look at all documents of a query that has fewer than `top_k`."""

    @remark(Code.UNUSED)
    def there_is_a_limit(self) -> Iterator[Finding]:
        """All documents are looked at anyway."""
        if self.top_k is None:
            yield "adaptive_k", "has no effect without top_k, as all documents are looked at"


@register("metrics", "retrieval_recall", target="torchmetrics.retrieval.RetrievalRecall")
@schema
class RetrievalRecallConfig(TopRetrievalConfig):
    """The share of the relevant documents that were found."""


@register("metrics", "retrieval_r_precision", target="torchmetrics.retrieval.RetrievalRPrecision")
@schema
class RetrievalRPrecisionConfig(RetrievalConfig):
    """Precision among as many documents as there are relevant ones."""


@register("metrics", "retrieval_hit_rate", target="torchmetrics.retrieval.RetrievalHitRate")
@schema
class RetrievalHitRateConfig(TopRetrievalConfig):
    """The share of queries for which anything relevant was found."""


@register("metrics", "retrieval_fall_out", target="torchmetrics.retrieval.RetrievalFallOut")
@schema
class RetrievalFallOutConfig(TopRetrievalConfig):
    """The share of the irrelevant documents that were found."""

    better: ClassVar[Mode | None] = "min"

    empty_target_action: EmptyTargetAction = "pos"
    """What a query without an irrelevant document counts as: 0, 1, nothing, or a mistake in the data."""


@register("metrics", "retrieval_normalized_dcg", target="torchmetrics.retrieval.RetrievalNormalizedDCG")
@schema
class RetrievalNormalizedDCGConfig(TopRetrievalConfig):
    """Relevance added up, less the further down, as a share of what the best order has; takes grades of relevance."""


@register("metrics", "retrieval_auroc", target="torchmetrics.retrieval.RetrievalAUROC")
@schema
class RetrievalAUROCConfig(TopRetrievalConfig):
    """The chance that a relevant document scores higher than an irrelevant one of the same query."""

    max_fpr: Fraction | None = None
    """Look at false positive rates up to this one only."""


@register("metrics", "retrieval_precision_recall_curve", target="torchmetrics.retrieval.RetrievalPrecisionRecallCurve")
@schema
class RetrievalPrecisionRecallCurveConfig(RetrievalConfig):
    """Precision and recall for each number of documents looked at, as a table."""

    better: ClassVar[Mode | None] = None
    table: ClassVar[tuple[str, ...]] = ("precision", "recall", "top_k")

    max_k: PositiveInt | None = None
    """The largest number of documents to look at; null goes up to the most that a query has."""

    adaptive_k: bool = False
    """Look at all documents of a query that has fewer."""


@register(
    "metrics", "retrieval_recall_at_fixed_precision", target="torchmetrics.retrieval.RetrievalRecallAtFixedPrecision"
)
@schema
class RetrievalRecallAtFixedPrecisionConfig(RetrievalConfig):
    """The largest share found while a given share of the findings is relevant.

    Logged as `<name>`, and as `<name>_top_k` the number of documents at which it is reached.
    """

    min_precision: Probability = 0.0
    """The share of the documents found that must be relevant."""

    max_k: PositiveInt | None = None
    """The largest number of documents to look at; null goes up to the most that a query has."""

    adaptive_k: bool = False
    """Look at all documents of a query that has fewer."""

    def results(self, name: str) -> dict[str, Mode | None]:
        """The value, and where it is reached."""
        return {name: self.better, f"{name}_top_k": None}
