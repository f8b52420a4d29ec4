"""Metrics of embeddings: for each query, how well those of its class are found among a gallery's."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, Final, Literal

import torch
from torch import Tensor
from torch.nn import functional
from torchmetrics import Metric

Distance = Literal["cosine", "euclidean"]
"""By the angle between two embeddings, or along the straight line between them."""

_AT_ONCE: Final = 2**22
"""Pairs of query and gallery sample that are looked at together, which bounds the memory for large galleries."""


class GalleryMetric(Metric, ABC):
    """The mean over all queries of what the order of the gallery is worth, the most similar embedding first.

    Everything of an epoch is kept, embeddings in full, and compared at its end; under several processes all queries
    meet the galleries of all. A query whose class is nowhere in the gallery counts as 0, and so does having no query
    or no gallery at all. Of embeddings that are equally similar the one that came first is first.
    """

    full_state_update = False
    higher_is_better = True
    is_differentiable = False
    embedding: list[Tensor]
    target: list[Tensor]
    is_query: list[Tensor]

    def __init__(self, *, distance: Distance = "cosine", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.distance: Distance = distance
        for name in ("embedding", "target", "is_query"):
            self.add_state(name, [], dist_reduce_fx="cat")

    def update(self, embedding: Tensor, target: Tensor, is_query: Tensor) -> None:
        """Take in embeddings `(batch, features)`, the class of each `(batch)`, and which are queries `(batch)`."""
        self.embedding.append(embedding)
        self.target.append(target)
        self.is_query.append(is_query)

    def compute(self) -> Tensor:
        """The mean of the queries' values, from 0 to 1."""
        embedding, target = _joined(self.embedding).float(), _joined(self.target)
        is_query = _joined(self.is_query).bool()
        if not is_query.any() or is_query.all():
            return torch.zeros((), device=embedding.device)
        values = [self.value(found) for found in self._found(embedding, target, is_query)]
        return torch.cat(values).mean()

    @abstractmethod
    def value(self, found: Tensor) -> Tensor:
        """What each query's order is worth, `(queries)`.

        `found` `(queries, gallery)` is true where the class is the query's, the most similar embedding first.
        """

    def _found(self, embedding: Tensor, target: Tensor, is_query: Tensor) -> Iterator[Tensor]:
        """As `value` takes it, for some of the queries at a time."""
        if self.distance == "cosine":
            embedding = functional.normalize(embedding, dim=1)
        gallery, classes = embedding[~is_query], target[~is_query]
        rows = max(1, _AT_ONCE // len(gallery))
        some = zip(torch.split(embedding[is_query], rows), torch.split(target[is_query], rows), strict=True)
        for queries, wanted in some:
            distances = torch.cdist(queries, gallery) if self.distance == "euclidean" else -queries @ gallery.T
            order = distances.argsort(dim=1, stable=True)
            yield classes[order] == wanted[:, None]


class RecallAtK(GalleryMetric):
    """The share of queries with one of their class at least among the `k` most similar of the gallery.

    The Recall@K of metric learning (Jégou et al., 2011; Song et al., 2016), which torchmetrics calls a hit rate.
    """

    def __init__(self, *, k: int = 1, distance: Distance = "cosine", **kwargs: Any) -> None:
        super().__init__(distance=distance, **kwargs)
        self.k = k

    def value(self, found: Tensor) -> Tensor:
        """1 for each query that finds its class, 0 for the others."""
        return found[:, : self.k].any(dim=1).float()


class PrecisionAtK(GalleryMetric):
    """The share of the `k` most similar of the gallery that are of the query's class; of all, where there are fewer."""

    def __init__(self, *, k: int = 5, distance: Distance = "cosine", **kwargs: Any) -> None:
        super().__init__(distance=distance, **kwargs)
        self.k = k

    def value(self, found: Tensor) -> Tensor:
        """Each query's share."""
        return found[:, : self.k].float().mean(dim=1)


class GalleryMAP(GalleryMetric):
    """Mean average precision over the whole gallery: the precision down to each of the query's class, averaged."""

    def value(self, found: Tensor) -> Tensor:
        """Each query's average precision."""
        right = found.float()
        precision = right.cumsum(dim=1) / torch.arange(1, found.shape[1] + 1, device=found.device)
        return (precision * right).sum(dim=1) / right.sum(dim=1).clamp(min=1)


def _joined(parts: list[Tensor] | Tensor) -> Tensor:
    """What was gathered, a list at first and one tensor once processes have shared it."""
    return torch.cat(parts) if isinstance(parts, list) else parts
