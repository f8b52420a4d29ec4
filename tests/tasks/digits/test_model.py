import pytest
import torch
from torch import nn

from app.tasks.digits.model import CNN


@pytest.mark.parametrize(
    ("model", "shape"),
    [
        (CNN((1, 8, 8), 10, channels=(4,), dropout=0.1), (1, 8, 8)),
        (CNN((1, 8, 8), 10, channels=(4, 6, 8), dropout=0.1), (1, 8, 8)),
        (CNN((3, 9, 12), 10, channels=(4, 6), dropout=0.1), (3, 9, 12)),
    ],
)
def test_each_image_gets_a_score_for_each_class(model: nn.Module, shape: tuple[int, ...]) -> None:
    assert model(torch.rand(5, *shape)).shape == (5, 10)
