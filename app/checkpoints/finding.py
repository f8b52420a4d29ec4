"""Finding the checkpoint that a run goes on from: the newest that verifies. Nothing here imports torch."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Final

from app.checkpoints.contents import CheckpointContents, contents_of, read_contents
from app.checkpoints.manifest import Entry, entries_of, local, real, verify
from app.checkpoints.opening import CheckpointError, is_remote, located, opened
from app.checkpoints.resume_state import OPTIMIZERS, fault_in

_ENDING: Final = ".ckpt"
_FOLDER: Final = "checkpoints"


@dataclass(frozen=True)
class Found:
    """The checkpoint to go on from."""

    path: str
    """Where it is, as Lightning takes it."""

    step: int
    """Optimizer steps taken when it was saved."""

    epoch: int
    """The epoch under way then, or just over, counted from 0."""

    skipped: tuple[CheckpointError, ...] = ()
    """The newer ones that could not be used, each with the reason."""


def find_checkpoint(resume_path: str) -> Found:
    """The checkpoint at a path, or the newest in a run's folder, or in its folder of checkpoints.

    Newest means after most optimizer steps, then saved last, by what the manifests say: the times of files lie once
    they were copied.

    Raises:
        CheckpointError: when the one file is damaged, or a folder holds none that verifies.
    """
    if not _is_folder(resume_path):
        entry = _verified(resume_path)
        return Found(path=resume_path, step=entry.step, epoch=entry.epoch)
    candidates = _files(resume_path)
    if not candidates:
        raise CheckpointError(resume_path, f"is a folder without a checkpoint: no *{_ENDING} in it, or in {_FOLDER}/")
    skipped: list[CheckpointError] = []
    promised: list[tuple[Entry, str]] = []
    for file in candidates:
        try:
            promised.append((max(_promised(file)), file))
        except CheckpointError as error:
            skipped.append(error)
    best: tuple[Entry, str] | None = None
    for promise, file in sorted(promised, reverse=True):
        if best is not None and promise <= best[0]:
            break
        try:
            entry = _verified(file)
        except CheckpointError as error:
            skipped.append(error)
            continue
        # A file whose save was cut short keeps an older promise than the newest in its manifest.
        if best is None or entry > best[0]:
            best = entry, file
    if best is None:
        reasons = "; ".join(f"{PurePosixPath(error.path).name} {error.message}" for error in skipped)
        raise CheckpointError(resume_path, f"holds no checkpoint that a run can go on from: {reasons}")
    return Found(path=best[1], step=best[0].step, epoch=best[0].epoch, skipped=tuple(skipped))


def _is_folder(path: str) -> bool:
    if not is_remote(path):
        return local(path).is_dir()
    with located(path) as (filesystem, name):
        return bool(filesystem.isdir(name))


def _files(folder: str) -> list[str]:
    """The checkpoints in a folder, or else in its folder of checkpoints; links to another of them are left out."""
    for place in (folder, f"{folder.rstrip('/')}/{_FOLDER}"):
        if is_remote(place):
            with located(place) as (filesystem, name):
                found = [filesystem.unstrip_protocol(file) for file in filesystem.glob(f"{name}/*{_ENDING}")]
        else:
            files = sorted(local(place).glob(f"*{_ENDING}"))
            inside = {file for file in files if not file.is_symlink()}
            found = [str(file) for file in files if file in inside or file.resolve() not in _resolved(inside)]
        if found:
            return found
    return []


def _resolved(files: set[Path]) -> set[Path]:
    return {file.resolve() for file in files}


def _promised(file: str) -> tuple[Entry, ...]:
    """What a checkpoint may turn out to be; without a manifest, what it says of itself."""
    return entries_of(real(file)) or (_own_words(file, read_contents(file)),)


def _own_words(file: str, contents: CheckpointContents) -> Entry:
    if contents.global_step is None or contents.epoch is None:
        raise CheckpointError(file, "says neither its epoch nor its step")
    saved = "" if is_remote(file) else datetime.fromtimestamp(local(file).stat().st_mtime, UTC).isoformat()
    resumable = OPTIMIZERS in contents.values
    return Entry(step=contents.global_step, epoch=contents.epoch, saved=saved, digest="", resumable=resumable)


def _verified(file: str) -> Entry:
    with opened(file, whole=True) as content:
        entry = verify(file, content)
        contents = contents_of(content, file)
    entry = entry or _own_words(file, contents)
    if not entry.resumable:
        raise CheckpointError(file, "holds the weights alone, from which no run can go on; load_checkpoint takes them")
    if fault := fault_in(contents.values):
        raise CheckpointError(file, f"holds no state that a run can go on from: {fault}")
    return entry
