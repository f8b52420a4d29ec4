from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from app.data_formats.errors import DataFileError
from app.tasks.shared.images import read_images


def _grey(folder: Path, name: str, value: int, size: tuple[int, int]) -> Path:
    Image.fromarray(np.full(size, value, np.uint8)).save(folder / name)
    return folder / name


def test_images_come_in_the_order_of_the_files_at_the_tasks_size(tmp_path: Path) -> None:
    files = [_grey(tmp_path, "b.png", 255, (4, 4)), _grey(tmp_path, "a.png", 51, (9, 7))]

    images = read_images(files, (3, 8, 6))

    assert images.shape == (2, 3, 8, 6)
    assert images.dtype == torch.float32
    torch.testing.assert_close(images.mean(dim=(1, 2, 3)), torch.tensor([1.0, 0.2]))


def test_a_damaged_image_is_refused_with_its_name(tmp_path: Path) -> None:
    whole = _grey(tmp_path, "a.png", 255, (4, 4))
    (tmp_path / "b.png").write_bytes(whole.read_bytes()[:40])

    with pytest.raises(DataFileError, match=r"b\.png: expected an image"):
        read_images([whole, tmp_path / "b.png"], (1, 4, 4))
