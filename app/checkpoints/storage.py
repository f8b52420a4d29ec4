"""`VerifiedCheckpointIO`: how checkpoints reach the disk so that no crash, full disk or flipped bit goes unnoticed.

A file is written under another name, forced to the disk and then put in its place in one operation. Its manifest is
beside it before that, and lists the old and the new content while both are possible: whenever the process is killed,
the file under the checkpoint's name is whole and its manifest agrees.
"""

import hashlib
import os
import secrets
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, Final, cast

import torch
from lightning.fabric.plugins import CheckpointIO
from lightning.pytorch.plugins import AsyncCheckpointIO

from app.checkpoints.manifest import Entry, digest_of, entries_of, local, manifest_of, verify, written
from app.checkpoints.opening import CheckpointError, is_remote, located, opened
from app.schemas.problems import first_line

if sys.platform != "win32":
    import fcntl

_PARTIAL: Final = ".partial"


class VerifiedCheckpointIO(CheckpointIO):
    """Writes checkpoints whole or not at all, with a manifest, and reads nothing but what was written.

    Addresses such as `s3://…` are written through fsspec, in one piece as far as the store allows it.
    """

    def save_checkpoint(
        self,
        checkpoint: dict[str, Any],
        path: str | os.PathLike[str],
        storage_options: Any = None,
    ) -> None:
        """Put a checkpoint and its manifest in their place.

        Raises:
            CheckpointError: when it cannot be written; what stood there before still does.
        """
        assert storage_options is None, "fsspec's own configuration says how to reach a store"
        file = os.fspath(path)
        try:
            (_save_remotely if is_remote(file) else _save_locally)(checkpoint, file)
        except OSError as error:
            reason = error.strerror or first_line(error)
            raise CheckpointError(file, f"could not be saved: {reason}; what stood there before still does") from error

    def load_checkpoint(
        self,
        path: str | os.PathLike[str],
        map_location: Any = "cpu",
        weights_only: bool | None = None,  # noqa: ARG002  # Lightning's signature; here it is always so
    ) -> dict[str, Any]:
        """What a file holds: tensors and plain containers, never anything that could run code.

        Raises:
            CheckpointError: when there is no such file, or it is damaged, or holds anything else.
        """
        # Not always a checkpoint: spawned processes hand over the bare weights in such a file.
        return _load(os.fspath(path), map_location)

    def remove_checkpoint(self, path: str | os.PathLike[str]) -> None:
        """Remove a checkpoint and then its manifest; nothing happens where there is none."""
        for file in (os.fspath(path), manifest_of(os.fspath(path))):
            (_remove_remotely if is_remote(file) else _remove_locally)(file)


class AsyncVerifiedCheckpointIO(AsyncCheckpointIO):
    """The same on a thread of its own, while training goes on; a removal waits for the saves asked for before it."""

    def __init__(self) -> None:
        super().__init__(VerifiedCheckpointIO())

    def remove_checkpoint(self, path: str | os.PathLike[str]) -> None:
        """Remove a checkpoint once those that take its place are written."""
        self._ensure_setup()
        assert self._executor is not None
        self._executor.submit(self._remove, path)

    def _remove(self, path: str | os.PathLike[str]) -> None:
        # After a save that failed, what an earlier one left is all there is.
        if self._error is None:
            super().remove_checkpoint(path)


def load_checkpoint(file: str, *, map_location: Any = "cpu") -> dict[str, Any]:
    """What the checkpoint at a path or address holds, verified and read with `weights_only`.

    Raises:
        CheckpointError: when there is no such file, or it is damaged, or no checkpoint.
    """
    checkpoint = _load(file, map_location)
    if "state_dict" not in checkpoint:
        raise CheckpointError(file, "is not a checkpoint: it holds no state_dict")
    return checkpoint


def plain_values(content: BinaryIO, file: str, *, map_location: Any = "cpu") -> Any:
    """What torch reads from an open file: tensors and plain values, and never anything that would run.

    Raises:
        CheckpointError: when it holds anything else, or is no file of torch.
    """
    try:
        return torch.load(content, map_location=map_location, weights_only=True)
    except Exception as error:  # a file that is no checkpoint fails in whatever way its bytes lead to
        # Not in torch's words, which advise to load it with arbitrary code in it.
        reason = f"is not a checkpoint of weights and plain values ({type(error).__name__})"
        raise CheckpointError(file, reason) from error


def _load(file: str, map_location: Any) -> dict[str, Any]:
    with opened(file, whole=True) as content:
        verify(file, content)
        content.seek(0)
        loaded = plain_values(content, file, map_location=map_location)
    if not isinstance(loaded, dict):
        raise CheckpointError(file, f"is not a checkpoint: it holds a {type(loaded).__name__}")
    return cast(dict[str, Any], loaded)


class _DigestWriter:
    """A file to write to that knows the SHA-256 of all that was written."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._digest = hashlib.sha256()

    def write(self, content: bytes) -> int:
        self._digest.update(content)
        return self._file.write(content)

    def flush(self) -> None:
        self._file.flush()

    def digest(self) -> str:
        return self._digest.hexdigest()


def _save_locally(checkpoint: dict[str, Any], file: str) -> None:
    path = local(file)
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_partial_files(path.parent)
    before = _entries_before(path)
    with _partial_file(path) as (partial, content):
        entry = _write(checkpoint, content)
        os.fsync(content.fileno())
        _write_manifest(path, (*before, entry))
        partial.replace(path)
        _sync_folder(path.parent)
    if before:  # tidied up only: what both contents are listed in agrees with the file as well
        _write_manifest(path, (entry,), lasting=False)


def _save_remotely(checkpoint: dict[str, Any], file: str) -> None:
    content = BytesIO()
    entry = _write(checkpoint, content)
    with located(file, failing="could not be saved") as (filesystem, path):
        filesystem.makedirs(filesystem._parent(path), exist_ok=True)
        before: tuple[Entry, ...] = ()
        if filesystem.exists(path):
            with suppress(CheckpointError):
                before = entries_of(file) or ()
        name = Path(path).name
        _put(filesystem, manifest_of(path), written((*before, entry), name).encode())
        _put(filesystem, path, content.getbuffer())
        if before:
            _put(filesystem, manifest_of(path), written((entry,), name).encode())


def _remove_locally(file: str) -> None:
    path = local(file)
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _remove_remotely(file: str) -> None:
    with located(file, failing="could not be removed") as (filesystem, path):
        if filesystem.lexists(path):
            filesystem.rm(path, recursive=True)


def _put(filesystem: Any, path: str, content: bytes | memoryview) -> None:
    # In a transaction a file appears when it is complete.
    with filesystem.transaction, filesystem.open(path, "wb") as file:
        file.write(content)


def _write(checkpoint: dict[str, Any], content: BinaryIO) -> Entry:
    writer = _DigestWriter(content)
    try:
        torch.save(checkpoint, cast(Any, writer))
    except RuntimeError as error:
        # Torch's archive writer reports a failed write, such as a full disk, in its own words.
        cause = error.__context__ or error.__cause__
        if isinstance(cause, OSError):
            raise cause from error
        raise
    content.flush()
    return Entry(
        step=int(checkpoint.get("global_step", 0)),
        epoch=int(checkpoint.get("epoch", 0)),
        saved=datetime.now(UTC).isoformat(),
        digest=writer.digest(),
        resumable="optimizer_states" in checkpoint,
    )


def _entries_before(path: Path) -> tuple[Entry, ...]:
    """What the file may be that a save is about to replace."""
    if path.is_symlink() or not path.exists():
        return ()
    with suppress(CheckpointError):
        if known := entries_of(str(path)):
            return known
    with path.open("rb") as content:
        return (Entry(step=0, epoch=0, saved="unknown", digest=digest_of(content)),)


def _write_manifest(path: Path, entries: tuple[Entry, ...], *, lasting: bool = True) -> None:
    manifest = Path(manifest_of(str(path)))
    with _partial_file(manifest) as (partial, content):
        content.write(written(entries, path.name).encode())
        content.flush()
        os.fsync(content.fileno())
        partial.replace(manifest)
        if lasting:
            _sync_folder(manifest.parent)


@contextmanager
def _partial_file(path: Path) -> Iterator[tuple[Path, BinaryIO]]:
    """A new file beside `path`, open and locked, for as long as it may be unfinished."""
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}{_PARTIAL}")
    with partial.open("xb") as content:
        _lock(content)
        try:
            yield partial, content
        except BaseException:
            partial.unlink(missing_ok=True)
            raise


def _remove_partial_files(folder: Path) -> None:
    """Remove what saves have left that were killed: the files that no process holds locked any more."""
    for partial in folder.glob(f".*{_PARTIAL}"):
        with suppress(OSError), partial.open("rb") as content:
            _lock(content)
            partial.unlink(missing_ok=True)


def _lock(file: BinaryIO) -> None:
    if sys.platform != "win32":
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _sync_folder(folder: Path) -> None:
    """Force a folder's list of files to the disk; a renamed file may be gone after a power cut otherwise."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
