"""`DataFileError`: what every reader says of a damaged file."""

from pathlib import Path

from app.schemas.problems import AppError, shown_path


class DataFileError(AppError):
    """A data file does not hold what it should.

    Args:
        file: the file.
        position: where in it, as its reader counts: `byte 4`, `row 3, column 'age'`; empty for the file as a whole.
        found: what stands there, in words.
        expected: what would be right, in words.
    """

    def __init__(self, file: Path, position: str, *, found: str, expected: str) -> None:
        self.file, self.position, self.found, self.expected = file, position, found, expected
        where = f"{position}: " if position else ""
        super().__init__(f"{shown_path(file)}: {where}expected {expected}, found {found}")

    def __reduce__(self) -> tuple[object, ...]:
        # Loaders' workers send exceptions back pickled, and pickle knows no keyword arguments.
        return _restored, (self.file, self.position, self.found, self.expected)


def _restored(file: Path, position: str, found: str, expected: str) -> DataFileError:
    return DataFileError(file, position, found=found, expected=expected)
