"""The necks against what their papers compute, by hand."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from app.models.fpn import FPN
from app.models.part import UnfitPartError
from app.models.unet import UNet

SIZES = [(13, 9), (7, 5), (4, 3)]
CHANNELS = (3, 4, 5)


def maps() -> list[torch.Tensor]:
    return [torch.rand(2, channels, *size) for channels, size in zip(CHANNELS, SIZES, strict=True)]


def test_a_pyramid_keeps_the_sizes_and_evens_the_channels() -> None:
    neck = FPN(CHANNELS, (1, 2, 4), width=6)
    assert [tuple(features.shape) for features in neck(maps())] == [(2, 6, *size) for size in SIZES]
    assert (neck.out_channels, neck.reductions) == ((6, 6, 6), (1, 2, 4))


def test_a_pyramid_adds_each_map_to_the_next_finer_one() -> None:
    neck = FPN((1, 1), (1, 2), width=1)
    for layer in neck.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.dirac_(layer.weight)  # lets everything through as it is
            nn.init.zeros_(torch.as_tensor(layer.bias))
    fine, coarse = torch.rand(1, 1, 4, 4), torch.rand(1, 1, 2, 2)
    joined, same = neck([fine, coarse])
    torch.testing.assert_close(same, coarse)
    torch.testing.assert_close(joined, fine + coarse.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3))


def test_a_unet_ends_as_fine_as_the_finest_map() -> None:
    neck = UNet(CHANNELS, (2, 4, 8))
    (features,) = neck(maps())
    assert features.shape == (2, 3, 13, 9)
    assert (neck.out_channels, neck.reductions) == ((3,), (2,))


def test_a_unets_widths_can_be_chosen() -> None:
    neck = UNet(CHANNELS, (2, 4, 8), channels=(8, 7))
    (features,) = neck(maps())
    assert features.shape == (2, 7, 13, 9)
    assert neck.out_channels == (7,)


def test_a_unet_looks_at_the_skip_and_at_what_is_below() -> None:
    neck = UNet((2, 3), (1, 2)).eval()
    fine, coarse = torch.rand(1, 2, 4, 4), torch.rand(1, 3, 2, 2)
    enlarged = functional.interpolate(neck.up[0](coarse), size=(4, 4))
    (features,) = neck([fine, coarse])
    torch.testing.assert_close(features, neck.join[0](torch.cat([fine, enlarged], dim=1)))


def test_a_unet_refuses_maps_that_do_not_fit() -> None:
    with pytest.raises(UnfitPartError, match="joins two maps or more"):
        UNet((3,), (1,))
    with pytest.raises(UnfitPartError, match=r"channels: expected 2 entries, .* 3 maps; found 1"):
        UNet(CHANNELS, (1, 2, 4), channels=(8,))
