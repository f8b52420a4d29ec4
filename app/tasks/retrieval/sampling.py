"""What each image of a batch is compared with in training: drawn for a whole batch at once, from one generator."""

from collections.abc import Callable, Mapping
from typing import Final

import torch
from torch import Generator, Tensor

from app.tasks.retrieval.config import Sampling
from app.tasks.shared.datasets import Augmentation, Batch

ROW: Final = "row"
"""The target of an image that says where it stands in its pool; taken out of what a batch becomes."""


class Pool:
    """The images to draw from, ordered by class.

    Args:
        images: `(images, channels, height, width)`.
        classes: the class of each, `(images)`.
    """

    def __init__(self, images: Tensor, classes: Tensor) -> None:
        self.images = images
        self.classes = classes
        self._order = classes.argsort(stable=True)
        self._count = classes.bincount()
        self._start = self._count.cumsum(0) - self._count
        self._place = torch.empty_like(self._order)
        self._place[self._order] = torch.arange(len(classes))

    @property
    def num_classes(self) -> int:
        """How many classes there are images of."""
        return int((self._count > 0).sum())

    def alike(self, rows: Tensor, generator: Generator) -> Tensor:
        """For each of these images another of its class, any with the same chance; itself where there is no other."""
        of = self.classes[rows]
        start, count = self._start[of], self._count[of]
        steps = 1 + _up_to(count - 1, generator)
        return self._order[start + (self._place[rows] - start + steps) % count]

    def unlike(self, rows: Tensor, generator: Generator) -> Tensor:
        """For each of these images one of another class, any with the same chance; there must be two classes."""
        of = self.classes[rows]
        end, count = self._start[of] + self._count[of], self._count[of]
        size = len(self.classes)
        return self._order[(end + _up_to(size - count, generator)) % size]


def pairs(pool: Pool, rows: Tensor, generator: Generator) -> dict[str, Tensor]:
    """`other_input`, alike or not with equal chances, and `same`, 1 where it is and 0 elsewhere."""
    same = torch.rand(len(rows), generator=generator) < 0.5
    other = torch.where(same, pool.alike(rows, generator), pool.unlike(rows, generator))
    return {"other_input": pool.images[other], "same": same.long()}


def triplets(pool: Pool, rows: Tensor, generator: Generator) -> dict[str, Tensor]:
    """`positive_input`, which is alike, and `negative_input`, which is not."""
    positive, negative = pool.alike(rows, generator), pool.unlike(rows, generator)
    return {"positive_input": pool.images[positive], "negative_input": pool.images[negative]}


def views(pool: Pool, rows: Tensor, generator: Generator) -> dict[str, Tensor]:  # noqa: ARG001  # nothing is drawn
    """`other_view`, the image itself, which becomes another one by its augmentation."""
    return {"other_view": pool.images[rows]}


def single(pool: Pool, rows: Tensor, generator: Generator) -> dict[str, Tensor]:  # noqa: ARG001  # nothing is drawn
    """Nothing."""
    return {}


SAMPLINGS: Final[Mapping[Sampling, Callable[[Pool, Tensor, Generator], dict[str, Tensor]]]] = {
    "single": single,
    "pairs": pairs,
    "triplets": triplets,
    "views": views,
}


class Companions:
    """Gives the images of a batch what they are compared with; an `Augmentation` of batches whose `row` is known.

    Every image is augmented by itself, so that two views of one image differ.
    """

    def __init__(self, pool: Pool, sampling: Sampling, augmentation: Augmentation | None) -> None:
        self.pool = pool
        self.sampling: Sampling = sampling
        self.augmentation = augmentation

    def __call__(self, batch: Batch, generator: Generator) -> Batch:
        """A training batch: all images changed."""
        drawn = self._drawn(batch, generator)
        if self.augmentation is None:
            return Batch(batch.inputs, drawn)
        images = {name: tensor for name, tensor in drawn.items() if tensor.ndim == batch.inputs.ndim}
        together = self._changed(torch.cat([batch.inputs, *images.values()]), generator)
        changed = torch.split(together, len(batch.inputs))
        return Batch(changed[0], {**drawn, **dict(zip(images, changed[1:], strict=True))})

    def for_evaluation(self, batch: Batch, generator: Generator) -> Batch:
        """A batch of images as they are; only the other view of one is changed, or it would be the same image."""
        drawn = self._drawn(batch, generator)
        if "other_view" in drawn and self.augmentation is not None:
            drawn["other_view"] = self._changed(drawn["other_view"], generator)
        return Batch(batch.inputs, drawn)

    def _drawn(self, batch: Batch, generator: Generator) -> dict[str, Tensor]:
        kept = {name: target for name, target in batch.targets.items() if name != ROW}
        return {**kept, **SAMPLINGS[self.sampling](self.pool, batch.targets[ROW], generator)}

    def _changed(self, images: Tensor, generator: Generator) -> Tensor:
        assert self.augmentation is not None, "asked only where there is one"
        return self.augmentation(Batch(images, {}), generator).inputs


def _up_to(ends: Tensor, generator: Generator) -> Tensor:
    """A whole number from 0 to below each of these, and 0 where that is 0."""
    drawn = (torch.rand(len(ends), generator=generator, dtype=torch.float64) * ends).long()
    return torch.minimum(drawn, (ends - 1).clamp(min=0))
