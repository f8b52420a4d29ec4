"""The detector: a plain `nn.Module` that looks for an object at each location of its maps, and knows no configs."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from app.models.part import Backbone, Neck, UnfitPartError
from app.tasks.detection.matching import Locations

_RARE = 0.01
"""The share of locations that are taken to have an object before anything is learnt (Lin et al., 2017)."""


class Detector(nn.Module):
    """FCOS: one stage and no anchors (Tian et al., "FCOS", ICCV 2019, arXiv:1904.01355), for small images.

    Each pixel of each map says for every class whether it is near the middle of an object, how far the sides of the
    object's box are, and how central in it the pixel is. One head looks at all maps.

    Args:
        backbone: makes the maps.
        neck: makes maps of one width from those of the backbone that are coarse enough.
        input_shape: channels, height and width of the images.
        num_classes: kinds of object.
        num_unused: how many of the backbone's maps are too fine to look at, as `num_fine_maps` says.
        head_depth: convolutions of the head, before the last.
        object_size: the longest side, in pixels of a map, of the objects that a map looks for. Smaller ones are left to
            the finer maps, and the coarsest one looks for all that are larger.
    """

    points: Tensor
    steps: Tensor
    smallest: Tensor
    largest: Tensor

    def __init__(
        self,
        backbone: Backbone,
        neck: Neck,
        input_shape: Sequence[int],
        num_classes: int,
        *,
        num_unused: int,
        head_depth: int,
        object_size: float,
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.neck = neck
        self.num_unused = num_unused
        width, *others = neck.out_channels
        if any(other != width for other in others):
            raise UnfitPartError("neck", f"one head looks at all maps, whose widths differ: {neck.out_channels}")
        self.class_tower = _tower(width, head_depth)
        self.box_tower = _tower(width, head_depth)
        self.classes = nn.Conv2d(width, num_classes, kernel_size=3, padding=1)
        self.sides = nn.Conv2d(width, 4, kernel_size=3, padding=1)
        self.centerness = nn.Conv2d(width, 1, kernel_size=3, padding=1)
        assert self.classes.bias is not None
        nn.init.constant_(self.classes.bias, -math.log((1 - _RARE) / _RARE))
        for name, values in self._located(input_shape, object_size)._asdict().items():
            self.register_buffer(name, values, persistent=False)

    @property
    def locations(self) -> Locations:
        """Where it looks for objects."""
        return Locations(self.points, self.steps, self.smallest, self.largest)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """What each location says of images `(batch, channels, height, width)`.

        Returns:
            Scores before sigmoid for each class, `class_logits` `(batch, locations, classes)`, and of being central,
            `centerness_logits` `(batch, locations)`; and `candidate_boxes` `(batch, locations, 4)`: left, top, right
            and bottom in pixels.
        """
        classes, sides, centerness = [], [], []
        for features in self._maps(images):
            what, where = self.class_tower(features), self.box_tower(features)
            classes.append(_by_location(self.classes(what)))
            sides.append(_by_location(self.sides(where)))
            centerness.append(_by_location(self.centerness(where)))
        distances = functional.softplus(torch.cat(sides, dim=1)) * self.steps[:, None]
        corners = [self.points - distances[..., :2], self.points + distances[..., 2:]]
        return {
            "class_logits": torch.cat(classes, dim=1),
            "centerness_logits": torch.cat(centerness, dim=1).squeeze(-1),
            "candidate_boxes": torch.cat(corners, dim=-1),
        }

    def _maps(self, images: Tensor) -> list[Tensor]:
        maps: list[Tensor] = self.neck(self.backbone(images)[self.num_unused :])
        return maps

    @torch.no_grad()
    def _located(self, input_shape: Sequence[int], object_size: float) -> Locations:
        """One look at an image says how large the maps are, whatever the parts make of a remainder."""
        self.eval()
        maps = self._maps(torch.zeros(1, *input_shape))
        self.train()
        points, steps, smallest, largest = [], [], [], []
        for place, (features, step) in enumerate(zip(maps, self.neck.reductions, strict=True)):
            height, width = features.shape[-2:]
            down, across = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
            points.append((torch.stack([across, down], dim=-1).reshape(-1, 2) + 0.5) * step)
            ones = torch.ones(height * width)
            steps.append(step * ones)
            smallest.append((self.neck.reductions[place - 1] * object_size if place else 0.0) * ones)
            largest.append((step * object_size if place + 1 < len(maps) else torch.inf) * ones)
        return Locations(torch.cat(points), torch.cat(steps), torch.cat(smallest), torch.cat(largest))


def num_fine_maps(backbone: Backbone, finest_step: int) -> int:
    """How many of a backbone's maps are too fine to look at.

    Raises:
        UnfitPartError: when all are.
    """
    unused = sum(1 for reduction in backbone.reductions if reduction < finest_step)
    if unused == len(backbone.reductions):
        found = f"the backbone's coarsest map has a pixel for {backbone.reductions[-1]} of the image"
        raise UnfitPartError("finest_step", f"{found}, expected {backbone.reductions[-1]} at most, found {finest_step}")
    return unused


def _tower(width: int, depth: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for _ in range(depth):
        # Normalised over each image by itself, since maps of different sizes go through one tower.
        norm = nn.GroupNorm(math.gcd(8, width), width)
        layers += [nn.Conv2d(width, width, kernel_size=3, padding=1, bias=False), norm, nn.ReLU()]
    return nn.Sequential(*layers)


def _by_location(values: Tensor) -> Tensor:
    """A map `(batch, channels, height, width)` as `(batch, height * width, channels)`."""
    return values.flatten(2).transpose(1, 2)
