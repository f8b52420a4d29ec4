"""Views to try augmentations on."""

import torch
from torch import Generator, Tensor

from app.augmentations.views import ImageAugmentation, Views


def seeded(seed: int = 0) -> Generator:
    return Generator().manual_seed(seed)


def images(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, generator=seeded(seed))


def with_a_box(batch: int, height: int, width: int, box: tuple[int, int, int, int], *, channels: int = 1) -> Views:
    """Images in which a bright box is all that there is; the mask has it too, and the first of two rows of boxes."""
    left, top, right, bottom = box
    pixels = torch.zeros(batch, channels, height, width)
    pixels[..., top:bottom, left:right] = 1
    boxes = torch.tensor([[left, top, right, bottom], [0, 0, 0, 0]], dtype=torch.float32).expand(batch, 2, 4)
    labels = torch.tensor([7, -1]).expand(batch, 2)
    return Views(pixels, pixels[:, 0].to(torch.int64), boxes, labels)


def changed(step: ImageAugmentation, views: Views | Tensor, seed: int = 0) -> Views:
    return step(Views(views) if isinstance(views, Tensor) else views, seeded(seed))


def around(pixels: Tensor) -> list[float] | None:
    """The box around what is bright in an image `(height, width)`."""
    rows, columns = (pixels > 0.5).nonzero().unbind(dim=1)
    if len(rows) == 0:
        return None
    return [columns.min().item(), rows.min().item(), columns.max().item() + 1, rows.max().item() + 1]
