"""Opens a checkpoint wherever it lies: on this machine, or where fsspec reads from. Nothing here imports torch."""

import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Final, cast

from app.schemas.plain import MASK
from app.schemas.problems import AppError, first_line
from app.schemas.user_paths import user_path

_WEB: Final = ("http://", "https://")
_FETCHING: Final = "cannot be fetched"
_USER_INFO: Final = re.compile(r"(?<=://)[^/?#\s]*@")


class CheckpointError(AppError):
    """A checkpoint that cannot be read, or not be used as it was asked for; names and passwords in it are masked."""

    def __init__(self, path: str, message: str) -> None:
        self.path, self.message = without_user_info(path), without_user_info(message)
        super().__init__(f"{self.path}: {self.message}")

    def __reduce__(self) -> tuple[type["CheckpointError"], tuple[str, str]]:
        return type(self), (self.path, self.message)


class MissingCheckpointError(CheckpointError):
    """There is no file where a checkpoint should be."""


@contextmanager
def opened(path: str, *, whole: bool = False) -> Iterator[BinaryIO]:
    """The file, to be read from any place in it.

    Args:
        path: A path, or an address such as `https://…` or `s3://…`.
        whole: Whether all of it will be read. A remote file is then copied to this machine first; otherwise only the
            parts that are read are fetched, as far as the server can do that.

    Raises:
        CheckpointError: when it cannot be opened or fetched.
    """
    file = _remote(path, whole=whole) if is_remote(path) else _local(path)
    with file:
        yield file


def is_remote(path: str) -> bool:
    """Whether the path is an address."""
    return "://" in path and not path.startswith("file://")


def without_user_info(text: str) -> str:
    """The text as it may be shown and stored: less the name and password that addresses in it log in with."""
    return _USER_INFO.sub(f"{MASK}@", text)


@contextmanager
def located(path: str, *, failing: str = _FETCHING) -> Iterator[tuple[Any, str]]:
    """The file system of an address, and the path in it; whatever goes wrong with them is a `CheckpointError`.

    Args:
        path: One address.
        failing: What an error means: `could not be saved`.

    Raises:
        MissingCheckpointError: when there is no such file.
        CheckpointError: when the address is none, its protocol's package is missing, or the server refuses or is gone.
    """
    if "::" in path:
        # Such a chain can name a list of references that is itself fetched, in which fsspec runs templates.
        raise CheckpointError(path, "expected one address, found a chain of several joined by '::'")
    try:
        from fsspec.core import url_to_fs  # type: ignore[import-untyped]  # it ships no types; and is slow to import

        filesystem, name = url_to_fs(path, **_options(path))
        yield filesystem, name
    except CheckpointError:
        raise
    except Exception as error:  # every protocol has errors of its own, a missing package among them
        cause = _first(error)
        if failing == _FETCHING and _is_missing(path, error, cause):
            raise MissingCheckpointError(path, "no such file") from error
        raise CheckpointError(path, f"{failing}: {type(cause).__name__}: {first_line(cause)}") from error


def _local(path: str) -> BinaryIO:
    try:
        return user_path(path.removeprefix("file://")).open("rb")
    except FileNotFoundError:
        raise MissingCheckpointError(path, "no such file") from None
    except IsADirectoryError:
        raise CheckpointError(path, "is a folder; expected one file, such as checkpoints/last.ckpt in it") from None
    except (OSError, ValueError, RuntimeError) as error:  # the latter two for impossible names
        raise CheckpointError(path, f"cannot be read: {getattr(error, 'strerror', None) or error}") from error


def _remote(path: str, *, whole: bool) -> BinaryIO:
    with located(path) as (filesystem, name):
        if not whole:
            file = filesystem.open(name, "rb")
            if _seekable(file):
                return cast(BinaryIO, file)
            file.close()
        return _copied(filesystem, name)


def _is_missing(path: str, error: Exception, cause: BaseException) -> bool:
    if path.startswith(_WEB):
        return isinstance(cause, FileNotFoundError) or getattr(cause, "status", None) == 404
    return isinstance(error, FileNotFoundError)


def _first(error: BaseException) -> BaseException:
    """What an error goes back to: fsspec says of a web server that does not answer that there is no such file."""
    while error.__cause__ is not None:
        error = error.__cause__
    return error


def _options(path: str) -> dict[str, Any]:
    if not path.startswith(_WEB):
        return {}
    from aiohttp import ClientTimeout  # comes with fsspec[http]

    # The usual limit of five minutes for a whole file is too short for a large one; a silent server is given up.
    return {"client_kwargs": {"timeout": ClientTimeout(total=None, sock_connect=30, sock_read=60), "trust_env": True}}


def _seekable(file: Any) -> bool:
    """A web server that cannot serve parts of a file has to be read from the start."""
    try:
        file.seek(0, 2)
        file.seek(0)
    except ValueError:
        return False
    return True


def _copied(filesystem: Any, name: str) -> BinaryIO:
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, "checkpoint")
        filesystem.get_file(name, str(copy))
        return copy.open("rb")  # which can be read although the folder goes
