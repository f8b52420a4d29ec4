"""Augmentations of kornia (Riba et al., 2020), on whole batches."""

import inspect
from collections.abc import Mapping
from typing import Any

import torch
from torch import Generator, Tensor

from app.augmentations.libraries import failures_of, same_shape
from app.augmentations.views import Views


class KorniaTransform:
    """One of kornia's two-dimensional augmentations; what it draws follows from our generator alone.

    Args:
        transform: name of a class in `kornia.augmentation`.
        arguments: its arguments by name; a list of numbers also where it takes a tensor alone.
    """

    def __init__(self, *, transform: str, arguments: Mapping[str, Any]) -> None:
        from kornia import augmentation  # an extra

        self.name = transform
        kind = getattr(augmentation, transform)
        self.moves_nothing = issubclass(kind, augmentation.IntensityAugmentationBase2D)
        parameters = inspect.signature(kind).parameters
        tensors = {
            name: torch.tensor(value)
            for name, value in arguments.items()
            if name in parameters and parameters[name].annotation is Tensor
        }
        self.step = kind(**{**arguments, **tensors}, p=1.0)
        # A mask goes through the same change as its image, its values taken from the nearest pixel.
        self.with_mask = augmentation.AugmentationSequential(self.step, data_keys=["input", "mask"])

    def __call__(self, views: Views, generator: Generator) -> Views:
        """The batch, changed, with the mask.

        Raises:
            TransformError: when kornia fails on it, or changes its shape.
        """
        device = views.images.device
        seed = int(torch.randint(2**62, (), generator=generator, device=device))
        with (
            failures_of(self.name, views.images),
            torch.random.fork_rng([device] if device.type == "cuda" else []),
        ):
            # Kornia knows no generators, and draws from torch's own. `torch.manual_seed` would seed those of every GPU
            # too, and dropout with them, which nobody sets back where the images are on the CPU.
            torch.default_generator.manual_seed(seed)
            if device.type == "cuda":
                with torch.cuda.device(device):
                    torch.cuda.manual_seed(seed)
            if self.moves_nothing or views.mask is None:
                return views._replace(images=same_shape(self.name, self.step(views.images), views.images))
            images, mask = self.with_mask(views.images, views.mask[:, None].to(views.images.dtype))
            same_shape(self.name, images, views.images)
            return views._replace(images=images, mask=mask[:, 0].round().to(views.mask.dtype))
