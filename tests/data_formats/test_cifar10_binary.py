from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from app.data_formats.cifar10_binary import read_cifar10
from app.data_formats.errors import DataFileError

RECORD = bytes((7,)) + bytes(index // 1024 for index in range(3072))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "batch.bin"


def refused(file: Path, content: bytes) -> str:
    """What is said of a file with that content, after its name."""
    file.write_bytes(content)
    with pytest.raises(DataFileError) as caught:
        read_cifar10(file, num_images=2)
    return str(caught.value).partition("batch.bin: ")[2]


def test_records_become_images_and_classes(file: Path) -> None:
    file.write_bytes(RECORD + bytes(3073))

    images, classes = read_cifar10(file, num_images=2)

    assert classes.tolist() == [7, 0]
    assert images.shape == (2, 3, 32, 32)
    assert torch.equal(images[0], torch.arange(3, dtype=torch.uint8).view(3, 1, 1).expand(3, 32, 32))
    assert not images[1].any()


def test_each_kind_of_damage_is_named_with_its_place(file: Path) -> None:
    expected = "expected 2 records of 3073 bytes, 6146 in all, found "

    assert refused(file, RECORD) == f"byte 3073: {expected}3073 bytes, 1 records"
    assert refused(file, RECORD * 3) == f"byte 6146: {expected}9219 bytes, 3 records"
    assert refused(file, RECORD * 2 + b"\0") == f"byte 6146: {expected}6147 bytes, 2 records and 1 bytes of another"
    assert refused(file, b"") == f"byte 0: {expected}0 bytes, 0 records"
    assert refused(file, RECORD + b"\x0a" + RECORD[1:]) == "byte 3073: expected a class from 0 to 9, found 10"


def test_a_missing_file_is_named(file: Path) -> None:
    with pytest.raises(
        DataFileError, match=r"batch.bin: expected 2 records of .*, found nothing to read: No such file"
    ):
        read_cifar10(file, num_images=2)


@settings(max_examples=60, deadline=None)
@given(length=st.integers(0, 7000), place=st.integers(0, 7000), byte=st.integers(0, 255))
def test_changed_bytes_give_a_refusal_or_a_right_result(
    tmp_path_factory: pytest.TempPathFactory, length: int, place: int, byte: int
) -> None:
    file = tmp_path_factory.getbasetemp() / "changed.bin"
    content = bytearray((RECORD * 3)[: length if place % 2 else 6146])
    if content:
        content[place % len(content)] = byte
    file.write_bytes(bytes(content))

    try:
        images, classes = read_cifar10(file, num_images=2)
    except DataFileError:
        assert len(content) != 6146 or max(content[0], content[3073]) > 9
        return
    records = torch.cat([classes[:, None], images.flatten(1)], dim=1)
    assert records.numpy().tobytes() == bytes(content)
