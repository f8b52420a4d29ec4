import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from app.data_formats.coco import CocoAnnotations, CocoImage, read_coco
from app.data_formats.errors import DataFileError
from tests.tasks.detection.coco_folder import document, write_folder

Document = dict[str, Any]


def test_objects_are_read_by_image_and_category(tmp_path: Path) -> None:
    file = write_folder(tmp_path, document())

    assert read_coco(file) == CocoAnnotations(
        images=(
            CocoImage(
                file=tmp_path / "one.png",
                width=40,
                height=20,
                # The crowd is left out, and what rounding left beyond the edge is cut off.
                boxes=((0.0, 5.0, 10.5, 20.0), (20.0, 0.0, 40.0, 20.0)),
                labels=(0, 1),
            ),
            CocoImage(file=tmp_path / "more" / "two.jpg", width=16, height=16, boxes=(), labels=()),
        ),
        categories=("car", "bottle"),
    )


def set_at(*path: str | int, value: Any) -> Callable[[Document], None]:
    def change(content: Document) -> None:
        part: Any = content
        for key in path[:-1]:
            part = part[key]
        part[path[-1]] = value

    return change


def without(*path: str | int) -> Callable[[Document], None]:
    def change(content: Document) -> None:
        part: Any = content
        for key in path[:-1]:
            part = part[key]
        del part[path[-1]]

    return change


@pytest.mark.parametrize(
    ("change", "position", "message"),
    [
        (without("images"), "images", "expected a list, found nothing"),
        (set_at("annotations", value={}), "annotations", "expected a list, found an empty mapping"),
        (set_at("images", 1, value=5), "images[1]", "expected an object, found 5"),
        (without("annotations", 1, "bbox"), "annotations[1].bbox", "expected a list, found nothing"),
        (set_at("annotations", 1, "id", value=True), "annotations[1].id", "expected a whole number, found true"),
        (set_at("annotations", 1, "id", value=1.0), "annotations[1].id", "expected a whole number, found 1.0"),
        (
            set_at("annotations", 1, "id", value=1),
            "annotations[1].id",
            "expected an id of its own, found 1, which annotations[0] has too",
        ),
        (
            set_at("images", 1, "id", value=397133),
            "images[1].id",
            "expected an id of its own, found 397133, which images[0] has too",
        ),
        (
            set_at("categories", 1, "id", value=44),
            "categories[1].id",
            "expected an id of its own, found 44, which categories[0] has too",
        ),
        (
            set_at("categories", 1, "name", value="bottle"),
            "categories[1].name",
            "expected a name of its own, found 'bottle', which categories[0] has too",
        ),
        (
            set_at("images", 1, "file_name", value="./one.png"),
            "images[1].file_name",
            "expected a file of its own, found 'one.png', which images[0] has too",
        ),
        (set_at("annotations", value=[]), "annotations", "expected a box at least, found none"),
        (
            set_at("annotations", value=document()["annotations"][2:]),
            "annotations",
            "expected a box at least, found crowds alone, which are left out",
        ),
        (
            set_at("categories", 0, "name", value=""),
            "categories[0].name",
            "expected a text that is not empty, found ''",
        ),
        (
            set_at("annotations", 2, "image_id", value=8),
            "annotations[2].image_id",
            "expected the id of an image, found 8",
        ),
        (
            set_at("annotations", 2, "category_id", value=1),
            "annotations[2].category_id",
            "expected the id of a category, found 1",
        ),
        (
            set_at("annotations", 0, "bbox", value=[1, 2, 3]),
            "annotations[0].bbox",
            "expected 4 numbers, found the list [1, 2, 3]",
        ),
        (
            set_at("annotations", 0, "bbox", value=[1, "2", 3, 4]),
            "annotations[0].bbox[1]",
            "expected a finite number, found '2'",
        ),
        (
            set_at("annotations", 0, "bbox", value=[1, 2, float("nan"), 4]),
            "annotations[0].bbox[2]",
            "expected a finite number, found nan",
        ),
        (
            set_at("annotations", 0, "bbox", value=[1, 2, 0, 4]),
            "annotations[0].bbox",
            "expected a width and height above 0: [left, top, width, height], found the list [1, 2, 0, 4]",
        ),
        (
            set_at("annotations", 0, "bbox", value=[1, 2, 3, -4]),
            "annotations[0].bbox",
            "expected a width and height above 0: [left, top, width, height], found the list [1, 2, 3, -4]",
        ),
        (
            set_at("annotations", 0, "bbox", value=[30, 2, 12, 4]),
            "annotations[0].bbox",
            "expected a box within its image of 40 by 20 pixels, found the list [30, 2, 12, 4]",
        ),
        (
            set_at("annotations", 0, "bbox", value=[-2, 2, 12, 4]),
            "annotations[0].bbox",
            "expected a box within its image of 40 by 20 pixels, found the list [-2, 2, 12, 4]",
        ),
        (
            set_at("annotations", 0, "bbox", value=[40, 2, 0.5, 4]),
            "annotations[0].bbox",
            "expected a box within its image of 40 by 20 pixels, found the list [40, 2, 0.5, 4]",
        ),
        (set_at("annotations", 0, "iscrowd", value=2), "annotations[0].iscrowd", "expected 0 or 1, found 2"),
        (
            set_at("images", 0, "width", value=0),
            "images[0].width",
            "expected a number of pixels above 0, found 0",
        ),
        (
            set_at("images", 1, "width", value=20),
            "images[1]",
            "expected the size of more/two.jpg, 16 by 16, found 20 by 16",
        ),
        (
            set_at("images", 1, "file_name", value="three.jpg"),
            "images[1].file_name",
            "expected an image file that is there, found 'three.jpg'",
        ),
        (
            set_at("images", 1, "file_name", value="annotations.json"),
            "images[1].file_name",
            "expected an image file that can be read, found 'annotations.json'",
        ),
        (
            set_at("images", 1, "file_name", value="more/../../two.jpg"),
            "images[1].file_name",
            "expected a file's name, relative to the folder of the annotations, found 'more/../../two.jpg'",
        ),
        (
            set_at("images", 1, "file_name", value="/two.jpg"),
            "images[1].file_name",
            "expected a file's name, relative to the folder of the annotations, found '/two.jpg'",
        ),
    ],
)
def test_what_is_wrong_is_named_with_its_place(
    tmp_path: Path, change: Callable[[Document], None], position: str, message: str
) -> None:
    content = document()
    change(content)
    file = write_folder(tmp_path, content)

    with pytest.raises(DataFileError) as caught:
        read_coco(file)

    assert caught.value.position == position
    assert str(caught.value) == f"{file}: {position}: {message}"


@pytest.mark.parametrize(
    ("content", "position"),
    [
        (b"", "line 1, column 1"),
        (b'{"images": [],\n "annotations": [}', "line 2, column 18"),
        (b"\xff\xfe\x00", ""),
        (b"[" * 100_000, ""),
        (b"9" * 5_000, ""),
        (b"[]", ""),
    ],
)
def test_what_is_no_json_object_is_refused(tmp_path: Path, content: bytes, position: str) -> None:
    file = write_folder(tmp_path, content)

    with pytest.raises(DataFileError) as caught:
        read_coco(file)

    assert (caught.value.file, caught.value.position) == (file, position)


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataFileError, match=r"annotations\.json: expected COCO's annotations, as JSON, found no such"):
        read_coco(tmp_path / "annotations.json")
    with pytest.raises(DataFileError, match="found what cannot be read"):
        read_coco(tmp_path)


def test_an_image_that_is_shown_on_its_side_has_the_size_it_is_shown_in(tmp_path: Path) -> None:
    file = write_folder(tmp_path, document())
    turned = Image.Exif()
    turned[0x0112] = 6
    Image.new("RGB", (20, 40)).save(tmp_path / "one.png", exif=turned)

    assert (read_coco(file).images[0].width, read_coco(file).images[0].height) == (40, 20)


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just(10**4000),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("coco")
    write_folder(folder, document())
    return folder


def read_or_refused(folder: Path, content: bytes) -> CocoAnnotations | DataFileError:
    file = folder / "annotations.json"
    file.write_bytes(content)
    try:
        return read_coco(file)
    except DataFileError as error:
        return error


def places(part: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    items = part.items() if isinstance(part, dict) else enumerate(part) if isinstance(part, list) else ()
    return [path, *(place for key, item in items for place in places(item, (*path, key)))]


@settings(max_examples=300, deadline=None)
@given(path=st.sampled_from(places(document())[1:]), value=ANYTHING)
def test_any_value_in_any_place_is_read_or_refused(folder: Path, path: tuple[str | int, ...], value: Any) -> None:
    content = copy.deepcopy(document())
    set_at(*path, value=value)(content)

    found = read_or_refused(folder, json.dumps(content).encode())

    if isinstance(found, DataFileError):
        assert str(found).startswith(f"{folder}/annotations.json: ")
    else:
        for image in found.images:
            assert image.file.is_file()
            for left, top, right, bottom in image.boxes:
                assert 0 <= left < right <= image.width
                assert 0 <= top < bottom <= image.height
            assert set(image.labels) <= set(range(len(found.categories)))


@settings(max_examples=100, deadline=None)
@given(begin=st.integers(0, 700), removed=st.integers(0, 40), inserted=st.binary(max_size=8))
def test_any_bytes_in_any_place_are_read_or_refused(folder: Path, begin: int, removed: int, inserted: bytes) -> None:
    content = json.dumps(document()).encode()

    read_or_refused(folder, content[:begin] + inserted + content[begin + removed :])
