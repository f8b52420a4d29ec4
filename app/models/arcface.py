"""ArcFace (Deng et al., 2019, "Additive Angular Margin Loss for Deep Face Recognition") as a head."""

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from app.models.part import Head


class ArcFaceHead(Head):
    """`embedding` `(batch, embedding_dim)`, of length 1, and `logits` `(batch, num_classes)`: scaled cosines.

    In training the logit of the right class is `scale * cos(angle + margin)`. That would rise again where the two
    exceed half a turn, so from there on it is `scale * (cos(angle) - margin * sin(margin))`, which falls.
    """

    output_keys = ("logits", "embedding")

    def __init__(
        self,
        in_channels: int,
        *,
        num_classes: int,
        embedding_dim: int = 128,
        scale: float = 64.0,
        margin: float = 0.5,
        target: str = "target",
    ) -> None:
        super().__init__()
        self.scale, self.margin, self.target = scale, margin, target
        self.linear = nn.Linear(in_channels, embedding_dim)
        self.centres = nn.Parameter(torch.empty(num_classes, embedding_dim))
        nn.init.xavier_uniform_(self.centres)

    def forward(self, features: Tensor, targets: Mapping[str, Tensor] | None = None) -> dict[str, Tensor]:
        """Scores with the margin in training, for which `targets` names the right classes `(batch,)`; without it else.

        Raises:
            ValueError: in training without the target.
        """
        embedding = functional.normalize(self.linear(features))
        # A cosine in half precision is off by more than the scale forgives.
        with torch.autocast(features.device.type, enabled=False):
            embedding = embedding.to(self.centres.dtype)
            cosines = functional.linear(embedding, functional.normalize(self.centres))
            if self.training:
                cosines = self._with_margin(cosines, self._right_classes(targets))
            return {"logits": self.scale * cosines, "embedding": embedding}

    def _right_classes(self, targets: Mapping[str, Tensor] | None) -> Tensor:
        if targets is None or self.target not in targets:
            found = "none" if targets is None else ", ".join(targets)
            raise ValueError(f"ArcFace needs the target '{self.target}' in training; the batch's targets: {found}")
        return targets[self.target]

    def _with_margin(self, cosines: Tensor, classes: Tensor) -> Tensor:
        right = classes[:, None] == torch.arange(cosines.shape[1], device=cosines.device)
        # The sine's gradient is infinite at an angle of 0.
        sines = (1 - cosines.square()).clamp(min=1e-12).sqrt()
        widened = cosines * math.cos(self.margin) - sines * math.sin(self.margin)
        beyond = cosines - self.margin * math.sin(self.margin)
        return torch.where(right, torch.where(cosines > -math.cos(self.margin), widened, beyond), cosines)
