import gzip
import struct
import tracemalloc
from contextlib import suppress
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from app.data_formats.errors import DataFileError
from app.data_formats.idx import read_images, read_labelled_images, read_labels

SIZE = (2, 3)
PIXELS = bytes(range(24))
IMAGES = struct.pack(">4I", 0x803, 4, *SIZE) + PIXELS
LABELS = struct.pack(">2I", 0x801, 4) + bytes((0, 9, 3, 3))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "file.gz"


def refused(file: Path, content: bytes, *, labels: bool = False) -> str:
    """What is said of a file with that content, after its name."""
    file.write_bytes(content)
    with pytest.raises(DataFileError) as caught:
        read_labels(file, num_classes=10) if labels else read_images(file, size=SIZE)
    assert caught.value.file == file
    return str(caught.value).partition("file.gz: ")[2]


@pytest.mark.parametrize("pack", [gzip.compress, bytes])
def test_a_file_is_read_packed_or_plain_whatever_its_name(file: Path, tmp_path: Path, pack: type[bytes]) -> None:
    file.write_bytes(pack(IMAGES))
    labels_file = tmp_path / "labels"
    labels_file.write_bytes(pack(LABELS))

    images, labels = read_labelled_images(file, labels_file, size=SIZE, num_classes=10)

    assert torch.equal(images, torch.arange(24, dtype=torch.uint8).view(4, 2, 3))
    assert labels.tolist() == [0, 9, 3, 3]
    assert labels.dtype == torch.uint8


@pytest.mark.parametrize("pack", [gzip.compress, bytes])
def test_each_kind_of_damage_is_named_with_its_place(file: Path, pack: type[bytes]) -> None:
    def said(content: bytes) -> str:
        return refused(file, pack(content))

    magic = "byte 0: expected 0x00000803 (unsigned bytes in 3 dimensions, as IDX files of images begin), found "
    assert said(LABELS) == magic + "0x00000801"
    assert said(b"\0\0\x0d\3" + IMAGES[4:]) == magic + "0x00000d03"
    assert said(b"<html>not found</html>") == magic + "0x3c68746d"
    assert said(IMAGES[:3]) == magic + "0x000008"
    assert said(IMAGES[:9]) == "byte 9: expected the rest of the header, found the end"
    assert said(IMAGES[:-1]) == "byte 39: expected the rest of 24 bytes of 4 images, found the end"
    assert said(IMAGES + b"\0") == "byte 40: expected the end after the 4 images of byte 4, found more"
    assert said(struct.pack(">4I", 0x803, 3, *SIZE) + PIXELS) == (
        "byte 34: expected the end after the 3 images of byte 4, found more"
    )
    assert said(struct.pack(">4I", 0x803, 4, 3, 2) + PIXELS) == "byte 8: expected 2 pixels of height, found 3"
    assert said(struct.pack(">4I", 0x803, 4, 2, 4) + PIXELS) == "byte 12: expected 3 pixels of width, found 4"
    assert said(struct.pack(">4I", 0x803, 0, *SIZE)) == "byte 4: expected any images at all, found 0"
    assert refused(file, pack(LABELS[:-1] + b"\x0a"), labels=True) == (
        "byte 11: expected a label from 0 to 9, found 10"
    )


def test_an_empty_file_is_refused(file: Path) -> None:
    assert refused(file, b"").endswith("as IDX files of images begin), found nothing")


def test_what_only_begins_as_gzip_is_refused(file: Path) -> None:
    packed = gzip.compress(IMAGES)
    crc = bytearray(packed)
    crc[-6] ^= 1

    assert refused(file, b"\x1f\x8b no gzip").startswith("expected a whole gzip file, found it damaged: ")
    assert refused(file, packed[:-9]).startswith("expected a whole gzip file, found it damaged: ")
    assert refused(file, bytes(crc)).startswith("expected a whole gzip file, found it damaged: CRC check failed")
    assert refused(file, packed + b"rubbish").startswith("expected a whole gzip file, found it damaged: ")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataFileError, match=r"gone\.gz: expected an IDX file, found nothing to read: No such file"):
        read_images(tmp_path / "gone.gz", size=SIZE)


def test_images_and_labels_that_do_not_belong_together_are_refused(file: Path, tmp_path: Path) -> None:
    file.write_bytes(IMAGES)
    labels = tmp_path / "labels"
    labels.write_bytes(struct.pack(">2I", 0x801, 3) + bytes(3))

    with pytest.raises(
        DataFileError, match=r"labels: byte 4: expected 4 labels, as many as file.gz has images, found 3"
    ):
        read_labelled_images(file, labels, size=SIZE, num_classes=10)


@pytest.mark.parametrize("packed", [True, False])
def test_a_header_that_lies_takes_no_memory(file: Path, packed: bool) -> None:
    lie = struct.pack(">4I", 0x803, 0xFFFFFFFF, *SIZE) + PIXELS
    tracemalloc.start()
    try:
        message = refused(file, gzip.compress(lie) if packed else lie)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert message == "byte 4: expected as many as its bytes have room for, found 4294967295 images"
    assert peak < 2**20


_CHANGES = st.lists(st.tuples(st.integers(0, 200), st.integers(0, 255)), min_size=1, max_size=4)


@settings(max_examples=150, deadline=None)
@given(changes=_CHANGES, length=st.integers(0, 80), packed=st.booleans(), packed_after=st.booleans())
def test_changed_bytes_give_a_refusal_or_a_right_result(
    tmp_path_factory: pytest.TempPathFactory,
    changes: list[tuple[int, int]],
    length: int,
    packed: bool,
    packed_after: bool,
) -> None:
    file = tmp_path_factory.getbasetemp() / "changed"
    content = bytearray(gzip.compress(IMAGES) if packed else IMAGES)[: length + 10]
    for place, byte in changes:
        content[place % len(content)] = byte
    _reads_or_refuses(file, gzip.compress(content) if packed_after else bytes(content))


@settings(max_examples=100, deadline=None)
@given(content=st.binary(max_size=60), begin=st.sampled_from([b"", b"\x1f\x8b\x08\x00", IMAGES[:8], IMAGES[:16]]))
def test_any_bytes_give_a_refusal_or_a_right_result(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, begin: bytes
) -> None:
    _reads_or_refuses(tmp_path_factory.getbasetemp() / "any", begin + content)


def _reads_or_refuses(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    try:
        images = read_images(file, size=SIZE)
    except DataFileError:
        return
    header = struct.pack(">4I", 0x803, len(images), *SIZE)
    with suppress(gzip.BadGzipFile):  # plain
        content = gzip.decompress(content)
    assert header + images.numpy().tobytes() == content
