"""Data held in memory, read a batch at a time, and the order in which training reads it.

What training sees is a function of the seed, the epoch and the sample alone. It depends neither on the number of
workers nor on what else draws random numbers, so two runs with one seed see the same batches to the last bit.
"""

import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

import numpy as np
import torch
from numpy.random import SeedSequence
from torch import Generator, Tensor
from torch.utils._pytree import tree_map
from torch.utils.data import BatchSampler, DataLoader, Dataset, DistributedSampler, default_collate


class Batch(NamedTuple):
    """One sample, or several along the first dimension."""

    inputs: Tensor
    targets: Any
    """A tensor, or tensors by name where there are several."""


Augmentation = Callable[[Batch, Generator], Batch]
"""Random changes to a batch, drawn from nothing but the generator."""


class BatchIndices(list[int]):
    """The positions of a batch's samples in a dataset, which also know the random seed of their epoch."""

    def __init__(self, positions: Iterable[int], epoch_seed: int = 0) -> None:
        super().__init__(positions)
        self.epoch_seed = epoch_seed


class ShuffledSampler(DistributedSampler[int]):
    """Every sample once, in an order that is a function of the seed and the epoch.

    Of several processes each gets its share of that order: `rank`, `rank + num_replicas`, and so on. A few samples come
    twice then, so that the shares are equal. Lightning calls `set_epoch` before each epoch, after a resume too, and
    puts no sampler of its own in the place of this one, because it knows its base class.
    """

    def __init__(self, size: int, seed: int, *, rank: int = 0, num_replicas: int = 1) -> None:
        super().__init__(range(size), num_replicas=num_replicas, rank=rank, seed=0)  # type: ignore[arg-type]  # it asks for the length alone
        self.size = size
        self.seed = seed
        self._start = 0

    def set_epoch(self, epoch: int) -> None:
        """Make the next iteration the one of `epoch`."""
        if epoch != self.epoch:
            self._start = 0
        self.epoch = epoch

    def start_at(self, position: int) -> None:
        """Make the next iteration, and that one alone, begin after so many samples of this process's share."""
        self._start = position

    def __iter__(self) -> Iterator[int]:
        start, self._start = self._start, 0
        order = torch.randperm(self.size, generator=Generator().manual_seed(self.epoch_seed))
        # Begun anew where the shares would not be equal otherwise.
        share = torch.arange(self.rank, self.total_size, self.num_replicas) % self.size
        yield from order[share][start:].tolist()

    def __len__(self) -> int:
        return self.num_samples

    @property
    def epoch_seed(self) -> int:
        """The seed of everything that is random in reading this epoch."""
        return derived_seed(self.seed, self.epoch)


class SeededBatches(BatchSampler):
    """The batches of a `ShuffledSampler`, each of which knows the epoch's seed, in workers too.

    Of another sampler they are torch's own. Lightning puts one in where it trains on a few batches again and again.
    """

    def __iter__(self) -> Iterator[list[int]]:
        seed = self.sampler.epoch_seed if isinstance(self.sampler, ShuffledSampler) else 0
        for positions in super().__iter__():
            yield BatchIndices(positions, seed)


def with_seeded_batches(loader: DataLoader[Any]) -> DataLoader[Any]:
    """The loader, whose batches know their epoch from now on.

    Torch takes either a sampler, which Lightning looks for and leaves as it is, or one of batches; this one has both.
    So it is put in behind the back of `DataLoader.__setattr__`, which takes no other once there is one.
    """
    assert loader.batch_size is not None, "a loader of samples makes batches"
    vars(loader)["batch_sampler"] = SeededBatches(loader.sampler, loader.batch_size, loader.drop_last)
    return loader


class BatchLoader(DataLoader[Any]):
    """Torch's, which reads data held in memory itself when there are no workers.

    A batch is one index operation then, and the iterator around it would take half as long again.
    """

    def __iter__(self) -> Any:
        """The batches, through torch's iterator where there is anything for it to do."""
        if self.num_workers or self.pin_memory or not isinstance(self.dataset, InMemoryDataset):
            return super().__iter__()
        return map(self.dataset.__getitems__, self._index_sampler)


_CHUNK: Final = 256
"""Samples that are changed at once where all of them are."""


class InMemoryDataset(Dataset[Batch]):
    """Inputs and targets held as tensors, one row for each sample; targets may be several tensors by name.

    A batch is gathered by one indexing operation and augmented as a whole, which is many times faster than sample by
    sample. Pass `collate` to the `DataLoader`. Some of the samples are a `part` of it: torch's `Subset` hides from the
    augmentation which epoch it is.
    """

    def __init__(
        self,
        inputs: Tensor,
        targets: Tensor | Mapping[str, Tensor],
        augmentation: Augmentation | None = None,
        *,
        ids: Sequence[str] | None = None,
    ) -> None:
        by_name = {"target": targets} if isinstance(targets, Tensor) else targets
        for name, target in by_name.items():
            assert len(inputs) == len(target), f"{len(inputs)} inputs for {len(target)} of {name}"
        self.inputs = inputs
        self.targets = targets
        self.augmentation = augmentation
        self.ids = ids
        """What the samples are called where predictions are written; None where only their order tells them apart."""

    def __len__(self) -> int:
        return len(self.inputs)

    def __getitem__(self, index: int) -> Batch:
        inputs, targets = self.__getitems__([index])
        return Batch(inputs[0], _rows(targets, 0))

    def __getitems__(self, indices: Sequence[int]) -> Batch:
        """The samples at `indices` as one batch."""
        rows = torch.tensor(indices)
        batch = Batch(self.inputs.index_select(0, rows), _rows(self.targets, rows))
        if self.augmentation is None:
            return batch
        return self.augmentation(batch, Generator().manual_seed(_seed_of(indices)))

    def part(self, places: Tensor, augmentation: Augmentation | None = None) -> "InMemoryDataset":
        """The samples at `places`, in that order, with an augmentation of their own."""
        ids = None if self.ids is None else [self.ids[place] for place in places.tolist()]
        return InMemoryDataset(self.inputs[places], _rows(self.targets, places), augmentation, ids=ids)


def held_in_memory(dataset: Dataset[Any], augmentation: Augmentation, seed: int) -> InMemoryDataset:
    """All samples of a dataset, changed once: what is random is drawn from the seed, whatever size batches have."""
    size = len(dataset)  # type: ignore[arg-type]  # map-style datasets have a length
    samples = SeededDataset(dataset)
    batches = []
    for start in range(0, size, _CHUNK):
        batch = collate(samples.__getitems__(range(start, min(start + _CHUNK, size))))
        batches.append(augmentation(Batch(*batch), Generator().manual_seed(derived_seed(seed, start))))
    inputs, targets = (tree_map(lambda *parts: torch.cat(parts), *parts) for parts in zip(*batches, strict=True))
    return InMemoryDataset(inputs, targets, ids=getattr(dataset, "ids", None))


def _rows(targets: Tensor | Mapping[str, Tensor], rows: Tensor | int) -> Any:
    return targets[rows] if isinstance(targets, Tensor) else {name: target[rows] for name, target in targets.items()}


class SeededDataset(Dataset[Any]):
    """A dataset of any kind, whose random changes become a function of the seed, the epoch and the batch.

    Whatever it draws from the global generators of Python, NumPy and torch is drawn from that seed, in a worker as in
    the main process, whose own generators go on afterwards as if nothing had been drawn.
    """

    def __init__(self, dataset: Dataset[Any]) -> None:
        self.dataset = dataset

    def __len__(self) -> int:
        return len(self.dataset)  # type: ignore[arg-type]  # map-style datasets have a length

    def __getitem__(self, index: int) -> Any:
        with _drawing_from(_seed_of([index])):
            return self.dataset[index]

    def __getitems__(self, indices: Sequence[int]) -> Any:
        """The samples at `indices`, one by one or as a batch, as the dataset hands them out."""
        at_once = getattr(self.dataset, "__getitems__", None)
        with _drawing_from(_seed_of(indices)):
            return [self.dataset[index] for index in indices] if at_once is None else at_once(indices)


def collate(samples: Any) -> Any:
    """Torch's `default_collate`, except that what is already a batch is left as it is."""
    return samples if isinstance(samples, Batch) else default_collate(samples)


def derived_seed(*parts: int) -> int:
    """A seed that is a function of several whole numbers, unrelated for neighbouring ones."""
    return int(SeedSequence(parts).generate_state(1, "uint64")[0])


def _seed_of(indices: Sequence[int]) -> int:
    """A batch's own seed: no two batches of an epoch start with the same sample."""
    return derived_seed(getattr(indices, "epoch_seed", 0), indices[0])


@contextmanager
def _drawing_from(seed: int) -> Iterator[None]:
    """Seed the global generators for a while."""
    before = random.getstate(), np.random.get_state(), torch.get_rng_state()  # what others draw from
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.default_generator.manual_seed(seed)
    try:
        yield
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])
        torch.set_rng_state(before[2])
