"""Augmentations made of others: one after another, some of the time, and one or a few of several."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Generator, Tensor

from app.augmentations.views import ImageAugmentation, Views


class InTurn:
    """One after another."""

    def __init__(self, steps: Sequence[ImageAugmentation]) -> None:
        self.steps = tuple(steps)

    def __call__(self, views: Views, generator: Generator) -> Views:
        """The batch, changed by each of them."""
        for step in self.steps:
            views = step(views, generator)
        return views


class Sometimes:
    """Each image with a probability of its own; the others of the batch stay as they are."""

    def __init__(self, step: ImageAugmentation, probability: float) -> None:
        self.step = step
        self.probability = probability

    def __call__(self, views: Views, generator: Generator) -> Views:
        """The batch, some of it changed."""
        device = views.images.device
        chosen = torch.rand(len(views.images), generator=generator, device=device) < self.probability
        return changed_where(chosen, self.step, views, generator)


class OneOf:
    """One of several for each image; the weights say how often each is drawn."""

    def __init__(self, steps: Sequence[ImageAugmentation], weights: Sequence[float]) -> None:
        self.steps = tuple(steps)
        self.weights = tuple(weights)

    def __call__(self, views: Views, generator: Generator) -> Views:
        """The batch, each image changed by one of them."""
        device = views.images.device
        weights = torch.tensor(self.weights, dtype=torch.float32, device=device)
        drawn = torch.multinomial(weights, len(views.images), replacement=True, generator=generator)
        for place, step in enumerate(self.steps):
            views = changed_where(drawn == place, step, views, generator)
        return views


class SomeOf:
    """A few of several for each image, different ones, in the order of the steps."""

    def __init__(self, steps: Sequence[ImageAugmentation], count: int) -> None:
        self.steps = tuple(steps)
        self.count = count

    def __call__(self, views: Views, generator: Generator) -> Views:
        """The batch, each image changed by `count` of them."""
        draws = torch.rand(len(views.images), len(self.steps), generator=generator, device=views.images.device)
        drawn = draws.argsort(dim=1).argsort(dim=1) < self.count
        for step, chosen in zip(self.steps, drawn.unbind(dim=1), strict=True):
            views = changed_where(chosen, step, views, generator)
        return views


def changed_where(chosen: Tensor, step: ImageAugmentation, views: Views, generator: Generator) -> Views:
    """The views, changed by the step where `chosen` `(batch)` is true; the step sees no others."""
    rows = chosen.nonzero().squeeze(1)
    if len(rows) == 0:
        return views
    if len(rows) == len(chosen):
        return step(views, generator)
    changed = step(_each(lambda part: part[rows], views), generator)
    return _each(lambda part, new: part.index_copy(0, rows, new), views, changed)


def _each(change: Callable[..., Tensor], *views: Views) -> Views:
    """The change of each part that there is."""
    parts: list[Any] = [None if part[0] is None else change(*part) for part in zip(*views, strict=True)]
    return Views(*parts)
