"""Poolings: a feature map `(batch, channels, height, width)` becomes vectors `(batch, channels)`.

Plain reductions: unlike torch's adaptive poolings they have a deterministic gradient on a GPU too.
"""

import torch
from torch import Tensor, nn

from app.models.part import Pooling


class AveragePooling(Pooling):
    """The mean of each channel."""

    def forward(self, features: Tensor) -> Tensor:
        """The means."""
        return features.mean(dim=(2, 3))


class MaxPooling(Pooling):
    """The largest value of each channel."""

    def forward(self, features: Tensor) -> Tensor:
        """The maxima."""
        return features.amax(dim=(2, 3))


class GeMPooling(Pooling):
    """Generalised mean (Radenović et al., 2019): the mean of the values' powers, and the root of that."""

    def __init__(self, *, power: float = 3.0, learnable: bool = True, eps: float = 1e-6) -> None:
        super().__init__()
        self.power = nn.Parameter(torch.tensor(power), requires_grad=learnable)
        self.eps = eps

    def forward(self, features: Tensor) -> Tensor:
        """The generalised means; values below `eps` count as `eps`."""
        return features.clamp(min=self.eps).pow(self.power).mean(dim=(2, 3)).pow(1 / self.power)
