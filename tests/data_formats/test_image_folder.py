from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from app.data_formats.errors import DataFileError
from app.data_formats.image_folder import ImagesAndMasks, read_image_folder

CLASSES = np.arange(24, dtype=np.uint8).reshape(4, 6) % 3


def _write(file: Path, pixels: NDArray[Any]) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(file)
    return file


def _pair(folder: Path, name: str, *, grey: int = 51) -> None:
    _write(folder / "images" / f"{name}.png", np.full((4, 6), grey, np.uint8))
    _write(folder / "masks" / f"{name}.png", CLASSES)


def _read(folder: Path, *, size: tuple[int, int] = (4, 6), num_classes: int = 3) -> ImagesAndMasks:
    return read_image_folder(folder, input_shape=(1, *size), num_classes=num_classes)


def test_images_and_masks_come_in_the_order_of_their_names(tmp_path: Path) -> None:
    for name, grey in (("b", 102), ("a", 51), ("c.d", 255)):
        _pair(tmp_path, name, grey=grey)

    found = _read(tmp_path)

    assert [file.name for file in found.files] == ["a.png", "b.png", "c.d.png"]
    np.testing.assert_allclose(found.images[:, 0, 0, 0], np.array([0.2, 0.4, 1]), atol=1e-6)
    assert found.images.shape == (3, 1, 4, 6)
    assert found.masks.tolist() == [CLASSES.tolist()] * 3


def test_a_photograph_and_its_mask_may_be_of_different_formats(tmp_path: Path) -> None:
    _write(tmp_path / "images" / "a.JPG", np.full((4, 6, 3), 51, np.uint8))
    _write(tmp_path / "masks" / "a.tif", CLASSES)

    assert _read(tmp_path).masks[0].tolist() == CLASSES.tolist()


def test_another_size_keeps_masks_to_the_classes_that_are_there(tmp_path: Path) -> None:
    _write(tmp_path / "images" / "a.png", np.full((4, 6), 51, np.uint8))
    halves = np.zeros((4, 6), np.uint8)
    halves[:, 3:] = 2
    _write(tmp_path / "masks" / "a.png", halves)

    found = _read(tmp_path, size=(8, 4))

    assert found.images.shape == (1, 1, 8, 4)
    assert found.masks[0].tolist() == [[0, 0, 2, 2]] * 8


def test_what_computers_leave_behind_is_passed_over(tmp_path: Path) -> None:
    _pair(tmp_path, "a")
    (tmp_path / "images" / ".DS_Store").write_bytes(b"whatever")
    (tmp_path / "masks" / "Thumbs.db").write_bytes(b"whatever")

    assert _read(tmp_path).files == [tmp_path / "images" / "a.png"]


def test_what_has_no_partner_is_refused_with_its_name(tmp_path: Path) -> None:
    _pair(tmp_path, "a")
    image = _write(tmp_path / "images" / "street_07.png", CLASSES)
    with pytest.raises(
        DataFileError, match=r"images/street_07\.png: expected .*/masks/street_07\.\* beside it, found none$"
    ):
        _read(tmp_path)

    _write(tmp_path / "masks" / "street_7.png", CLASSES)
    with pytest.raises(DataFileError, match=r"found none; did you mean 'street_7'\?"):
        _read(tmp_path)

    image.unlink()
    with pytest.raises(
        DataFileError, match=r"masks/street_7\.png: expected .*/images/street_7\.\* beside it, found none$"
    ):
        _read(tmp_path)


def test_two_files_of_one_name_are_refused(tmp_path: Path) -> None:
    _pair(tmp_path, "a")
    _write(tmp_path / "images" / "a.bmp", CLASSES)

    with pytest.raises(DataFileError, match=r"images/a\.png: expected a single file called a, found a\.bmp too"):
        _read(tmp_path)


def test_a_mask_of_another_size_is_refused(tmp_path: Path) -> None:
    _pair(tmp_path, "a")
    _write(tmp_path / "masks" / "a.png", CLASSES[:, :5])

    with pytest.raises(
        DataFileError, match=r"masks/a\.png: expected 6 by 4 pixels, as a\.png has, found 5 by 4 pixels"
    ):
        _read(tmp_path)


def test_a_class_that_there_is_not_is_refused_with_its_place(tmp_path: Path) -> None:
    _pair(tmp_path, "a")

    with pytest.raises(DataFileError, match=r"masks/a\.png: row 1, column 3: expected a class from 0 to 1, found 2"):
        _read(tmp_path, num_classes=2)


def test_something_else_between_the_images_is_refused(tmp_path: Path) -> None:
    _pair(tmp_path, "a")
    (tmp_path / "images" / "notes.txt").write_text("all of them from 2024")
    with pytest.raises(
        DataFileError, match=r"images/notes\.txt: expected an image file \(\.png, .*, found the ending '\.txt'"
    ):
        _read(tmp_path)

    (tmp_path / "images" / "notes.txt").unlink()
    (tmp_path / "masks" / "more.png").mkdir()
    with pytest.raises(DataFileError, match=r"masks/more\.png: expected an image file .*, found a folder"):
        _read(tmp_path)


def test_a_folder_without_images_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataFileError, match=r"images: expected a folder of images, found nothing"):
        _read(tmp_path)
    (tmp_path / "images").mkdir()
    with pytest.raises(DataFileError, match=r"images: expected images, found an empty folder"):
        _read(tmp_path)


_NAMES = st.sampled_from(("a.png", "b.png", "a.jpg", "b.tif", ".c", "d.txt", "e"))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    images=st.dictionaries(_NAMES, st.sampled_from(("whole", "wide", "cut", "empty"))),
    masks=st.dictionaries(_NAMES, st.sampled_from(("whole", "wide", "cut", "empty"))),
)
def test_whatever_a_folder_holds_it_is_read_or_refused(
    images: dict[str, str], masks: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("any")
    contents = {
        "whole": _write(folder / "whole.png", CLASSES).read_bytes(),
        "wide": _write(folder / "wide.png", CLASSES.T).read_bytes(),
        "empty": b"",
    }
    contents["cut"] = contents["whole"][:-20]
    for kind, files in (("images", images), ("masks", masks)):
        (folder / kind).mkdir()
        for name, content in files.items():
            (folder / kind / name).write_bytes(contents[content])
    visible = {name for name in images if name != ".c"}
    right = (
        visible == {name for name in masks if name != ".c"}
        and visible
        and visible <= {"a.png", "b.png", "a.jpg", "b.tif"}
        and len({name[0] for name in visible}) == len(visible)
        and all(images[name] == masks[name] in ("whole", "wide") for name in visible)
    )

    if right:
        assert [file.name for file in _read(folder).files] == sorted(visible)
    else:
        with pytest.raises(DataFileError):
            _read(folder)
