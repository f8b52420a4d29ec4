"""Metrics of embeddings: how well each query's class is found in a gallery.

They need no scores of pairs, as those of `app.schemas.metrics.retrieval` do: the output `embedding` of each query is
compared with those of the whole gallery, and the target `is_query` says which samples are queries.
"""

from collections.abc import Mapping
from typing import ClassVar, Literal

from app.schemas.constraints import PositiveInt
from app.schemas.metrics.metric import MetricConfig
from app.schemas.registry import register
from app.schemas.schema import schema


@schema
class GalleryConfig(MetricConfig):
    """A metric of embeddings: for each query, how well those of its class are found in the gallery.

    The target `is_query` says which samples are queries; the others are the gallery. A query whose class is nowhere in
    the gallery counts as 0. Most are for evaluation only, `phases=[val,test]`: all embeddings of an epoch are kept.
    """

    abstract: ClassVar = True
    arguments: ClassVar[Mapping[str, str]] = {"embedding": "embedding", "target": "target", "is_query": "is_query"}

    distance: Literal["cosine", "euclidean"] = "cosine"
    """What the most similar ones are found by: the angle, or the straight line; of unit vectors they tell the same."""


@register("metrics", "recall_at_k", target="app.metrics.gallery.RecallAtK")
@schema
class RecallAtKConfig(GalleryConfig):
    """The share of queries that find one of their class at least among the `k` most similar, as in metric learning."""

    k: PositiveInt = 1
    """How many of the gallery are looked at."""


@register("metrics", "precision_at_k", target="app.metrics.gallery.PrecisionAtK")
@schema
class PrecisionAtKConfig(GalleryConfig):
    """The share of the `k` most similar that are of the query's class."""

    k: PositiveInt = 5
    """How many of the gallery are looked at; all of it where it has fewer."""


@register("metrics", "gallery_map", target="app.metrics.gallery.GalleryMAP")
@schema
class GalleryMAPConfig(GalleryConfig):
    """Mean average precision: the precision down to each of the query's class in the gallery, averaged."""
