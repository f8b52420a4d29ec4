"""Images and masks in two folders, `images` and `masks`: the mask of `images/cat.jpg` is `masks/cat.png`.

Masks are PNG, TIFF or BMP files whose pixels hold class indices, as grey values or places in a palette. Hidden files,
which computers leave behind, are passed over; anything else that has no partner is refused.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from app.data_formats.errors import DataFileError
from app.data_formats.image_file import read_image, read_mask, stretched
from app.schemas.image_files import IMAGE_ENDINGS
from app.schemas.problems import did_you_mean

_LEFT_BEHIND: Final = ("Thumbs.db", "desktop.ini")


class ImagesAndMasks(NamedTuple):
    """What a folder holds, in the order of the files' names."""

    images: NDArray[np.float32]
    """`(images, channels, height, width)`, values between 0 and 1."""

    masks: NDArray[np.int64]
    """The class of each pixel, `(images, height, width)`."""

    files: Sequence[Path]
    """The images' files."""


def read_image_folder(folder: Path, *, input_shape: Sequence[int], num_classes: int) -> ImagesAndMasks:
    """All images of a folder with their masks, brought to the height and width of `input_shape`.

    Images are smoothed on the way there; a pixel of a mask takes the class of the nearest one.

    Raises:
        DataFileError: when there are no images, an image or a mask has no partner, they differ in size, or one of them
            cannot be read (`app.data_formats.image_file` says what it reads).
    """
    channels, height, width = input_shape
    found = pairs(folder)
    images = np.empty((len(found), channels, height, width), np.float32)
    masks = np.empty((len(found), height, width), np.int64)
    for place, (image_file, mask_file) in enumerate(found):
        image = read_image(image_file, channels=channels)
        mask = read_mask(mask_file, num_classes=num_classes)
        if mask.shape != image.shape[1:]:
            sizes = [f"{size[1]} by {size[0]} pixels" for size in (image.shape[1:], mask.shape)]
            raise DataFileError(mask_file, "", found=sizes[1], expected=f"{sizes[0]}, as {image_file.name} has")
        images[place] = stretched(image, (height, width))
        masks[place] = _of_nearest(mask, (height, width))
    return ImagesAndMasks(images, masks, [image for image, _ in found])


def pairs(folder: Path) -> list[tuple[Path, Path]]:
    """The files of each image and its mask, in the order of the images' names.

    Raises:
        DataFileError: when there are no images, or one of either has no partner.
    """
    images, masks = (_by_name(image_files(folder / kind)) for kind in ("images", "masks"))
    for kind, having, lacking in (("mask", images, masks), ("image", masks, images)):
        alone = [name for name in having if name not in lacking]
        if alone:
            left = [name for name in lacking if name not in having]
            found = f"none{did_you_mean(alone[0], left)}"
            raise DataFileError(
                having[alone[0]], "", found=found, expected=f"{folder.name}/{kind}s/{alone[0]}.* beside it"
            )
    return [(images[name], masks[name]) for name in images]


def image_files(folder: Path) -> list[Path]:
    """The image files of a folder, in the order of their names.

    Raises:
        DataFileError: when it is no folder, holds no image, or holds something else.
    """
    if not folder.is_dir():
        raise DataFileError(folder, "", found="a file" if folder.exists() else "nothing", expected="a folder of images")
    found = sorted(file for file in folder.iterdir() if not file.name.startswith(".") and file.name not in _LEFT_BEHIND)
    for file in found:
        if file.suffix.lower() not in IMAGE_ENDINGS or not file.is_file():
            raise DataFileError(
                file,
                "",
                found="a folder" if file.is_dir() else f"the ending '{file.suffix}'",
                expected=f"an image file ({', '.join(IMAGE_ENDINGS)})",
            )
    if not found:
        raise DataFileError(folder, "", found="an empty folder", expected="images")
    return found


def _by_name(files: Sequence[Path]) -> dict[str, Path]:
    """The files by their names without endings, which is how an image and its mask find each other."""
    by_name: dict[str, Path] = {}
    for file in files:
        if (other := by_name.setdefault(file.stem, file)) is not file:
            raise DataFileError(file, "", found=f"{other.name} too", expected=f"a single file called {file.stem}")
    return by_name


def _of_nearest(mask: NDArray[np.int64], size: tuple[int, int]) -> NDArray[np.int64]:
    resized = Image.fromarray(mask.astype(np.int32)).resize(size[::-1], Image.Resampling.NEAREST)
    return np.asarray(resized).astype(np.int64)
