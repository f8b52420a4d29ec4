from contextlib import suppress
from io import BytesIO
from pathlib import Path
from struct import pack
from typing import Any
from zlib import compress, crc32

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from app.data_formats.errors import DataFileError
from app.data_formats.image_file import image_size, read_image, read_mask
from app.schemas.image_files import IMAGE_ENDINGS

GREY = np.arange(0, 240, 10, dtype=np.uint8).reshape(4, 6)
DEEP = (np.arange(24, dtype=np.uint16) * 2700 + 1).reshape(4, 6)
COLOURS = np.stack([GREY, GREY[::-1], GREY[:, ::-1]], axis=-1)
CLASSES = np.arange(24, dtype=np.uint8).reshape(4, 6) % 3


def _saved(folder: Path, pixels: NDArray[Any], name: str = "image.png", **how: Any) -> Path:
    Image.fromarray(pixels).save(folder / name, **how)
    return folder / name


def _as_bytes(image: Image.Image, form: str) -> bytes:
    memory = BytesIO()
    image.save(memory, form)
    return memory.getvalue()


WHOLE = {
    ending: _as_bytes(Image.fromarray(COLOURS if ending != ".pgm" else GREY), form)
    for ending, form in zip(
        IMAGE_ENDINGS, ("PNG", "JPEG", "JPEG", "BMP", "TIFF", "TIFF", "WEBP", "PPM", "PPM"), strict=True
    )
}


@pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.tif", "a.ppm"])
def test_colours_become_channels(name: str, tmp_path: Path) -> None:
    image = read_image(_saved(tmp_path, COLOURS, name), channels=3)

    assert (image.shape, str(image.dtype)) == ((3, 4, 6), "float32")
    np.testing.assert_allclose(image, COLOURS.transpose(2, 0, 1) / 255, atol=1e-6)


def test_grey_is_one_channel_or_three_alike(tmp_path: Path) -> None:
    file = _saved(tmp_path, GREY)

    np.testing.assert_allclose(read_image(file, channels=1), GREY[None] / 255, atol=1e-6)
    np.testing.assert_allclose(read_image(file, channels=3), np.stack([GREY] * 3) / 255, atol=1e-6)


def test_one_channel_of_a_coloured_image_is_its_brightness(tmp_path: Path) -> None:
    pixels = np.zeros((1, 3, 3), np.uint8)
    pixels[0] = [[255, 0, 0], [0, 255, 0], [0, 0, 255]]

    red, green, blue = read_image(_saved(tmp_path, pixels), channels=1)[0, 0]

    assert green > red > blue > 0
    assert red + green + blue == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.pgm"])
def test_sixteen_bits_keep_their_precision(name: str, tmp_path: Path) -> None:
    file = _saved(tmp_path, DEEP, name)

    np.testing.assert_allclose(read_image(file, channels=1), DEEP[None] / 65535, atol=1e-7)
    np.testing.assert_allclose(read_image(file, channels=3), np.stack([DEEP] * 3) / 65535, atol=1e-7)


def test_what_is_transparent_is_white(tmp_path: Path) -> None:
    black = np.zeros((1, 2, 4), np.uint8)
    black[0, 0, 3] = 255

    image = read_image(_saved(tmp_path, black), channels=3)

    assert image[:, 0].T.tolist() == [[0, 0, 0], [1, 1, 1]]


def test_a_palette_is_looked_up(tmp_path: Path) -> None:
    coloured = Image.fromarray(np.array([[0, 1]], np.uint8), "P")
    coloured.putpalette([0, 0, 0, 255, 0, 51])
    coloured.save(tmp_path / "image.png")

    image = read_image(tmp_path / "image.png", channels=3)

    np.testing.assert_allclose(image[:, 0].T, np.array([[0, 0, 0], [1, 0, 0.2]]), atol=1e-6)


def test_a_photograph_is_turned_as_its_exif_data_says(tmp_path: Path) -> None:
    lying = Image.Exif()
    lying[0x0112] = 6  # to be turned by a quarter, clockwise

    image = read_image(_saved(tmp_path, GREY, exif=lying), channels=1)

    np.testing.assert_allclose(image[0], np.rot90(GREY, -1) / 255, atol=1e-6)


def test_the_size_of_an_image_is_that_in_which_it_is_shown(tmp_path: Path) -> None:
    file = tmp_path / "photo.jpg"
    turned = Image.Exif()
    for orientation, expected in ((1, (2, 3)), (3, (2, 3)), (6, (3, 2))):
        turned[0x0112] = orientation
        Image.new("RGB", (3, 2)).save(file, exif=turned)
        assert image_size(file) == read_image(file, channels=1).shape[1:] == expected


@pytest.mark.parametrize("pixels", [GREY, COLOURS, DEEP], ids=["grey", "colours", "16 bits"])
def test_another_size_is_stretched_to_the_one_asked_for(pixels: NDArray[Any], tmp_path: Path) -> None:
    file = _saved(tmp_path, pixels)

    smaller = read_image(file, channels=1, size=(2, 3))

    assert smaller.shape == (1, 2, 3)
    assert smaller.mean() == pytest.approx(read_image(file, channels=1).mean(), abs=0.01)


def test_real_numbers_lie_between_0_and_1(tmp_path: Path) -> None:
    right = _saved(tmp_path, np.array([[0, 0.25, 1]], np.float32), "right.tif")
    assert read_image(right, channels=1)[0, 0].tolist() == [0, 0.25, 1]

    for value in (1.5, -0.1, float("nan")):
        wrong = _saved(tmp_path, np.array([[0, value]], np.float32), "wrong.tif")
        with pytest.raises(DataFileError, match=r"wrong\.tif: expected real numbers between 0 and 1, found values"):
            read_image(wrong, channels=1)


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", "found an empty file"),
        (b"P7 no such thing", "found something else, or a damaged beginning"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "found something else, or a damaged beginning"),
        (WHOLE[".png"][:-30], r"found one that cannot be read \(OSError: "),
        (WHOLE[".jpg"][:-30], r"found one that cannot be read \(OSError: "),
        (WHOLE[".png"].replace(b"IDAT", b"IDAX"), "found one that cannot be read|found something else"),
    ],
    ids=["empty", "another kind", "a program", "a png cut off", "a jpeg cut off", "a changed byte"],
)
def test_a_damaged_file_is_refused_with_its_name(content: bytes, found: str, tmp_path: Path) -> None:
    file = tmp_path / "cat.png"
    file.write_bytes(content)

    with pytest.raises(DataFileError, match=rf"cat\.png: expected an image \(PNG, .*{found}"):
        read_image(file, channels=3)


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataFileError, match=r"none\.png: .*found no such file"):
        read_image(tmp_path / "none.png", channels=3)
    with pytest.raises(DataFileError, match=f"{tmp_path.name}: .*IsADirectoryError"):
        read_image(tmp_path, channels=3)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_whatever_a_file_holds_it_is_read_or_refused(data: st.DataObject, tmp_path: Path) -> None:
    content = bytearray(data.draw(st.sampled_from(sorted(WHOLE.values()))))
    for _ in range(data.draw(st.integers(0, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    file = tmp_path / "mutated"
    file.write_bytes(content[: data.draw(st.integers(0, len(content)))])

    with suppress(DataFileError):
        image = read_image(file, channels=3, size=(4, 6))
        assert image.shape == (3, 4, 6)
        assert 0 <= image.min() <= image.max() <= 1
    with suppress(DataFileError):
        mask = read_mask(file, num_classes=3)
        assert 0 <= mask.min() <= mask.max() < 3


@pytest.mark.parametrize(
    ("pixels", "name"),
    [
        (CLASSES, "mask.png"),
        (CLASSES, "mask.bmp"),
        (CLASSES, "mask.tif"),
        (CLASSES.astype(np.uint16), "mask.png"),
        (CLASSES.astype(np.int32), "mask.tif"),
    ],
)
def test_a_mask_holds_the_index_of_each_pixels_class(pixels: NDArray[Any], name: str, tmp_path: Path) -> None:
    mask = read_mask(_saved(tmp_path, pixels, name), num_classes=3)

    assert mask.dtype == np.int64
    assert mask.tolist() == CLASSES.tolist()


def test_a_mask_may_show_its_classes_in_the_colours_of_a_palette(tmp_path: Path) -> None:
    coloured = Image.fromarray(CLASSES, "P")
    coloured.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0])
    coloured.save(tmp_path / "mask.png")

    assert read_mask(tmp_path / "mask.png", num_classes=3).tolist() == CLASSES.tolist()


def test_a_mask_may_be_black_and_white(tmp_path: Path) -> None:
    Image.fromarray(CLASSES == 1).save(tmp_path / "mask.png")

    assert read_mask(tmp_path / "mask.png", num_classes=2).tolist() == (CLASSES == 1).astype(int).tolist()


def test_an_index_that_is_no_class_is_refused_with_its_place(tmp_path: Path) -> None:
    file = _saved(tmp_path, CLASSES, "mask.png")

    with pytest.raises(DataFileError) as caught:
        read_mask(file, num_classes=2)

    assert caught.value.position == "row 1, column 3"
    assert str(caught.value).endswith("mask.png: row 1, column 3: expected a class from 0 to 1, found 2")


def test_what_to_write_into_a_mask_of_black_and_white_is_said(tmp_path: Path) -> None:
    file = _saved(tmp_path, np.where(CLASSES == 1, 255, 0).astype(np.uint8), "mask.png")

    with pytest.raises(DataFileError) as caught:
        read_mask(file, num_classes=2)

    hint = "classes are numbered from 0, so write 1 for 255"
    assert str(caught.value).endswith(f": expected a class from 0 to 1, found 255; {hint}")


@pytest.mark.parametrize(
    ("pixels", "name", "found"),
    [
        (COLOURS, "mask.png", "found pixels stored as RGB"),
        (CLASSES, "mask.jpg", "found something else"),
        (CLASSES.astype(np.float32), "mask.tif", "found pixels stored as F"),
    ],
)
def test_a_mask_of_colours_is_refused(pixels: NDArray[Any], name: str, found: str, tmp_path: Path) -> None:
    with pytest.raises(DataFileError, match=rf"{name}: expected a mask .* with a class index for each pixel.*{found}"):
        read_mask(_saved(tmp_path, pixels, name), num_classes=3)


def test_grey_values_that_pillow_stretches_are_refused(tmp_path: Path) -> None:
    (tmp_path / "mask.png").write_bytes(_png_of_grey(width=4, height=1, bits=2, rows=b"\x00\x1b"))

    assert read_image(tmp_path / "mask.png", channels=1)[0, 0].tolist() == pytest.approx([0, 1 / 3, 2 / 3, 1])
    with pytest.raises(DataFileError, match=r"found pixels stored as L;2"):
        read_mask(tmp_path / "mask.png", num_classes=256)


def _png_of_grey(*, width: int, height: int, bits: int, rows: bytes) -> bytes:
    """Pillow itself writes grey of 1, 8 and 16 bits only."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return pack(">I", len(content)) + kind + content + pack(">I", crc32(kind + content))

    header = pack(">IIBBBBB", width, height, bits, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", compress(rows)) + chunk(b"IEND", b"")
