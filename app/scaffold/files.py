"""Writing several files or none: all are ready before the first is written, and a failure takes everything back."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from app.installed import is_installed
from app.schemas.problems import AppError, shown_path

ROOT: Final = Path(__file__).parents[2]
"""The checkout that `app` is run from."""

SCHEMA_FILE: Final = "experiments.schema.json"
"""What `app schema` writes into a task's folder."""


def checked_root() -> Path:
    """The checkout, which new files can be part of.

    Raises:
        AppError: when the project is installed as a package.
    """
    if is_installed(ROOT) or not (ROOT / "pyproject.toml").is_file():
        message = "is an installed package; app new writes into a checkout of the project's source, with pyproject.toml"
        raise AppError(f"{shown_path(ROOT / 'app')} {message}")
    return ROOT


@contextmanager
def written(new: Mapping[Path, str], changed: Mapping[Path, str], touched: Iterable[Path] = ()) -> Iterator[None]:
    """Write files; when that fails, or what is done with them, everything is as before.

    Args:
        new: files that must not be there yet.
        changed: files that are there, with their whole new text.
        touched: files that the body itself may write.

    Raises:
        AppError: when a file is there already, or cannot be read or written.
    """
    before: dict[Path, bytes | None] = {}
    folders: list[Path] = []
    at: Path | None = None
    try:
        _require_absent(new)
        for at in (*new, *changed, *touched):
            before[at] = at.read_bytes() if at.is_file() else None
        folders += (folder for file in new for folder in file.parents if not folder.exists())
        for at, text in {**new, **changed}.items():
            at.parent.mkdir(parents=True, exist_ok=True)
            with at.open("x" if at in new else "w", encoding="utf-8") as stream:
                stream.write(text)
        yield
    except BaseException as error:
        _take_back(before, folders)
        if isinstance(error, OSError):
            # A full disk is told without the file's name.
            raise AppError(f"cannot write {error.filename or at}: {error.strerror or error}") from error
        raise


def app_says(*words: str) -> str:
    """What `app` prints for words, in a process that sees the files as they are now.

    Raises:
        AppError: with what it prints when it fails.
    """
    done = subprocess.run(
        [sys.executable, "-m", "app", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        check=False,
    )
    if done.returncode:
        raise AppError(f"nothing was written, for app {' '.join(words)} said\n{done.stdout}{done.stderr}".rstrip())
    return done.stdout


def _require_absent(files: Iterable[Path]) -> None:
    for file in files:
        if file.exists():
            raise AppError(f"{shown_path(file)} is there already, and nothing is overwritten")


def _take_back(before: Mapping[Path, bytes | None], folders: Iterable[Path]) -> None:
    for file, content in before.items():
        if content is not None:
            file.write_bytes(content)
        elif file.exists() and not file.is_dir():
            file.unlink()
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)
