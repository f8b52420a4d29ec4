"""What several parts are made of: 3 by 3 convolutions with batch normalisation and ReLU."""

from itertools import pairwise

from torch import nn


def convolutions(*channels: int) -> nn.Sequential:
    """Convolutions that lead from each number of channels to the next, the image's size unchanged."""
    layers: list[nn.Module] = []
    for ins, outs in pairwise(channels):
        # Batch normalisation shifts by a bias of its own, so the convolutions need none.
        layers += [nn.Conv2d(ins, outs, kernel_size=3, padding=1, bias=False), nn.BatchNorm2d(outs), nn.ReLU()]
    return nn.Sequential(*layers)
