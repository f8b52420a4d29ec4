"""What a checkpoint says of itself: written into each one, and read back without torch and without running anything.

Reading takes milliseconds, wherever the file lies, so a command that builds on a checkpoint can judge its config
before anything heavy is imported.
"""

import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO, Final

from app.checkpoints.archive import is_archive, unchecked_if_unknown
from app.checkpoints.inert_pickle import (
    LARGEST_PICKLE,
    Mark,
    TensorMark,
    UnreadablePickleError,
    read_pickle,
)
from app.checkpoints.opening import CheckpointError, opened, without_user_info
from app.run_directory import environment
from app.schemas.plain import MASK, secrets_of, to_plain
from app.schemas.problems import first_line
from app.schemas.run import RunConfig

KEY: Final = "description"
"""The checkpoint's key under which `description` stands."""

_MOST_VALUES: Final = 200_000
_DEEPEST: Final = 100
_MOST_ENTRIES: Final = 2_000_000


def description(config: RunConfig, *, overrides: Sequence[str] = ()) -> dict[str, Any]:
    """What a checkpoint says of the run that wrote it, as plain data, secrets masked."""
    secrets = sorted(secrets_of(config).values(), key=len, reverse=True)
    return {
        "task": config.task.name,
        "test_fingerprint": config.task.test_fingerprint,
        "config": to_plain(config),
        "overrides": [_masked(word, secrets) for word in overrides],
        **environment(),
    }


@dataclass(frozen=True, kw_only=True)
class CheckpointContents:
    """What stands in a checkpoint, less its tensors' values."""

    path: str
    task: str | None
    """Name of the task it was trained for; None, like all below, where the checkpoint does not say."""

    config: dict[str, Any] | None
    """The composed config as `to_plain` wrote it."""

    overrides: tuple[str, ...]
    packages: dict[str, str]
    """Version by distribution."""

    git: dict[str, Any] | None
    """`commit`, and whether the code was changed since: `dirty`."""

    test_fingerprint: str | None
    epoch: int | None
    global_step: int | None
    weights: dict[str, TensorMark]
    """Shape and type of everything in the state dict, by name."""

    values: Mapping[Any, Any]
    """All of the checkpoint, by key, with a `TensorMark` or `Mark` for whatever is not plain."""


def read_contents(path: str) -> CheckpointContents:
    """What a checkpoint holds, read without torch; nothing in the file is imported or called.

    Args:
        path: A file here, or an address that fsspec reads, of which only the parts that are needed are fetched.

    Raises:
        CheckpointError: when there is no such file, or it is no checkpoint, or a damaged one.
    """
    with opened(path) as file:
        return contents_of(file, path)


def contents_of(file: BinaryIO, path: str) -> CheckpointContents:
    """What the open file of a checkpoint holds; `read_contents` of a file that is read for more than that.

    Raises:
        CheckpointError: when it is no checkpoint, or a damaged one.
    """
    try:
        values = read_pickle(_pickle(file))
    except UnreadablePickleError as error:
        raise CheckpointError(path, f"is no checkpoint that can be read: {error}") from error
    except (zipfile.BadZipFile, EOFError, NotImplementedError, ValueError, RuntimeError) as error:
        raise CheckpointError(path, f"is damaged: {first_line(error)}") from error
    except OSError as error:
        raise CheckpointError(path, f"cannot be read: {error.strerror or first_line(error)}") from error
    except Exception as error:  # what a protocol of fsspec raises while reading
        raise CheckpointError(path, f"cannot be read: {type(error).__name__}: {first_line(error)}") from error
    if not isinstance(values, dict):
        raise CheckpointError(path, f"expected a mapping of a run's state, found {_kind(values)}")
    state = values.get("state_dict", values)
    weights = state.items() if isinstance(state, dict) else ()
    told = values.get(KEY)
    try:
        said = _plain(told if isinstance(told, dict) else {}, iter(range(_MOST_VALUES)), 0)
    except UnreadablePickleError as error:
        raise CheckpointError(path, f"its description cannot be read: {error}") from error
    return CheckpointContents(
        path=path,
        task=_of_type(str, said.get("task")),
        config=_of_type(dict, said.get("config")),
        overrides=tuple(word for word in _of_type(list, said.get("overrides")) or () if isinstance(word, str)),
        packages=_of_type(dict, said.get("packages")) or {},
        git=_of_type(dict, said.get("git")),
        test_fingerprint=_of_type(str, said.get("test_fingerprint")),
        epoch=_of_type(int, values.get("epoch")),
        global_step=_of_type(int, values.get("global_step")),
        weights={name: it for name, it in weights if isinstance(name, str) and isinstance(it, TensorMark)},
        values=values,
    )


def _pickle(file: BinaryIO) -> bytes:
    """The one part of the archive that holds values and not tensors."""
    if not is_archive(file):
        if file.read(2)[:1] == b"\x80":
            raise UnreadablePickleError("it is a bare pickle, as torch wrote before version 1.6; load and save it anew")
        raise UnreadablePickleError("it does not begin as a file of torch does")
    with zipfile.ZipFile(file) as archive:
        entries = archive.infolist()
        if len(entries) > _MOST_ENTRIES:
            raise UnreadablePickleError(f"it has {len(entries):,} parts")
        found = [entry for entry in entries if entry.filename.split("/")[1:] == ["data.pkl"]]
        if len(found) != 1:
            raise UnreadablePickleError("it is an archive without torch's data.pkl")
        with archive.open(unchecked_if_unknown(found[0])) as part:
            data = part.read(LARGEST_PICKLE + 1)
            if len(data) > LARGEST_PICKLE:
                raise UnreadablePickleError(f"its values take more than {LARGEST_PICKLE:,} bytes")
    return data


def _plain(value: object, budget: Iterator[int], depth: int) -> Any:
    """A value with nothing but plain containers in it; one that shares parts with itself could grow without end."""
    if next(budget, None) is None or depth > _DEEPEST:
        raise UnreadablePickleError("it is far larger than a run's config")
    if isinstance(value, dict):
        return {
            key: _plain(item, budget, depth + 1) for key, item in value.items() if isinstance(key, str | int | float)
        }
    if isinstance(value, list | tuple):
        return [_plain(item, budget, depth + 1) for item in value]
    if isinstance(value, Mark | TensorMark):
        raise UnreadablePickleError(f"it holds {_kind(value)}, which is no plain value")
    return value


def _kind(value: object) -> str:
    match value:
        case TensorMark():
            return "a tensor"
        case Mark(name):
            return f"an object ({name})"
    return f"a {type(value).__name__}"


def _of_type(cls: type, value: Any) -> Any:
    return value if type(value) is cls else None


def _masked(word: str, secrets: Sequence[str]) -> str:
    for secret in secrets:
        word = word.replace(secret, MASK) if secret else word
    return without_user_info(word)
