"""One image file, read with Pillow: as an input of a model, or as a mask of class indices.

Only formats that Pillow decodes itself are read: others it would hand to programs, as EPS to Ghostscript.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from app.data_formats.errors import DataFileError

_FORMATS: Final = ("PNG", "JPEG", "BMP", "TIFF", "WEBP", "PPM")
_OF_MASKS: Final = ("PNG", "BMP", "TIFF")
_IMAGE: Final = "an image (PNG, JPEG, BMP, TIFF, WebP, PGM or PPM)"
_MASK: Final = "a mask (PNG, BMP or TIFF) with a class index for each pixel"
_OF_16_BITS: Final = ("I;16", "I;16L", "I;16B")

_YES_OR_NO: Final = 2
_WHITE: Final = 255
"""What many programs write into a mask for yes."""

_ORIENTATION: Final = 0x0112
_ON_ITS_SIDE: Final = (5, 6, 7, 8)
"""EXIF's orientations of images that are shown with width and height swapped."""


def read_image(file: Path, *, channels: int, size: tuple[int, int] | None = None) -> NDArray[np.float32]:
    """The image as `(channels, height, width)`, values between 0 and 1, the way up that its EXIF data says.

    One channel is its brightness, three are red, green and blue. What is transparent becomes white, as viewers show
    it. Grey images of 16 bits keep their precision; of coloured ones Pillow reads the upper 8 bits.

    Args:
        file: the file.
        channels: 1 or 3.
        size: height and width; an image of another size is stretched to it, and smoothed where it shrinks.

    Raises:
        DataFileError: when the file is missing, damaged, or no such image.
    """
    assert channels in (1, 3), f"an image file has a brightness or three colours, found {channels} channels"
    decoded = _decoded(file, _FORMATS, _IMAGE)
    pixels = decoded.pixels
    if pixels.mode in ("I", "F", *_OF_16_BITS):
        image = np.stack([_finely_graded(file, decoded)] * channels)
    else:
        if pixels.has_transparency_data:
            pixels = Image.alpha_composite(Image.new("RGBA", pixels.size, "white"), pixels.convert("RGBA"))
        # By way of RGB, since from some modes there is no direct way to grey.
        values = np.asarray(pixels.convert("RGB").convert("L" if channels == 1 else "RGB"), dtype=np.float32)
        image = values.reshape(*values.shape[:2], channels).transpose(2, 0, 1) / np.float32(255)
    return np.ascontiguousarray(image) if size is None else stretched(image, size)


def image_size(file: Path) -> tuple[int, int]:
    """Height and width of the image as `read_image` gives it, of which the file's first bytes tell.

    Raises:
        DataFileError: when the file is missing, damaged at its beginning, or no such image.
    """
    with _opened(file, _FORMATS, _IMAGE) as image:
        width, height = image.size
        return (width, height) if image.getexif().get(_ORIENTATION) in _ON_ITS_SIDE else (height, width)


def stretched(image: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    """An image `(channels, height, width)` at another height and width, smoothed where it shrinks."""
    if image.shape[1:] == size:
        return image
    planes = [Image.fromarray(plane).resize(size[::-1], Image.Resampling.BILINEAR) for plane in image]
    return np.stack([np.asarray(plane) for plane in planes])


def read_mask(file: Path, *, num_classes: int) -> NDArray[np.int64]:
    """The class of each pixel, `(height, width)`: the pixels' own values, or their places in the palette.

    Raises:
        DataFileError: when the file is missing or damaged, is of a format that does not keep values as they are
            (such as JPEG), holds colours, or holds an index that is no class.
    """
    decoded = _decoded(file, _OF_MASKS, _MASK)
    mode = decoded.pixels.mode
    # Pillow stretches grey values of 2 and 4 bits to the range of 8.
    if mode not in ("1", "L", "P", "I", *_OF_16_BITS) or (mode == "L" and decoded.stored_as != "L"):
        raise DataFileError(file, "", found=f"pixels stored as {decoded.stored_as}", expected=f"{_MASK}, 8 or 16 bits")
    classes = np.asarray(decoded.pixels).astype(np.int64)
    beyond = np.argwhere((classes < 0) | (classes >= num_classes))
    if len(beyond):
        row, column = beyond[0].tolist()
        where = f"row {row + 1}, column {column + 1}"
        found = str(classes[row, column])
        if num_classes == _YES_OR_NO and set(np.unique(classes).tolist()) <= {0, _WHITE}:
            found += f"; classes are numbered from 0, so write 1 for {_WHITE}"
        raise DataFileError(file, where, found=found, expected=f"a class from 0 to {num_classes - 1}")
    return classes


class _Decoded(NamedTuple):
    pixels: Image.Image
    format: str
    stored_as: str


def _decoded(file: Path, formats: tuple[str, ...], expected: str) -> _Decoded:
    """The whole image, the right way up, and how the file has it."""
    with _opened(file, formats, expected) as image:
        stored_as = _stored_as(image)
        image.load()
        return _Decoded(ImageOps.exif_transpose(image), str(image.format), stored_as)


@contextmanager
def _opened(file: Path, formats: tuple[str, ...], expected: str) -> Iterator[Image.Image]:
    """The image before its pixels are decoded; whatever is wrong with the file is said of the file."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about files that are odd, and can be read all the same
            with Image.open(file, formats=formats) as image:
                yield image
    except FileNotFoundError:
        raise DataFileError(file, "", found="no such file", expected=expected) from None
    except UnidentifiedImageError:
        found = "an empty file" if file.stat().st_size == 0 else "something else, or a damaged beginning"
        raise DataFileError(file, "", found=found, expected=expected) from None
    except Exception as error:  # decoders raise whatever they come across
        found = f"one that cannot be read ({type(error).__name__}: {error})"
        raise DataFileError(file, "", found=found, expected=expected) from error


def _stored_as(image: Image.Image) -> str:
    """Pillow's name for how the file has its pixels: `L;4` for grey of 4 bits, which becomes mode `L`."""
    tiles = getattr(image, "tile", ())  # those of an image that comes from a file
    arguments = tiles[0].args if tiles else None
    kept = arguments[0] if isinstance(arguments, tuple) and arguments else arguments
    return kept if isinstance(kept, str) else image.mode


def _finely_graded(file: Path, decoded: _Decoded) -> NDArray[np.float32]:
    """Grey values of more than 8 bits, brought to the range from 0 to 1."""
    values = np.asarray(decoded.pixels).astype(np.float32)
    if decoded.pixels.mode in _OF_16_BITS or decoded.format == "PPM":
        return values / np.float32(65535)
    if decoded.pixels.mode == "I":  # nothing says which of so many values is white
        raise DataFileError(file, "", found="whole numbers of 32 bits", expected="grey values of 8 or 16 bits")
    if not ((values >= 0) & (values <= 1)).all():
        found = f"values from {values.min():g} to {values.max():g}"
        raise DataFileError(file, "", found=found, expected="real numbers between 0 and 1")
    return values
