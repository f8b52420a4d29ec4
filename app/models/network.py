"""A model made of parts: backbone, neck, pooling and head."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from app.models.part import Backbone, DenseHead, Head, Neck, Pooling


class PartsNetwork(nn.Module):
    """Images through all parts; the submodules are called `backbone`, `neck`, `pooling` and `head`.

    A dense head gets all maps. For any other, the coarsest of a backbone's maps is pooled, as it has seen what the
    others have, or each of a neck's maps, one vector after the other: no parameter goes untrained.
    """

    def __init__(
        self,
        *,
        backbone: Backbone,
        neck: Neck | None = None,
        pooling: Pooling | None = None,
        head: Head | DenseHead,
    ) -> None:
        super().__init__()
        if isinstance(head, DenseHead) != (pooling is None):
            needs = "takes maps as they are" if pooling is not None else "needs a pooling"
            raise ValueError(f"{type(head).__name__} {needs}")
        self.backbone = backbone
        self.neck = neck
        self.pooling = pooling
        self.head = head

    def forward(self, images: Tensor, targets: Tensor | Mapping[str, Tensor] | None = None) -> dict[str, Tensor]:
        """The head's outputs by name, for images `(batch, channels, height, width)`.

        `targets`, by name or as one tensor called `target`, are for heads that need them in training.
        """
        maps: list[Tensor] = self.backbone(images)
        if self.neck is not None:
            maps = self.neck(maps)
        outputs: dict[str, Tensor]
        if self.pooling is None:
            outputs = self.head(maps, tuple(images.shape[-2:]))
        else:
            pooled = maps if self.neck is not None else maps[-1:]
            features = torch.cat([self.pooling(features) for features in pooled], dim=1)
            outputs = self.head(features, {"target": targets} if isinstance(targets, Tensor) else targets)
        return outputs
