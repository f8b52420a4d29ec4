"""The multilayer perceptron: as a whole model, and as a backbone for other parts to follow."""

from collections.abc import Sequence
from itertools import pairwise
from math import prod

from torch import Tensor, nn

from app.models.part import Backbone


class MLP(nn.Module):
    """Linear layers over all values of the input, with ReLU and dropout in between."""

    def __init__(
        self,
        input_shape: Sequence[int],
        num_outputs: int,
        *,
        hidden_dims: Sequence[int],
        dropout: float,
        batch_norm: bool = False,
    ) -> None:
        super().__init__()
        self.backbone = _hidden_layers(input_shape, hidden_dims, dropout=dropout, batch_norm=batch_norm)
        self.head = nn.Linear((prod(input_shape), *hidden_dims)[-1], num_outputs)

    def forward(self, inputs: Tensor) -> Tensor:
        """`(batch, num_outputs)`, such as scores before softmax, for inputs `(batch, *input_shape)`."""
        outputs: Tensor = self.head(self.backbone(inputs))
        return outputs


class MLPBackbone(Backbone):
    """The hidden layers alone, for inputs of any shape: a single map, of one pixel that stands for all of the input."""

    def __init__(
        self,
        input_shape: Sequence[int],
        *,
        hidden_dims: Sequence[int] = (128, 128),
        dropout: float = 0.1,
        batch_norm: bool = False,
    ) -> None:
        super().__init__()
        self.out_channels = (hidden_dims[-1],)
        self.reductions = (max(1, *input_shape[1:], 1),)
        self.layers = _hidden_layers(input_shape, hidden_dims, dropout=dropout, batch_norm=batch_norm)

    def forward(self, images: Tensor) -> list[Tensor]:
        """The map `(batch, hidden_dims[-1], 1, 1)` of inputs `(batch, *input_shape)`."""
        return [self.layers(images)[:, :, None, None]]


def _hidden_layers(
    input_shape: Sequence[int], hidden_dims: Sequence[int], *, dropout: float, batch_norm: bool
) -> nn.Sequential:
    layers: list[nn.Module] = [nn.Flatten()]
    for in_dim, out_dim in pairwise((prod(input_shape), *hidden_dims)):
        # Batch normalisation shifts by a bias of its own, so the layer before it needs none.
        normalised = [nn.BatchNorm1d(out_dim)] if batch_norm else []
        layers += [nn.Linear(in_dim, out_dim, bias=not batch_norm), *normalised, nn.ReLU(), nn.Dropout(dropout)]
    return nn.Sequential(*layers)
