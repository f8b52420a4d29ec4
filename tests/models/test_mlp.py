import pytest
import torch
from torch import nn

from app.models.mlp import MLP


@pytest.mark.parametrize("hidden_dims", [(), (32,), (32, 16)])
@pytest.mark.parametrize("shape", [(1, 8, 8), (30,)])
def test_each_sample_gets_the_outputs_asked_for(hidden_dims: tuple[int, ...], shape: tuple[int, ...]) -> None:
    model = MLP(shape, 10, hidden_dims=hidden_dims, dropout=0.1)

    assert model(torch.rand(5, *shape)).shape == (5, 10)


def test_no_hidden_layer_leaves_a_linear_model() -> None:
    model = MLP((1, 8, 8), 10, hidden_dims=(), dropout=0.0)

    assert sum(parameter.numel() for parameter in model.parameters()) == 64 * 10 + 10


def test_hidden_layers_are_normalised_where_that_is_asked_for() -> None:
    model = MLP((4,), 3, hidden_dims=(8, 6), dropout=0.0, batch_norm=True)

    normalised = [layer.num_features for layer in model.backbone if isinstance(layer, nn.BatchNorm1d)]
    assert normalised == [8, 6]
    assert all(layer.bias is None for layer in model.backbone if isinstance(layer, nn.Linear))
