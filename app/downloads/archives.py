"""`extract_folder`: a folder out of a tar archive, in place only once all of it is there."""

import tarfile
import zlib
from lzma import LZMAError
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Final

from filelock import FileLock

from app.data_formats.errors import DataFileError

_DAMAGE: Final = (tarfile.TarError, EOFError, LZMAError, zlib.error, ValueError)


def extract_folder(archive: Path, folder: Path) -> None:
    """Unpack the folder that the archive consists of, beside others and under its own name, unless it is there.

    The archive may be packed by gzip, bzip2 or xz. It is a stranger's: what is neither a file nor a folder, such as
    a link, or lies outside of the folder, is refused, and nothing of it appears.

    Raises:
        DataFileError: when the archive is damaged, holds anything that is refused, or has no such folder, or when
            there is no writing where the folder should be.
    """
    if folder.exists():
        return
    try:
        _extract(archive, folder)
    except OSError as error:
        raise DataFileError(folder, "", found=str(error), expected="a place to unpack into") from error


def _extract(archive: Path, folder: Path) -> None:
    with FileLock(folder.parent / f".{folder.name}.lock"):
        if folder.exists():  # another process may have been faster
            return
        with TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as temporary:
            try:
                with tarfile.open(archive) as tar:
                    for member in tar:
                        _refuse(member, archive, folder.name)
                        tar.extract(member, temporary, filter="data")
            except _DAMAGE as error:
                raise _damaged(archive, error) from error
            except OSError as error:
                if error.errno is None:  # no failure of the system, but how gzip and bzip2 tell of damage
                    raise _damaged(archive, error) from error
                if error.filename == str(archive):
                    found = error.strerror or str(error)
                    raise DataFileError(archive, "", found=found, expected="an archive that can be read") from error
                raise
            unpacked = Path(temporary, folder.name)
            if not unpacked.is_dir():
                raise DataFileError(archive, "", found="none", expected=f"a folder {folder.name} in it")
            unpacked.rename(folder)


def _damaged(archive: Path, error: Exception) -> DataFileError:
    return DataFileError(archive, "", found=str(error), expected="a whole tar archive")


def _refuse(member: tarfile.TarInfo, archive: Path, folder: str) -> None:
    path = PurePosixPath(member.name)
    if path.is_absolute() or ".." in path.parts or path.parts[:1] != (folder,):
        raise DataFileError(archive, member.name, found="a path outside of it", expected=f"a path in {folder}")
    if not (member.isreg() or member.isdir()):
        raise DataFileError(archive, member.name, found="a link or device", expected="a file or folder")
