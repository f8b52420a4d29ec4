"""Folders of images with COCO's annotations, as a user would have them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image


def document() -> dict[str, Any]:
    """Two images, one with two objects and a crowd, one with nothing; ids as sparse as COCO's own."""
    return {
        "info": {"description": "two images"},
        "images": [
            {"id": 397133, "file_name": "one.png", "width": 40, "height": 20},
            {"id": 7, "file_name": "more/two.jpg", "width": 16, "height": 16},
        ],
        "categories": [{"id": 44, "name": "bottle"}, {"id": 3, "name": "car"}],
        "annotations": [
            {"id": 1, "image_id": 397133, "category_id": 3, "bbox": [0, 5, 10.5, 15], "area": 157.5, "iscrowd": 0},
            {"id": 2, "image_id": 397133, "category_id": 44, "bbox": [20, 0, 20.4, 20]},
            {"id": 3, "image_id": 397133, "category_id": 44, "bbox": [0, 0, 40, 20], "iscrowd": 1},
        ],
    }


def write_folder(folder: Path, content: Any) -> Path:
    """The images of `document`, and an annotation file with this content; the file."""
    (folder / "more").mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((20, 40, 3), 200, dtype=np.uint8)).save(folder / "one.png")
    Image.fromarray(np.full((16, 16), 30, dtype=np.uint8)).save(folder / "more" / "two.jpg")
    file = folder / "annotations.json"
    file.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    return file
