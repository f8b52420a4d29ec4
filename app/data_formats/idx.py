"""IDX files, the format in which MNIST and its likes are published, packed by gzip or plain.

A big-endian header says what follows: two zero bytes, the type of the values, the number of dimensions, and the size
of each as 32 bits; then come the values, row by row (LeCun, Cortes and Burges, "The MNIST database").
"""

import gzip
import zlib
from collections.abc import Sequence
from io import BufferedIOBase
from math import prod
from pathlib import Path
from typing import Final

import torch
from torch import Tensor

from app.data_formats.errors import DataFileError

_GZIP: Final = b"\x1f\x8b"
_BYTES: Final = 0x08
"""The type code of unsigned bytes, the only type that images and labels have."""

_LARGEST_RATIO: Final = 1032
"""Deflate packs no more bytes than this into one, so a header that claims more than its file can hold is a lie."""

_CHUNK: Final = 2**20


def read_labelled_images(
    images_file: Path, labels_file: Path, *, size: tuple[int, int], num_classes: int
) -> tuple[Tensor, Tensor]:
    """Images `(images, height, width)` and the class of each `(images)`, both as unsigned bytes.

    Raises:
        DataFileError: when a file is missing, damaged or something else, or the two do not belong together.
    """
    images = read_images(images_file, size=size)
    labels = read_labels(labels_file, num_classes=num_classes)
    if len(images) != len(labels):
        expected = f"{len(images)} labels, as many as {images_file.name} has images"
        raise DataFileError(labels_file, "byte 4", found=str(len(labels)), expected=expected)
    return images, labels


def read_images(file: Path, *, size: tuple[int, int]) -> Tensor:
    """Grey images `(images, height, width)` of the size `(height, width)`, as unsigned bytes.

    Raises:
        DataFileError: when the file is missing, damaged or something else.
    """
    return _read(file, "images", size)


def read_labels(file: Path, *, num_classes: int) -> Tensor:
    """Classes `(labels)` from 0 to `num_classes - 1`, as unsigned bytes.

    Raises:
        DataFileError: when the file is missing, damaged or something else, or a label is none of the classes.
    """
    labels = _read(file, "labels", ())
    wrong = (labels >= num_classes).nonzero()
    if len(wrong):
        place = int(wrong[0])
        raise DataFileError(
            file, f"byte {8 + place}", found=str(int(labels[place])), expected=f"a label from 0 to {num_classes - 1}"
        )
    return labels


def idx_bytes(values: Tensor) -> bytes:
    """The content of an unpacked IDX file with these unsigned bytes."""
    sizes = b"".join(size.to_bytes(4) for size in values.shape)
    return bytes((0, 0, _BYTES, values.ndim)) + sizes + values.contiguous().numpy().tobytes()


def _read(file: Path, things: str, size: Sequence[int]) -> Tensor:
    """The values as a tensor; positions in errors are those of the unpacked bytes."""
    try:
        room = file.stat().st_size
        with file.open("rb") as plain:
            packed = plain.read(2) == _GZIP
            plain.seek(0)
            if not packed:
                return _parse(file, plain, things, size, room=room)
            with gzip.open(plain) as stream:
                return _parse(file, stream, things, size, room=room * _LARGEST_RATIO)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataFileError(file, "", found=f"it damaged: {error}", expected="a whole gzip file") from error
    except OSError as error:
        raise DataFileError(file, "", found=f"nothing to read: {error.strerror}", expected="an IDX file") from error


def _parse(file: Path, stream: BufferedIOBase, things: str, size: Sequence[int], *, room: int) -> Tensor:
    magic = bytes((0, 0, _BYTES, 1 + len(size)))
    header = stream.read(4 * (2 + len(size)))
    if header[:4] != magic:
        meaning = f"0x{magic.hex()} (unsigned bytes in {1 + len(size)} dimensions, as IDX files of {things} begin)"
        raise DataFileError(file, "byte 0", found=f"0x{header[:4].hex()}" if header else "nothing", expected=meaning)
    if len(header) < 4 * (2 + len(size)):
        raise DataFileError(file, f"byte {len(header)}", found="the end", expected="the rest of the header")
    count, *found_size = (int.from_bytes(header[place : place + 4]) for place in range(4, len(header), 4))
    for place, (found, expected) in enumerate(zip(found_size, size, strict=True)):
        if found != expected:
            pixels = f"{expected} pixels of {('height', 'width')[place]}"
            raise DataFileError(file, f"byte {8 + 4 * place}", found=str(found), expected=pixels)
    if count == 0:
        raise DataFileError(file, "byte 4", found="0", expected=f"any {things} at all")
    total = count * prod(size)
    if total > room:
        raise DataFileError(file, "byte 4", found=f"{count} {things}", expected="as many as its bytes have room for")
    values = bytearray()
    while len(values) < total and (chunk := stream.read(min(_CHUNK, total - len(values)))):
        values += chunk
    if len(values) < total:
        rest = f"the rest of {total} bytes of {count} {things}"
        raise DataFileError(file, f"byte {len(header) + len(values)}", found="the end", expected=rest)
    if stream.read(1):
        raise DataFileError(
            file, f"byte {len(header) + total}", found="more", expected=f"the end after the {count} {things} of byte 4"
        )
    return torch.frombuffer(values, dtype=torch.uint8).view(count, *size)
