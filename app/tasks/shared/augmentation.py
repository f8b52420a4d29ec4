"""From an augmentation of images to one of a dataset's batches: which of the targets move along."""

from collections.abc import Mapping
from typing import Any

from torch import Generator, Tensor

from app.augmentations.views import ImageAugmentation, Views
from app.schemas.augmentations.augmentation import PlacedTarget
from app.tasks.shared.datasets import Batch


class BatchAugmentation:
    """Changes a batch's inputs, which are images, and the targets that lie at places of them.

    Args:
        step: the change.
        placed_targets: the targets that move with the image, by name, each with its form; one alone, `target`, may
            stand in a batch as it is, without a mapping.
    """

    def __init__(self, step: ImageAugmentation, placed_targets: Mapping[str, PlacedTarget]) -> None:
        self.step = step
        self.placed_targets = placed_targets

    def __call__(self, batch: Batch, generator: Generator) -> Batch:
        """The batch, changed."""
        alone = isinstance(batch.targets, Tensor)
        targets: Mapping[str, Tensor] = {"target": batch.targets} if alone else batch.targets
        placed: dict[str, Any] = {form: targets[name] for name, form in self.placed_targets.items()}
        changed = self.step(Views(batch.inputs, **placed), generator)
        moved = {**targets, **{name: getattr(changed, form) for name, form in self.placed_targets.items()}}
        return Batch(changed.images, moved["target"] if alone else moved)
