from typing import Any

import pytest
import torch
from torch import Generator, Tensor
from torchmetrics.retrieval import RetrievalHitRate, RetrievalMAP, RetrievalPrecision

from app.metrics.gallery import GalleryMAP, GalleryMetric, PrecisionAtK, RecallAtK

# On a line, so that the order of the gallery can be read off: 2 at the query, then 1, 2, 1, 1.
QUERY, GALLERY = [0.0], [0.1, 0.2, 0.3, 0.4, 0.5]
CLASSES = [2, 1, 2, 1, 1]


def of_one_query(metric: GalleryMetric, wanted: int) -> float:
    embedding = torch.tensor([*QUERY, *GALLERY])[:, None]
    metric.update(embedding, torch.tensor([wanted, *CLASSES]), torch.tensor([True] + [False] * 5))
    return float(metric.compute())


@pytest.mark.parametrize(
    ("metric", "wanted", "value"),
    [
        (RecallAtK(k=1, distance="euclidean"), 2, 1),
        (RecallAtK(k=1, distance="euclidean"), 1, 0),
        (RecallAtK(k=2, distance="euclidean"), 1, 1),
        (PrecisionAtK(k=2, distance="euclidean"), 2, 1 / 2),
        (PrecisionAtK(k=3, distance="euclidean"), 2, 2 / 3),
        (PrecisionAtK(k=9, distance="euclidean"), 2, 2 / 5),
        (GalleryMAP(distance="euclidean"), 2, (1 / 1 + 2 / 3) / 2),
        (GalleryMAP(distance="euclidean"), 1, (1 / 2 + 2 / 4 + 3 / 5) / 3),
        (GalleryMAP(distance="euclidean"), 7, 0),
    ],
)
def test_values_are_those_counted_by_hand(metric: GalleryMetric, wanted: int, value: float) -> None:
    assert of_one_query(metric, wanted) == pytest.approx(value)


def test_the_cosine_looks_at_directions_alone() -> None:
    embedding = torch.tensor([[1.0, 0.0], [9.0, 1.0], [0.9, 0.9]])
    target, is_query = torch.tensor([0, 0, 1]), torch.tensor([True, False, False])
    by_angle, by_line = RecallAtK(), RecallAtK(distance="euclidean")
    for metric in (by_angle, by_line):
        metric.update(embedding, target, is_query)

    assert [float(by_angle.compute()), float(by_line.compute())] == [1, 0]


@pytest.mark.parametrize("distance", ["cosine", "euclidean"])
@pytest.mark.parametrize("at_once", [1, 2**22])
@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (RecallAtK, RetrievalHitRate(top_k=3)),
        (PrecisionAtK, RetrievalPrecision(top_k=3)),
        (GalleryMAP, RetrievalMAP()),
    ],
)
def test_values_are_torchmetrics_of_every_pair(
    ours: Any, theirs: Any, distance: str, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.metrics.gallery._AT_ONCE", at_once)
    metric = ours(distance=distance, **({} if ours is GalleryMAP else {"k": 3}))
    batches = [drawn(size, seed) for seed, size in enumerate((40, 40, 7))]
    for batch in batches:
        metric.update(*batch)
    embedding, target, is_query = (torch.cat(parts) for parts in zip(*batches, strict=True))

    expected = torchmetrics_of_pairs(theirs, embedding, target, is_query, distance)

    assert 0.1 < expected < 1
    assert metric.compute() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("is_query", [[True, True], [False, False]])
def test_without_queries_or_a_gallery_nothing_is_found(is_query: list[bool]) -> None:
    metric = GalleryMAP()
    metric.update(torch.eye(2), torch.tensor([0, 0]), torch.tensor(is_query))

    assert metric.compute() == 0


def drawn(size: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    generator = Generator().manual_seed(seed)
    target = torch.randint(4, (size,), generator=generator)
    embedding = torch.randn(size, 5, generator=generator) + 1.2 * torch.eye(5)[target]
    return embedding, target, torch.rand(size, generator=generator) < 0.4


def torchmetrics_of_pairs(metric: Any, embedding: Tensor, target: Tensor, is_query: Tensor, distance: str) -> float:
    """A score for each pair; above 0, since torchmetrics takes nothing else for found."""
    queries, gallery = embedding[is_query], embedding[~is_query]
    if distance == "cosine":
        scores = 2 + torch.cosine_similarity(queries[:, None], gallery[None], dim=2)
    else:
        scores = 1 / (1 + (queries[:, None] - gallery[None]).norm(dim=2))
    relevant = target[is_query][:, None] == target[~is_query][None]
    indexes = torch.arange(len(queries))[:, None].expand_as(relevant)
    metric.reset()
    metric.update(scores.flatten(), relevant.flatten(), indexes.flatten())
    return float(metric.compute())
