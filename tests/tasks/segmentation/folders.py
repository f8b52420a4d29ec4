"""Folders of images and masks, as users have them; their contents are small parts of drawn pictures."""

from pathlib import Path

from PIL import Image

from app.tasks.segmentation.config import SegmentationTaskConfig
from app.tasks.segmentation.shapes import draw_pictures

SIZE = 24


def written_folder(folder: Path, **splits: int) -> Path:
    """Write so many images, and masks of them, for each split."""
    for seed, (split, number) in enumerate(splits.items()):
        pictures, classes = draw_pictures(number, seed=seed)
        middle = slice(20, 20 + SIZE)
        for kind, values in (("images", pictures.transpose(0, 2, 3, 1)), ("masks", classes)):
            (folder / split / kind).mkdir(parents=True)
            for place, pixels in enumerate(values[:, middle, middle]):
                Image.fromarray(pixels.copy()).save(folder / split / kind / f"{split}_{place:02}.png")
    return folder


def task_of(folder: Path) -> SegmentationTaskConfig:
    """The task of a folder that `written_folder` wrote."""
    return SegmentationTaskConfig(folder=str(folder), input_shape=(3, SIZE, SIZE), test_fingerprint=None)
