"""The fingerprint by which a test split is recognised: a SHA-256 over everything in it.

Results of two runs can be compared only when both were tested on the same data. The task pins the fingerprint, it is
verified before testing, and it is stored with the results.
"""

from hashlib import sha256
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset

from app.schemas.problems import AppError


class FingerprintError(AppError):
    """The test split is not the one that the task is defined by."""

    def __init__(self, task: str, *, found: str, expected: str) -> None:
        self.task, self.found, self.expected = task, found, expected
        super().__init__(
            f"the test split is not the one that task '{task}' is defined by, so its results could not be compared: "
            f"its fingerprint is {found}, expected {expected}"
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored_error, (self.task, self.found, self.expected)


def _restored_error(task: str, found: str, expected: str) -> FingerprintError:
    return FingerprintError(task, found=found, expected=expected)


def fingerprint(dataset: Dataset[Any]) -> str:
    """SHA-256 over the tensors of every sample in order: type, shape and values, the same on every machine."""
    digest = sha256()
    size = len(dataset)  # type: ignore[arg-type]  # torch leaves __len__ out of Dataset, map-style ones have it
    for index in range(size):
        for tensor in _tensors(dataset[index]):
            digest.update(f"{tensor.dtype} {tuple(tensor.shape)} ".encode())
            digest.update(_little_endian(tensor))
    return digest.hexdigest()


def _tensors(sample: Any) -> list[Tensor]:
    """The tensors of a sample, nested ones too; mappings are read in the order of their keys' names."""
    if isinstance(sample, Tensor):
        return [sample]
    if isinstance(sample, bool | int | float):
        return [torch.tensor(sample)]
    if isinstance(sample, dict):
        return [tensor for key in sorted(sample) for tensor in _tensors(sample[key])]
    if isinstance(sample, tuple | list):
        return [tensor for item in sample for tensor in _tensors(item)]
    raise TypeError(f"a sample of the test split holds a {type(sample).__name__}; fingerprints are made of tensors")


def _little_endian(tensor: Tensor) -> bytes:
    values = tensor.detach().cpu().contiguous().numpy()
    return values.astype(values.dtype.newbyteorder("<"), copy=False).tobytes()
