"""Augmentations of albumentations (Buslaev et al., 2020), which takes one image at a time, as an array."""

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Generator

from app.augmentations.libraries import failures_of, same_shape
from app.augmentations.views import Views


class AlbumentationsTransform:
    """One of albumentations' transforms of images; what it draws follows from our generator alone.

    The images of a batch are changed one after the other, in main memory: that is how the package works.

    Args:
        transform: name of a class in `albumentations`.
        arguments: its arguments by name.
    """

    def __init__(self, *, transform: str, arguments: Mapping[str, Any]) -> None:
        # It would ask the package index for a newer version while it is imported.
        os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
        import albumentations  # an extra

        self.name = transform
        kind = getattr(albumentations, transform)
        self.moves_nothing = issubclass(kind, albumentations.ImageOnlyTransform)
        # Some of its checks only warn, and put defaults in the place of what was asked for, unless told to be strict.
        strict = {"strict": True} if "InitSchema" in vars(kind) else {}
        self.step = kind(**arguments, **strict, p=1.0)

    def __call__(self, views: Views, generator: Generator) -> Views:
        """The batch, changed, with the mask.

        Raises:
            TransformError: when albumentations fails on it, or changes its shape.
        """
        device = views.images.device
        self.step.set_random_seed(int(torch.randint(2**31, (), generator=generator, device=device)))
        with failures_of(self.name, views.images):
            # Its filters want the channels last and the memory in one piece.
            arrays = np.ascontiguousarray(views.images.permute(0, 2, 3, 1).cpu().numpy())
            if self.moves_nothing or views.mask is None:
                images = [self.step(image=array)["image"] for array in arrays]
                return views._replace(images=self._tensor(images, views))
            # OpenCV moves no 64-bit integers; 32-bit numbers hold every class that there is.
            masks = views.mask.to(torch.float32).cpu().numpy()
            changed = [self.step(image=image, mask=mask) for image, mask in zip(arrays, masks, strict=True)]
            moved = torch.from_numpy(np.stack([each["mask"] for each in changed]))
            images = [each["image"] for each in changed]
            mask = moved.round().to(device=device, dtype=views.mask.dtype)
            return views._replace(images=self._tensor(images, views), mask=mask)

    def _tensor(self, images: list[Any], views: Views) -> torch.Tensor:
        height, width = images[0].shape[:2]
        # Some drop the channel of grey images.
        stacked = torch.from_numpy(np.stack(images)).view(len(images), height, width, -1).permute(0, 3, 1, 2)
        return same_shape(self.name, stacked.to(views.images), views.images).contiguous()
