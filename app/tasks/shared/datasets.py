"""Data held in memory, read a batch at a time, and the order in which training reads it.

What training sees is a function of the seed, the epoch and the sample alone. It depends neither on the number of
workers nor on what else draws random numbers, so two runs with one seed see the same batches to the last bit.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import torch
from numpy.random import SeedSequence
from torch import Generator, Tensor
from torch.utils.data import Dataset, Sampler, default_collate

Augmentation = Callable[[Tensor, Generator], Tensor]
"""Random changes to a batch of inputs, drawn from nothing but the generator."""


class Batch(NamedTuple):
    """One sample, or several along the first dimension."""

    inputs: Tensor
    targets: Tensor


class SampleIndex(int):
    """The position of a sample in a dataset, which also knows the random seed of the epoch that it is read in."""

    epoch_seed: int

    def __new__(cls, position: int, epoch_seed: int = 0) -> "SampleIndex":
        """The index of the sample at `position`."""
        index = super().__new__(cls, position)
        index.epoch_seed = epoch_seed
        return index


class ShuffledSampler(Sampler[int]):
    """Every sample once, in an order that is a function of the seed and the epoch.

    Lightning calls `set_epoch` before each epoch, after a resume too.
    """

    def __init__(self, size: int, seed: int) -> None:
        self.size = size
        self.seed = seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Make the next iteration the one of `epoch`."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[int]:
        seed = derived_seed(self.seed, self.epoch)
        for position in torch.randperm(self.size, generator=Generator().manual_seed(seed)).tolist():
            yield SampleIndex(position, seed)

    def __len__(self) -> int:
        return self.size


class InMemoryDataset(Dataset[Batch]):
    """Inputs and targets held as tensors, one row for each sample.

    A batch is gathered by one indexing operation and augmented as a whole, which is many times faster than sample by
    sample. Pass `collate` to the `DataLoader`. To take a part of the data, index the tensors: torch's `Subset` hides
    from the augmentation which epoch it is.
    """

    def __init__(self, inputs: Tensor, targets: Tensor, augmentation: Augmentation | None = None) -> None:
        assert len(inputs) == len(targets), f"{len(inputs)} inputs for {len(targets)} targets"
        self.inputs = inputs
        self.targets = targets
        self.augmentation = augmentation

    def __len__(self) -> int:
        return len(self.inputs)

    def __getitem__(self, index: int) -> Batch:
        inputs, targets = self.__getitems__([index])
        return Batch(inputs[0], targets[0])

    def __getitems__(self, indices: Sequence[int]) -> Batch:
        """The samples at `indices` as one batch."""
        rows = torch.tensor(indices)
        inputs = self.inputs[rows]
        if self.augmentation is not None:
            # No two batches of an epoch start with the same sample.
            seed = derived_seed(getattr(indices[0], "epoch_seed", 0), int(indices[0]))
            inputs = self.augmentation(inputs, Generator().manual_seed(seed))
        return Batch(inputs, self.targets[rows])


def collate(samples: Any) -> Any:
    """Torch's `default_collate`, except that what is already a batch is left as it is."""
    return samples if isinstance(samples, Batch) else default_collate(samples)


def derived_seed(*parts: int) -> int:
    """A seed that is a function of several whole numbers, unrelated for neighbouring ones."""
    return int(SeedSequence(parts).generate_state(1, "uint64")[0])
