"""Files that are written as a whole: who reads one sees what was there before or all of the new one, never a part."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex


def write_whole(file: Path, content: bytes) -> None:
    """Put a file in its place, and the folders it lies in.

    Raises:
        OSError: when it cannot be written; what was there before still is.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    with partial_file(file, content) as partial:
        partial.replace(file)


@contextmanager
def partial_file(file: Path, content: bytes) -> Iterator[Path]:
    """A file with the content, on the disk under another name until the caller puts it in its place."""
    partial = file.with_name(f".{file.name}.{token_hex(4)}.partial")
    try:
        with partial.open("xb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        yield partial
    finally:
        partial.unlink(missing_ok=True)
