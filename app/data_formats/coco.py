"""COCO's annotations of boxes: a JSON file that names images, categories and the objects in the images.

Of its parts (https://cocodataset.org/#format-data) these are read: `images` with `id`, `file_name`, `width` and
`height`, `categories` with `id` and `name`, and `annotations` with `id`, `image_id`, `category_id` and `bbox`. Regions
marked as a crowd (`iscrowd`: 1) are no single object, and left out. Nothing here imports torch.
"""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any, Final, NamedTuple, NoReturn

from app.data_formats.errors import DataFileError
from app.data_formats.image_file import image_size
from app.schemas.problems import show

_SLACK: Final = 1.0
"""Pixels that a box may stick out by, as rounding leaves it; that much is cut off."""

_KINDS: Final = {"int": "a whole number", "str": "a text", "list": "a list", "dict": "an object"}


class CocoImage(NamedTuple):
    """An image, and the objects in it."""

    file: Path
    width: int
    height: int

    boxes: tuple[tuple[float, float, float, float], ...]
    """Left, top, right and bottom in pixels, within the image."""

    labels: tuple[int, ...]
    """The category of each, as its place in `CocoAnnotations.categories`."""


class CocoAnnotations(NamedTuple):
    """What an annotation file says."""

    images: tuple[CocoImage, ...]
    """In the order of the file."""

    categories: tuple[str, ...]
    """Their names, in the order of their ids."""


def read_coco(file: Path) -> CocoAnnotations:
    """The annotations in `file`; the images' names are relative to its folder.

    Raises:
        DataFileError: when the file is missing or no JSON; when it lacks something or has a value of another type; when
            ids, names of categories or images occur twice, or ids name nothing; when boxes are empty or leave their
            image, or there is none; or when an image is missing, outside the folder, no image, or of another size than
            the file says.
    """
    document = _Part(file, "", _parsed(file))
    names = _categories(document)
    places = {number: place for place, number in enumerate(names)}

    images = document.all_of("images")
    numbers = [image.whole("id") for image in images]
    _require_unique(document, "images", numbers)
    sizes = {number: _size(image) for number, image in zip(numbers, images, strict=True)}
    found: dict[int, list[tuple[tuple[float, float, float, float], int]]] = {number: [] for number in numbers}
    annotations = document.all_of("annotations")
    _require_unique(document, "annotations", [annotation.whole("id") for annotation in annotations])
    for annotation in annotations:
        number, category = annotation.whole("image_id"), annotation.whole("category_id")
        if number not in found:
            annotation.refuse("image_id", expected="the id of an image")
        if category not in places:
            annotation.refuse("category_id", expected="the id of a category")
        box = _box(annotation, sizes[number])
        if not _is_crowd(annotation):
            found[number].append((box, places[category]))
    _require_an_object(document, annotations)
    # One that is trained on could be a sample of val too.
    files = [PurePosixPath(image.text("file_name")).as_posix() for image in images]
    _require_unique(document, "images", files, "file_name", expected="a file of its own")
    return CocoAnnotations(
        images=tuple(
            CocoImage(
                _image_file(image, sizes[number]),
                *sizes[number],
                boxes=tuple(box for box, _ in found[number]),
                labels=tuple(label for _, label in found[number]),
            )
            for number, image in zip(numbers, images, strict=True)
        ),
        categories=tuple(names.values()),
    )


def read_categories(file: Path) -> tuple[str, ...]:
    """The names of the categories in `file`, in the order of their ids; no image is looked at.

    Raises:
        DataFileError: when the file is missing or no JSON, its categories are damaged, or it has no object of any.
    """
    document = _Part(file, "", _parsed(file))
    _require_an_object(document, document.all_of("annotations"))
    return tuple(_categories(document).values())


class _Part:
    """An object of the file, and where it stands."""

    def __init__(self, file: Path, position: str, value: Any) -> None:
        self.file, self.position = file, position
        if not isinstance(value, dict):
            raise DataFileError(file, position, found=show(value), expected=_KINDS["dict"])
        self.values: Mapping[str, Any] = value

    def all_of(self, key: str) -> "list[_Part]":
        """The objects of a list."""
        items = self._typed(key, "list")
        return [_Part(self.file, f"{self.at(key)}[{place}]", item) for place, item in enumerate(items)]

    def whole(self, key: str) -> int:
        """A whole number."""
        number: int = self._typed(key, "int")
        return number

    def text(self, key: str) -> str:
        """A text that is not empty."""
        text: str = self._typed(key, "str")
        if not text:
            self.refuse(key, expected="a text that is not empty")
        return text

    def numbers(self, key: str, count: int) -> list[float]:
        """So many finite numbers."""
        items = self._typed(key, "list")
        if len(items) != count:
            self.refuse(key, expected=f"{count} numbers")
        for place, item in enumerate(items):
            if type(item) not in (int, float) or not _is_finite(item):
                where = f"{self.at(key)}[{place}]"
                raise DataFileError(self.file, where, found=show(item), expected="a finite number")
        return [float(item) for item in items]

    def refuse(self, key: str, *, expected: str) -> NoReturn:
        """Say that a value is wrong."""
        raise DataFileError(self.file, self.at(key), found=show(self.values.get(key)), expected=expected)

    def at(self, key: str) -> str:
        """Where a value stands."""
        return f"{self.position}.{key}" if self.position else key

    def _typed(self, key: str, kind: str) -> Any:
        if key not in self.values:
            raise DataFileError(self.file, self.at(key), found="nothing", expected=_KINDS[kind])
        value = self.values[key]
        if type(value).__name__ != kind:  # to Python, true is a whole number
            self.refuse(key, expected=_KINDS[kind])
        return value


def _parsed(file: Path) -> Any:
    expected = "COCO's annotations, as JSON"
    try:
        return json.loads(file.read_bytes())
    except OSError as error:
        found = "no such file" if isinstance(error, FileNotFoundError) else f"what cannot be read ({error.strerror})"
        raise DataFileError(file, "", found=found, expected=expected) from None
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise DataFileError(file, where, found=f"something else ({error.msg})", expected=expected) from None
    except (ValueError, RecursionError) as error:  # not a text, a number of thousands of digits, or nested as deeply
        raise DataFileError(file, "", found=f"something else ({error})", expected=expected) from None


def _categories(document: _Part) -> dict[int, str]:
    """The names by id, in the order of the ids."""
    categories = document.all_of("categories")
    numbers = [category.whole("id") for category in categories]
    _require_unique(document, "categories", numbers)
    names = [category.text("name") for category in categories]
    _require_unique(document, "categories", names, "name", expected="a name of its own")
    return dict(sorted(zip(numbers, names, strict=True)))


def _require_unique(
    document: _Part, key: str, values: Sequence[int | str], field: str = "id", *, expected: str = "an id of its own"
) -> None:
    first: dict[int | str, int] = {}
    for place, value in enumerate(values):
        if value in first:
            found = f"{show(value)}, which {key}[{first[value]}] has too"
            raise DataFileError(document.file, f"{key}[{place}].{field}", found=found, expected=expected)
        first[value] = place


def _require_an_object(document: _Part, annotations: "Sequence[_Part]") -> None:
    """Nothing could be learnt of a split without any, nor measured."""
    if all(map(_is_crowd, annotations)):
        found = "crowds alone, which are left out" if annotations else "none"
        raise DataFileError(document.file, "annotations", found=found, expected="a box at least")


def _size(image: _Part) -> tuple[int, int]:
    """Width and height."""
    width, height = image.whole("width"), image.whole("height")
    for key, extent in (("width", width), ("height", height)):
        if not 0 < extent < 2**31:
            image.refuse(key, expected="a number of pixels above 0")
    return width, height


def _box(annotation: _Part, size: tuple[int, int]) -> tuple[float, float, float, float]:
    """Left, top, right and bottom, of what stands there as left, top, width and height."""
    left, top, width, height = annotation.numbers("bbox", 4)
    if width <= 0 or height <= 0:
        annotation.refuse("bbox", expected="a width and height above 0: [left, top, width, height]")
    right, bottom = left + width, top + height
    if min(left, top) < -_SLACK or right > size[0] + _SLACK or bottom > size[1] + _SLACK:
        annotation.refuse("bbox", expected=f"a box within its image of {size[0]} by {size[1]} pixels")
    inside = (max(left, 0.0), max(top, 0.0), min(right, float(size[0])), min(bottom, float(size[1])))
    if inside[0] >= inside[2] or inside[1] >= inside[3]:
        annotation.refuse("bbox", expected=f"a box within its image of {size[0]} by {size[1]} pixels")
    return inside


def _is_crowd(annotation: _Part) -> bool:
    if "iscrowd" not in annotation.values:
        return False
    if annotation.whole("iscrowd") not in (0, 1):
        annotation.refuse("iscrowd", expected="0 or 1")
    return annotation.whole("iscrowd") == 1


def _image_file(image: _Part, size: tuple[int, int]) -> Path:
    name = image.text("file_name")
    whole = any(pure(name).is_absolute() or ".." in pure(name).parts for pure in (PurePosixPath, PureWindowsPath))
    if whole:
        image.refuse("file_name", expected="a file's name, relative to the folder of the annotations")
    path = image.file.parent / name
    try:
        height, width = image_size(path)
    except DataFileError as error:
        can_be_read = "is there" if error.found == "no such file" else "can be read"
        image.refuse("file_name", expected=f"an image file that {can_be_read}")
    if (width, height) != size:
        found = f"{size[0]} by {size[1]}"
        expected = f"the size of {name}, {width} by {height}"
        raise DataFileError(image.file, image.position, found=found, expected=expected)
    return path


def _is_finite(number: float) -> bool:
    try:
        return math.isfinite(number)
    except OverflowError:  # a whole number beyond all floats
        return False
