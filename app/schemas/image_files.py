"""Which files are taken for images; the readers of tasks on images name them as their `input_endings`."""

from typing import Final

IMAGE_ENDINGS: Final = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".pgm", ".ppm")
"""The endings of image files, of the formats that `app.data_formats.image_file` reads."""
