"""What a checkpoint must be to be trusted: its manifest, written beside it, and how a file is held against it.

A manifest is what `sha256sum --check` reads, with a comment above each digest that says how far training was.
Nothing here imports torch.
"""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from app.checkpoints.archive import damage
from app.checkpoints.opening import CheckpointError, MissingCheckpointError, is_remote, located
from app.schemas.problems import first_line
from app.schemas.user_paths import user_path

SUFFIX: Final = ".sha256"
"""What a manifest's name adds to its checkpoint's."""

_COMMENT: Final = re.compile(
    r"# step (?P<step>\d+), epoch (?P<epoch>\d+), saved (?P<saved>\S+?)(?P<weights>, weights only)?"
)
_DIGEST: Final = re.compile(r"(?P<digest>[0-9a-f]{64})  (?P<name>.+)")
_CHUNK: Final = 1 << 20


@dataclass(frozen=True, order=True)
class Entry:
    """What a manifest says about a checkpoint; sorted by how far training was."""

    step: int
    """Optimizer steps taken."""

    epoch: int
    """The epoch under way, or just over, counted from 0."""

    saved: str
    """When the file was written, ISO 8601 in UTC; tells apart saves at one step."""

    digest: str
    """SHA-256 of the whole file, in hexadecimal."""

    resumable: bool = True
    """Whether the file holds the state of optimizers and loops, not the weights alone."""


def manifest_of(file: str) -> str:
    """Where the manifest of a checkpoint stands."""
    return file + SUFFIX


def written(entries: Iterable[Entry], name: str) -> str:
    """The text of a manifest: one entry, or two while one file takes the other's place."""
    return "".join(
        f"# step {entry.step}, epoch {entry.epoch}, saved {entry.saved}{'' if entry.resumable else ', weights only'}\n"
        f"{entry.digest}  {name}\n"
        for entry in entries
    )


def read(text: str) -> tuple[Entry, ...]:
    """The entries of a manifest.

    Raises:
        ValueError: when the text is no manifest.
    """
    lines = text.splitlines()
    entries = []
    for comment, line in zip(lines[::2], lines[1::2], strict=True):
        said, digest = _COMMENT.fullmatch(comment), _DIGEST.fullmatch(line)
        if said is None or digest is None:
            raise ValueError(f"no line of a manifest: {comment!r}, {line!r}")
        entries.append(
            Entry(
                step=int(said["step"]),
                epoch=int(said["epoch"]),
                saved=said["saved"],
                digest=digest["digest"],
                resumable=said["weights"] is None,
            )
        )
    if not entries:
        raise ValueError("an empty manifest")
    return tuple(entries)


def entries_of(file: str) -> tuple[Entry, ...] | None:
    """What the manifest beside a checkpoint says; None when there is none.

    Raises:
        CheckpointError: when it is damaged.
    """
    content = _content(manifest_of(file))
    if content is None:
        return None
    try:
        return read(content.decode())
    except ValueError as error:
        raise CheckpointError(file, f"its manifest {Path(manifest_of(file)).name} is damaged") from error


def verify(file: str, opened: BinaryIO) -> Entry | None:
    """Read a whole checkpoint and hold it against its manifest; without one, against the checksums inside the file.

    Returns:
        The manifest's entry for the file, or None without a manifest.

    Raises:
        CheckpointError: when a single bit is not as it was saved.
    """
    opened.seek(0, 2)
    if opened.tell() == 0:
        raise CheckpointError(file, "is empty")
    opened.seek(0)
    entries = entries_of(real(file))
    if entries is None:
        fault = damage(opened)
        if fault is not None:
            raise CheckpointError(file, f"is damaged, or no checkpoint: {fault}")
        return None
    found = digest_of(opened)
    for entry in entries:
        if entry.digest == found:
            return entry
    raise CheckpointError(file, "is damaged: its SHA-256 is not the one in its manifest")


def digest_of(opened: BinaryIO) -> str:
    """SHA-256 of an open file, from where it stands to its end."""
    digest = hashlib.sha256()
    while chunk := opened.read(_CHUNK):
        digest.update(chunk)
    return digest.hexdigest()


def real(file: str) -> str:
    """The file that a symbolic link stands for: its manifest is beside that one."""
    if is_remote(file):
        return file
    path = local(file)
    return str(path.resolve()) if path.is_symlink() else str(path)


def local(file: str) -> Path:
    """A file's place on this machine."""
    return user_path(file.removeprefix("file://"))


def _content(file: str) -> bytes | None:
    """All of a small file; None when there is none."""
    try:
        if not is_remote(file):
            return local(file).read_bytes()
        with located(file) as (filesystem, path):
            content: bytes = filesystem.cat_file(path)
            return content
    except (FileNotFoundError, NotADirectoryError, MissingCheckpointError):
        return None
    except OSError as error:
        raise CheckpointError(file, f"cannot be read: {error.strerror or first_line(error)}") from error
