"""The heads without a method of their own: linear, embedding, segmentation, and several heads at once."""

from collections.abc import Mapping, Sequence

from torch import Tensor, nn
from torch.nn import functional

from app.models.part import DenseHead, Head, UnfitPartError


class LinearHead(Head):
    """A linear layer: `logits`, `(batch, num_classes)`."""

    output_keys = ("logits",)

    def __init__(self, in_channels: int, *, num_classes: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(in_channels, num_classes)

    def forward(
        self,
        features: Tensor,
        targets: Mapping[str, Tensor] | None = None,  # noqa: ARG002  # every head is offered them
    ) -> dict[str, Tensor]:
        """One score for each class."""
        return {"logits": self.linear(self.dropout(features))}


class EmbeddingHead(Head):
    """A linear layer onto the unit sphere: `embedding`, `(batch, embedding_dim)`."""

    output_keys = ("embedding",)

    def __init__(self, in_channels: int, *, embedding_dim: int = 128) -> None:
        super().__init__()
        self.linear = nn.Linear(in_channels, embedding_dim)

    def forward(
        self,
        features: Tensor,
        targets: Mapping[str, Tensor] | None = None,  # noqa: ARG002  # every head is offered them
    ) -> dict[str, Tensor]:
        """Vectors of length 1."""
        return {"embedding": functional.normalize(self.linear(features))}


class SegmentationHead(DenseHead):
    """Scores of every pixel: `logits`, `(batch, num_classes, height, width)`, as large as the image.

    A 1 by 1 convolution scores each map; the scores are enlarged and added up (Long et al., 2015).
    """

    output_keys = ("logits",)

    def __init__(self, in_channels: Sequence[int], *, num_classes: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.dropout = nn.Dropout2d(dropout)
        # One bias is enough for a sum.
        self.score = nn.ModuleList(
            nn.Conv2d(channels, num_classes, kernel_size=1, bias=place == 0)
            for place, channels in enumerate(in_channels)
        )

    def forward(self, maps: Sequence[Tensor], image_size: tuple[int, int]) -> dict[str, Tensor]:
        """Scores before softmax, or before the sigmoid where there is a single class."""
        scores = [
            functional.interpolate(score(self.dropout(features)), size=image_size, mode="bilinear")
            for score, features in zip(self.score, maps, strict=True)
        ]
        return {"logits": sum(scores[1:], start=scores[0])}


class MultiHead(Head):
    """Several heads over the same features, each a child module under its own key.

    What a head gives is called `<key>_<name>`: `digit_logits` for the logits of the head `digit`. Only the `main` one's
    outputs go by their plain names.

    Raises:
        UnfitPartError: when a key is the name of something that every module has.
    """

    def __init__(self, *, heads: Mapping[str, Head], main: str | None = None) -> None:
        super().__init__()
        self._prefixes = {key: "" if key == main else f"{key}_" for key in heads}
        self.output_keys = tuple(self._prefixes[key] + name for key, head in heads.items() for name in head.output_keys)
        for key, head in heads.items():
            if hasattr(self, key):
                raise UnfitPartError(f"heads.{key}", f"expected another key: torch's modules have a '{key}' themselves")
            self.add_module(key, head)

    def forward(self, features: Tensor, targets: Mapping[str, Tensor] | None = None) -> dict[str, Tensor]:
        """The outputs of all heads."""
        return {
            self._prefixes[key] + name: value
            for key, head in self.named_children()
            for name, value in head(features, targets).items()
        }
