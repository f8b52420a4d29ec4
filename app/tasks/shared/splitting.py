"""Which samples are train, val and test, by their places: the divisions that all tasks share."""

import torch
from torch import Generator, Tensor

from app.schemas.splitting import SplitConfig


def train_and_val(size: int, config: SplitConfig, *, classes: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """The places of train and of val among `size` samples, both in a random order that depends on `split_seed` alone.

    Each gets one sample at least, if there are two.

    Args:
        size: how many samples there are outside the test split.
        config: the shares, and how much of train is used.
        classes: the class of each sample, `(size)`; of each class the same share is train, so that val has rare ones
            too.
    """
    order = _shuffled(size, config)
    in_order = torch.zeros(size, dtype=torch.int64) if classes is None else classes[order]
    is_train = torch.zeros(size, dtype=torch.bool)
    for found in set(in_order.tolist()):
        places = (in_order == found).nonzero()[:, 0]
        share = round(config.train_val_split[0] * len(places))
        is_train[places[: max(1, min(share, len(places) - 1))]] = True
    return _used(order[is_train], config), order[~is_train]


def train_alone(size: int, config: SplitConfig) -> Tensor:
    """The places of the samples to train on where all `size` are for that, as val is there already; in random order."""
    return _used(_shuffled(size, config), config)


def every_fifth_of_each(classes: Tensor) -> Tensor:
    """Which samples are the test split, `(samples)`: in the order they come in, the fifth, tenth, … of each class.

    No random generator has a part in it, so that it is the same in every version of every library.
    """
    is_test = torch.zeros(len(classes), dtype=torch.bool)
    for found in set(classes.tolist()):
        is_test[(classes == found).nonzero()[4::5, 0]] = True
    return is_test


def _shuffled(size: int, config: SplitConfig) -> Tensor:
    return torch.randperm(size, generator=Generator().manual_seed(config.split_seed))


def _used(train: Tensor, config: SplitConfig) -> Tensor:
    return train[: max(1, round(config.train_fraction * len(train)))]
