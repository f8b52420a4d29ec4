from hashlib import sha256
from typing import Any

import pytest
import torch
from torch.utils.data import Dataset, Subset, TensorDataset

from app.tasks.shared.datasets import InMemoryDataset
from app.tasks.shared.fingerprint import fingerprint


class Listed(Dataset[Any]):
    def __init__(self, *samples: Any) -> None:
        self.samples = samples

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> Any:
        return self.samples[index]


def test_it_is_a_hash_of_type_shape_and_values() -> None:
    dataset = TensorDataset(torch.tensor([[1, 2], [3, 4]], dtype=torch.int16))

    expected = sha256(b"torch.int16 (2,) \x01\x00\x02\x00torch.int16 (2,) \x03\x00\x04\x00").hexdigest()

    assert fingerprint(dataset) == expected


@pytest.mark.parametrize(
    "other",
    [
        TensorDataset(torch.tensor([[3, 4], [1, 2]])),
        TensorDataset(torch.tensor([[1, 2], [3, 5]])),
        TensorDataset(torch.tensor([[1, 2], [3, 4], [5, 6]])),
        TensorDataset(torch.tensor([[1, 2], [3, 4]], dtype=torch.int32)),
        TensorDataset(torch.tensor([[[1], [2]], [[3], [4]]])),
        TensorDataset(torch.tensor([[1, 2], [3, 4]]), torch.tensor([0, 1])),
        Subset(TensorDataset(torch.tensor([[1, 2], [3, 4]])), [0]),
    ],
)
def test_everything_about_the_data_counts(other: Dataset[Any]) -> None:
    assert fingerprint(other) != fingerprint(TensorDataset(torch.tensor([[1, 2], [3, 4]])))


def test_how_the_data_is_held_does_not_count() -> None:
    inputs, targets = torch.arange(12.0).view(4, 3), torch.arange(4)
    in_memory = fingerprint(InMemoryDataset(inputs, targets))

    assert fingerprint(TensorDataset(inputs, targets)) == in_memory
    assert fingerprint(InMemoryDataset(inputs.T.contiguous().T, targets)) == in_memory
    assert fingerprint(Listed(*((inputs[i], int(targets[i])) for i in range(4)))) == in_memory


def test_mappings_are_read_in_the_order_of_their_names() -> None:
    one, two = torch.tensor(1), torch.tensor(2)

    assert fingerprint(Listed({"a": one, "b": two})) == fingerprint(Listed({"b": two, "a": one}))
    assert fingerprint(Listed({"a": one, "b": two})) != fingerprint(Listed({"a": two, "b": one}))


def test_what_has_no_bytes_of_its_own_is_refused() -> None:
    with pytest.raises(TypeError, match="holds a object; fingerprints are made of tensors"):
        fingerprint(Listed(object()))
