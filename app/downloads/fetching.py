"""`fetch`: a file from the first mirror that has it, resumed where it broke off, checked, and put in place at once."""

import logging
import os
import re
import time
from contextlib import suppress
from dataclasses import dataclass
from hashlib import file_digest
from http import HTTPStatus
from pathlib import Path
from socket import gaierror
from typing import Final

import requests
from filelock import FileLock
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn
from urllib3.exceptions import HTTPError

from app.data_formats.errors import DataFileError
from app.downloads.errors import DownloadError, Failure
from app.schemas.downloads import DownloadConfig

_log = logging.getLogger(__name__)

_CHUNK: Final = 2**18
_MAY_PASS: Final = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS)


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How long a mirror is waited for, and how often it is asked again."""

    connect: float = 10.0
    """Seconds until a connection must stand."""

    silence: float = 30.0
    """Seconds in which at least something must come; how long the whole takes does not matter."""

    attempts: int = 5
    """How often a mirror is asked that breaks off or is busy, each time for what is still missing."""

    pause: float = 1.0
    """Seconds before the second attempt; twice as many before each further one."""


def fetch(download: DownloadConfig, folder: Path, setting: str, *, patience: Patience | None = None) -> Path:
    """The file in `folder`, downloaded if it is not there; its digest is checked either way.

    What breaks off is kept as `<file>.part`, and the next attempt goes on from there, in another process too. Of
    several processes one downloads, and the others wait for it. The file itself appears only when it is whole.

    Args:
        download: The file's name, where it comes from, and its digest.
        folder: Where it belongs; made if it is not there.
        setting: Where `download` stands in a run's config, for messages: `datamodule.files.train_images`.
        patience: How long mirrors are waited for.

    Raises:
        DownloadError: when no mirror gives the file, or it cannot be written.
        DataFileError: when what is there under this name holds something else, or cannot be read; it is left alone.
    """
    file = folder / download.file_name
    if not file.exists():
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with FileLock(folder / f".{download.file_name}.lock"):
                if not file.exists():  # another process may have been faster
                    _download(download, file, setting, patience or Patience())
                    return file
        except OSError as error:
            failure = Failure(str(folder), f"cannot be written: {error}")
            raise DownloadError(download, folder, setting, [failure]) from error
    try:
        found = _sha256(file)
    except OSError as error:
        reason = error.strerror or str(error)
        raise DataFileError(file, "", found=reason, expected="a file that can be read") from error
    if download.sha256 not in (None, found):
        advice = f"delete the file to have it downloaded, or type {setting}.sha256=null if it is one of your own"
        raise DataFileError(file, "", found=f"{found}; {advice}", expected=f"a file with SHA-256 {download.sha256}")
    return file


def _download(download: DownloadConfig, file: Path, setting: str, patience: Patience) -> None:
    part = file.with_name(f"{file.name}.part")
    failures = []
    for url in download.mirrors:
        try:
            _from_mirror(url, part, download.sha256, patience)
        except _MirrorError as error:
            failures.append(Failure(url, str(error)))
        else:
            part.replace(file)
            return
    raise DownloadError(download, file.parent, setting, failures)


class _MirrorError(Exception):
    """A mirror does not give the file."""


class _BrokeOffError(_MirrorError):
    """A mirror did not give the file this time."""


def _from_mirror(url: str, part: Path, sha256: str | None, patience: Patience) -> None:
    for attempt in range(1, patience.attempts + 1):
        if sha256 is None:
            # Nothing could tell afterwards whether the two parts are of one file.
            part.unlink(missing_ok=True)
        try:
            resumed = _transfer(url, part, patience)
        except _BrokeOffError:
            if attempt == patience.attempts:
                raise
            time.sleep(patience.pause * 2 ** (attempt - 1))
            continue
        found = _sha256(part)
        if sha256 in (None, found):
            return
        part.unlink()
        if not resumed or attempt == patience.attempts:
            raise _MirrorError(f"sent a file with SHA-256 {found}, expected {sha256}")


def _transfer(url: str, part: Path, patience: Patience) -> bool:
    """Add to `part` what is missing; whether anything was there before that is still in it."""
    size = part.stat().st_size if part.exists() else 0
    # A server that packs what it sends would make both its length and its digest another.
    headers = {"Accept-Encoding": "identity", **({"Range": f"bytes={size}-"} if size else {})}
    try:
        with requests.get(url, headers=headers, stream=True, timeout=(patience.connect, patience.silence)) as response:
            if size and response.status_code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                return True  # nothing is missing, or the mirror's file is another, which the digest will tell
            _refuse(response)
            if response.status_code == HTTPStatus.OK:
                size = 0  # the server sends everything, whatever it was asked for
            elif not re.match(rf"bytes {size}-", response.headers.get("Content-Range", "")):
                part.unlink()
                raise _BrokeOffError("sent another part of the file than the one it was asked for")
            _write(response, url, part, size)
    except (requests.RequestException, HTTPError) as error:
        raise _reason(error, part, patience) from error
    return size > 0


def _refuse(response: requests.Response) -> None:
    status = response.status_code
    if status not in (HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT):
        message = f"answered {status} {response.reason}".rstrip()
        raise _BrokeOffError(message) if status >= 500 or status in _MAY_PASS else _MirrorError(message)


def _write(response: requests.Response, url: str, part: Path, start: int) -> None:
    total = None
    with suppress(KeyError, ValueError):
        total = start + int(response.headers["Content-Length"])
    size = "of unknown size" if total is None else f"{total / 1e6:.1f} MB"
    there = f", of which {start / 1e6:.1f} MB are there" if start else ""
    _log.info("downloads %s (%s%s) from %s into %s", part.stem, size, there, url, part.parent)
    try:
        with _progress() as progress, part.open("ab" if start else "wb") as file:
            task = progress.add_task(part.stem, total=total, completed=start)
            for chunk in response.raw.stream(_CHUNK, decode_content=False):
                file.write(chunk)
                progress.advance(task, len(chunk))
            file.flush()
            os.fsync(file.fileno())
    except (KeyboardInterrupt, SystemExit):
        _log.warning("the download is interrupted; what has come of it is kept as %s", part)
        raise


def _progress() -> Progress:
    """A bar for people; nothing where the output is a file."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    return Progress(*columns, TimeRemainingColumn(), console=console, transient=True, disable=not console.is_terminal)


def _reason(error: Exception, part: Path, patience: Patience) -> _MirrorError:
    """What went wrong, without the layers of libraries that it went through."""
    root: BaseException = error
    while (cause := root.__cause__ or root.__context__) is not None:
        root = cause
    if isinstance(root, ConnectionRefusedError | gaierror):
        return _MirrorError(f"no connection: {root.strerror}")
    if isinstance(error, requests.ConnectTimeout):
        return _MirrorError(f"no connection within {patience.connect:g} seconds")
    if isinstance(root, TimeoutError):
        return _BrokeOffError(f"sent nothing for {patience.silence:g} seconds")
    if isinstance(error, requests.ConnectionError):
        return _BrokeOffError(f"broke the connection: {root}")
    if isinstance(error, requests.RequestException):
        return _MirrorError(str(error))
    return _BrokeOffError(f"broke off after {part.stat().st_size if part.exists() else 0:,} bytes")


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return file_digest(stream, "sha256").hexdigest()
