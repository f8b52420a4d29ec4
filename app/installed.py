"""Which files belong to installed packages, and are not the user's own. Nothing here imports torch."""

from pathlib import Path
from typing import Final

_FOLDERS: Final = frozenset(("site-packages", "dist-packages"))
"""Folders in which packages are installed; the second is Debian's."""


def is_installed(file: Path) -> bool:
    """Whether a file or folder lies where packages are installed."""
    return not _FOLDERS.isdisjoint(file.parts)
