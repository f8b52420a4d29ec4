"""The binary version of CIFAR-10: unlike the Python version it is data alone, with no code in it to be run.

A file is a row of records: a byte with the class, then 3,072 bytes of pixels, all of red, green and blue in turn, each
row by row (Krizhevsky, "The CIFAR-10 dataset", https://www.cs.toronto.edu/~kriz/cifar.html).
"""

from pathlib import Path
from typing import Final

import torch
from torch import Tensor

from app.data_formats.errors import DataFileError

SHAPE: Final = (3, 32, 32)
"""Channels, height and width of an image."""

NUM_CLASSES: Final = 10

_RECORD: Final = 1 + 3 * 32 * 32


def read_cifar10(file: Path, *, num_images: int) -> tuple[Tensor, Tensor]:
    """Images `(num_images, 3, 32, 32)` and the class of each `(num_images)`, both as unsigned bytes.

    Raises:
        DataFileError: when the file is missing, holds another number of records, or a class that there is not.
    """
    expected = f"{num_images} records of {_RECORD} bytes, {num_images * _RECORD} in all"
    try:
        size = file.stat().st_size
        # Before it is read: whatever else may stand there could be of any size.
        if size != num_images * _RECORD:
            whole, rest = divmod(size, _RECORD)
            found = f"{size} bytes, {whole} records" + (f" and {rest} bytes of another" if rest else "")
            raise DataFileError(file, f"byte {min(size, num_images * _RECORD)}", found=found, expected=expected)
        content = bytearray(file.read_bytes())
    except OSError as error:
        raise DataFileError(file, "", found=f"nothing to read: {error.strerror}", expected=expected) from error
    records = torch.frombuffer(content, dtype=torch.uint8).view(num_images, _RECORD)
    classes = records[:, 0]
    wrong = (classes >= NUM_CLASSES).nonzero()
    if len(wrong):
        place = int(wrong[0])
        position, found = f"byte {place * _RECORD}", str(int(classes[place]))
        raise DataFileError(file, position, found=found, expected=f"a class from 0 to {NUM_CLASSES - 1}")
    return records[:, 1:].reshape(num_images, *SHAPE), classes.clone()


def cifar10_bytes(images: Tensor, classes: Tensor) -> bytes:
    """The content of a file with these images `(images, 3, 32, 32)` and classes `(images)`, both unsigned bytes."""
    return torch.cat([classes[:, None], images.flatten(1)], dim=1).numpy().tobytes()
