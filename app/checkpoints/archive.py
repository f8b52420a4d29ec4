"""The archive that torch writes a checkpoint as: is a file one, and are its bytes whole? Nothing here imports torch."""

import zipfile
from copy import copy
from typing import BinaryIO, Final

from app.schemas.problems import first_line

_ZIP_START: Final = b"PK\x03\x04"


def is_archive(file: BinaryIO) -> bool:
    """Whether the file begins as those do that torch has written since version 1.6."""
    file.seek(0)
    start = file.read(len(_ZIP_START))
    file.seek(0)
    return start == _ZIP_START


def damage(file: BinaryIO) -> str | None:
    """What is wrong with a checkpoint's bytes: every part is compared to the checksum that it was written with."""
    try:
        with zipfile.ZipFile(file) as archive:
            for entry in archive.infolist():
                with archive.open(unchecked_if_unknown(entry)) as part:
                    while part.read(1 << 20):
                        pass
    except Exception as error:  # zipfile trusts the bytes, and fails in whatever way they lead to
        return first_line(error)
    return None


def unchecked_if_unknown(entry: zipfile.ZipInfo) -> zipfile.ZipInfo:
    """Torch can be told to leave out checksums, and then writes 0 for each."""
    if entry.CRC == 0:
        entry = copy(entry)
        del entry.CRC
    return entry
