import pytest
import torch
from torch import Generator, Tensor

from app.tasks.retrieval.config import Sampling
from app.tasks.retrieval.sampling import ROW, Companions, Pool, pairs, triplets
from app.tasks.shared.datasets import Batch

CLASSES = torch.tensor([3, 0, 3, 5, 0, 3, 5, 0, 0, 5])


def pool() -> Pool:
    """Images that hold nothing but their own place."""
    return Pool(torch.arange(10.0).view(-1, 1, 1, 1), CLASSES)


def rows_of(images: Tensor) -> Tensor:
    return images.flatten().long()


def many(row: int) -> Tensor:
    return torch.full((4000,), row)


@pytest.mark.parametrize("row", range(10))
def test_every_other_image_of_the_class_is_drawn_equally_often(row: int) -> None:
    found = pool().alike(many(row), Generator().manual_seed(row))

    others = [place for place in range(10) if CLASSES[place] == CLASSES[row] and place != row]
    assert sorted(set(found.tolist())) == others
    assert (found.bincount(minlength=10)[others] / 4000).sub(1 / len(others)).abs().max() < 0.05


@pytest.mark.parametrize("row", range(10))
def test_every_image_of_another_class_is_drawn_equally_often(row: int) -> None:
    found = pool().unlike(many(row), Generator().manual_seed(row))

    others = [place for place in range(10) if CLASSES[place] != CLASSES[row]]
    assert sorted(set(found.tolist())) == others
    assert (found.bincount(minlength=10)[others] / 4000).sub(1 / len(others)).abs().max() < 0.05


def test_an_image_that_is_alone_in_its_class_is_alike_to_itself() -> None:
    alone = Pool(torch.zeros(3, 1, 1, 1), torch.tensor([4, 7, 4]))

    assert alone.alike(torch.tensor([1, 1]), Generator()).tolist() == [1, 1]
    assert alone.num_classes == 2


def test_half_of_the_pairs_are_alike_and_said_to_be() -> None:
    rows = torch.arange(10).repeat(200)
    found = pairs(pool(), rows, Generator().manual_seed(0))
    other = rows_of(found["other_input"])

    assert torch.equal(found["same"], (CLASSES[rows] == CLASSES[other]).long())
    assert not (other == rows).any()
    assert found["same"].float().mean() == pytest.approx(0.5, abs=0.05)


def test_of_a_triplet_one_is_alike_and_one_is_not() -> None:
    rows = torch.arange(10).repeat(20)
    found = triplets(pool(), rows, Generator().manual_seed(0))

    assert torch.equal(CLASSES[rows_of(found["positive_input"])], CLASSES[rows])
    assert not (CLASSES[rows_of(found["negative_input"])] == CLASSES[rows]).any()


@pytest.mark.parametrize("sampling", ["pairs", "triplets", "views"])
def test_every_image_is_changed_by_itself(sampling: Sampling) -> None:
    def noise(batch: Batch, generator: Generator) -> Batch:
        return Batch(batch.inputs + 100 + torch.rand(batch.inputs.shape, generator=generator), batch.targets)

    companions = Companions(pool(), sampling, noise)
    rows = torch.arange(10)
    batch = Batch(pool().images, {"target": CLASSES, ROW: rows})
    changed = companions(batch, Generator().manual_seed(1))

    images = [changed.inputs, *(value for value in changed.targets.values() if value.ndim == 4)]
    assert ROW not in changed.targets
    assert len(images) == {"pairs": 2, "triplets": 3, "views": 2}[sampling]
    assert all((image >= 100).all() for image in images)
    fractions = torch.cat(images).flatten().frac()
    assert len(set(fractions.tolist())) == len(fractions)
    again = companions(batch, Generator().manual_seed(1))
    assert torch.equal(again.inputs, changed.inputs)
    assert all(torch.equal(again.targets[name], value) for name, value in changed.targets.items())


def test_only_the_other_view_is_changed_where_a_split_is_evaluated() -> None:
    def darker(batch: Batch, generator: Generator) -> Batch:  # noqa: ARG001  # an augmentation's signature
        return Batch(batch.inputs - 50, batch.targets)

    batch = Batch(pool().images, {"target": CLASSES, ROW: torch.arange(10)})
    of_views = Companions(pool(), "views", darker).for_evaluation(batch, Generator())
    of_pairs = Companions(pool(), "pairs", darker).for_evaluation(batch, Generator())

    assert torch.equal(of_views.inputs, batch.inputs)
    assert torch.equal(of_views.targets["other_view"], batch.inputs - 50)
    assert (of_pairs.targets["other_input"] >= 0).all()
