"""What a part promises to the part after it, so that a network can wire any backbone, neck, pooling and head."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

from torch import Tensor, nn


class UnfitPartError(ValueError):
    """An argument that does not fit the part before, or that only the library behind the part can judge."""

    def __init__(self, argument: str, message: str) -> None:
        self.argument, self.message = argument, message
        super().__init__(f"{argument}: {message}")

    def __reduce__(self) -> tuple[type["UnfitPartError"], tuple[str, str]]:
        return type(self), (self.argument, self.message)


class Backbone(nn.Module, ABC):
    """Images to feature maps, from fine to coarse."""

    out_channels: tuple[int, ...]
    """Channels of each map."""

    reductions: tuple[int, ...]
    """How many pixels of the image, along each side, one of a map stands for."""

    @abstractmethod
    def forward(self, images: Tensor) -> list[Tensor]:
        """The maps `(batch, channels, height, width)` of images of the same layout."""


class Neck(nn.Module, ABC):
    """Feature maps to feature maps, both from fine to coarse."""

    out_channels: tuple[int, ...]
    """Channels of each map that it gives."""

    reductions: tuple[int, ...]
    """As a backbone's."""

    @abstractmethod
    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """The maps `(batch, channels, height, width)`; each of them counts, so that every parameter is trained."""


class Pooling(nn.Module, ABC):
    """A feature map to a vector for each image."""

    @abstractmethod
    def forward(self, features: Tensor) -> Tensor:
        """The vectors `(batch, channels)` of a map `(batch, channels, height, width)`."""


class Head(nn.Module, ABC):
    """Pooled features to named outputs."""

    output_keys: tuple[str, ...]
    """The names of the outputs."""

    @abstractmethod
    def forward(self, features: Tensor, targets: Mapping[str, Tensor] | None = None) -> dict[str, Tensor]:
        """The outputs for features `(batch, channels)`.

        `targets` are the batch's, by name. Only heads that look at them in training care whether they are there.
        """


class DenseHead(nn.Module, ABC):
    """Feature maps to named outputs with a value for each pixel."""

    output_keys: tuple[str, ...]
    """The names of the outputs."""

    @abstractmethod
    def forward(self, maps: Sequence[Tensor], image_size: tuple[int, int]) -> dict[str, Tensor]:
        """The outputs `(batch, channels, height, width)`, as large as the image, for maps from fine to coarse."""
