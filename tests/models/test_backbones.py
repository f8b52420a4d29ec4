"""Our own backbones: the shapes they promise, on images of any size, and what their papers say of them."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from app.models.conv import ConvBackbone
from app.models.conv_mixer import ConvMixer
from app.models.part import Backbone
from app.models.small_resnet import SmallResNet

BACKBONES: dict[str, Callable[[int], Backbone]] = {
    "small_resnet": lambda in_channels: SmallResNet(in_channels, depth=14, width=4),
    "conv": lambda in_channels: ConvBackbone(in_channels, channels=(4, 6, 5)),
    "conv_mixer": lambda in_channels: ConvMixer(in_channels, width=4, depth=2, patch_size=3, kernel_size=3),
}


@pytest.mark.parametrize("size", [(8, 8), (32, 32), (13, 9), (2, 1)])
@pytest.mark.parametrize("in_channels", [1, 3])
@pytest.mark.parametrize("name", BACKBONES)
def test_maps_are_as_promised(name: str, in_channels: int, size: tuple[int, int]) -> None:
    backbone = BACKBONES[name](in_channels)
    maps = backbone(torch.rand(2, in_channels, *size))
    height, width = size
    assert [tuple(features.shape) for features in maps] == [
        (2, channels, -(-height // reduction), -(-width // reduction))
        for channels, reduction in zip(backbone.out_channels, backbone.reductions, strict=True)
    ]


@pytest.mark.parametrize("name", BACKBONES)
def test_the_coarsest_map_has_seen_all_that_is_trained(name: str) -> None:
    backbone = BACKBONES[name](1)
    backbone(torch.rand(2, 1, 13, 9))[-1].square().sum().backward()
    assert_all_reached(backbone)


@pytest.mark.parametrize(("depth", "millions"), [(20, 0.27), (32, 0.46), (44, 0.66), (56, 0.85), (110, 1.7)])
def test_the_residual_network_is_as_large_as_in_the_paper(depth: int, millions: float) -> None:
    backbone = SmallResNet(3, depth=depth)
    head = 64 * 10 + 10
    found = sum(parameter.numel() for parameter in backbone.parameters()) + head
    assert found / 1e6 == pytest.approx(millions, abs=0.05 if depth == 110 else 0.006)
    convolutions = [layer for layer in backbone.modules() if isinstance(layer, nn.Conv2d)]
    assert len(convolutions) + 1 == depth


def test_a_shortcut_takes_every_second_pixel_and_pads_the_channels() -> None:
    backbone = SmallResNet(1, depth=8, width=2)
    stage = backbone.stages[1]
    for layer in stage.modules():
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.zeros_(layer.weight)  # leaves nothing but the shortcut
    features = torch.rand(1, 2, 5, 4)
    expected = torch.zeros(1, 4, 3, 2)
    expected[:, :2] = features[:, :, ::2, ::2]
    torch.testing.assert_close(stage(features), expected)


def test_a_patch_over_the_edge_is_filled_up() -> None:
    mixer = ConvMixer(1, width=2, depth=1, patch_size=2).eval()
    images = torch.rand(1, 1, 5, 3)
    padded = torch.zeros(1, 1, 6, 4)
    padded[:, :, :5, :3] = images
    torch.testing.assert_close(mixer(images), mixer(padded))


def assert_all_reached(module: nn.Module) -> None:
    gradients: dict[str, Tensor | None] = {name: parameter.grad for name, parameter in module.named_parameters()}
    assert gradients
    assert [name for name, gradient in gradients.items() if gradient is None or not gradient.any()] == []
