"""The network of SimCLR; a plain `nn.Module` that knows nothing of configs."""

from torch import nn

from app.models.network import PartsNetwork


class SimCLRNetwork(PartsNetwork):
    """A network of parts, called by the same names, so that one trained with labels can start from its weights.

    The `projection` beside them is for the loss alone: the forward leaves it out, as the paper does after training
    (Chen et al., 2020, "A simple framework for contrastive learning of visual representations").

    Args:
        parts: the network to embed images with; its parts become this one's.
        projection: from embeddings to what is compared.
    """

    def __init__(self, parts: PartsNetwork, projection: nn.Module) -> None:
        super().__init__(backbone=parts.backbone, neck=parts.neck, pooling=parts.pooling, head=parts.head)
        self.projection = projection
