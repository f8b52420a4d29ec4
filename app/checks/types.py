"""Experiments judged by mypy: each is rendered as typed Python, and what mypy says comes back at the line of the YAML.

mypy comes with the extra `check`. It is called once for all experiments, and keeps what it knows in a cache folder, so
that only the first call and what has changed since the last one take long.
"""

import hashlib
import json
import os
import re
import stat
import sys
import tempfile
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from getpass import getuser
from importlib.util import find_spec
from pathlib import Path as File
from typing import Any, Final

from app.checks.written_python import WrittenPython, written_python
from app.composing.experiments import Experiment, with_bases
from app.installed import is_installed
from app.schemas.codes import Code
from app.schemas.problems import AppError, ConfigError, FileSource, Problem, dotted, missing_extra
from app.schemas.schema import schemas

_LONG: Final = 30 * 24 * 3600
"""Seconds after which what is rendered is removed, when it was not checked again."""

_ARGUMENT: Final = re.compile(r'Unexpected keyword argument "(\w+)"')


def type_problems(experiments: Sequence[Experiment], *, cache: File | None = None) -> list[Problem]:
    """What mypy finds wrong with the values of experiments and of what they build on, each once, sorted by place.

    Args:
        experiments: What to check; one whose text cannot be read is passed over, and so is what is wrong in its text.
        cache: Folder for what is rendered and for mypy's cache; one of the user's, when it is not given.

    Raises:
        ConfigError: when mypy is not installed.
        AppError: when it cannot read the schemas.
    """
    if find_spec("mypy") is None:
        message = missing_extra("mypy, by which types are checked,", "check")
        raise ConfigError([Problem(path="", message=message, code=Code.ENVIRONMENT)])
    rendered: dict[str, WrittenPython] = {}
    folder = (cache or cache_folder()).absolute() / "experiments"
    for experiment in experiments:
        written = written_python(with_bases(experiment)[0])
        if written is not None:
            name = hashlib.sha256(str(experiment.file.absolute()).encode()).hexdigest()[:16]
            rendered[str(folder / f"experiment_{name}.py")] = written
    if not rendered:
        return []
    settings = folder.parent / "mypy.ini"
    _write({str(settings): _settings()} | {name: written.text for name, written in rendered.items()})
    _remove_old(folder, rendered)
    return sorted({_problem(error, rendered) for error in _mypy(rendered, settings)}, key=_place)


def cache_folder() -> File:
    """Where this project's mypy cache is kept, outside the project: one for each copy of it."""
    home = os.environ.get("XDG_CACHE_HOME") or os.environ.get("LOCALAPPDATA") or File.home() / ".cache"
    copy = f"{sys.prefix}:{File(__file__).parent}"
    folder = File(home) / "typed-lightning-app" / hashlib.sha256(copy.encode()).hexdigest()[:16]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return _own_temporary_folder(folder.name)
    return folder


def _own_temporary_folder(name: str) -> File:
    """A folder that is there the next time too, and that nobody else can have put mypy's cache into."""
    user = os.getuid() if hasattr(os, "getuid") else getuser()
    folder = File(tempfile.gettempdir()) / f"typed-lightning-app-{user}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()  # a link of this name is somebody else's
    except OSError as error:
        raise AppError(f"there is no folder for what mypy is to check: {error}") from error
    is_own = not hasattr(os, "getuid") or (found.st_uid == os.getuid() and not found.st_mode & 0o077)
    if not stat.S_ISDIR(found.st_mode) or not is_own:
        raise AppError(f"{folder} should be a folder of yours that nobody else may look into; remove it")
    (folder / name).mkdir(exist_ok=True)
    return folder / name


def _remove_old(folder: File, kept: Collection[str]) -> None:
    """Remove what was rendered of experiments that nobody has checked for long, most of which are gone."""
    for file in folder.glob("experiment_*"):
        with suppress(OSError):  # another process may remove the same
            if str(file) not in kept and file.stat().st_mtime < time.time() - _LONG:
                file.unlink()


def _write(texts: Mapping[str, str]) -> None:
    """Write what has changed, for nobody else to read; another process may be writing the same."""
    try:
        for name, text in texts.items():
            file = File(name)
            file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            if file.is_file() and file.read_text(encoding="utf-8") == text:
                # It is still in use; mypy, which goes by the time too, is not made to look again each time.
                if file.stat().st_mtime < time.time() - _LONG / 2:
                    os.utime(file)
            else:
                draft = file.with_suffix(f".{os.getpid()}")
                draft.write_text(text, encoding="utf-8")
                draft.replace(file)
    except OSError as error:
        raise AppError(f"cannot write what mypy is to check: {error}") from error


def _mypy(files: Collection[str], settings: File) -> Iterator[dict[str, Any]]:
    """The errors that mypy finds in these files."""
    from mypy import api  # an extra, and half a second to import

    cache = settings.parent / "mypy"
    given = [f"--config-file={settings}", f"--cache-dir={cache}", "--output=json", "--show-absolute-path", *files]
    report, errors, status = api.run(given)
    if status not in (0, 1):
        raise AppError(f"mypy cannot check the experiments: {(errors or report).strip()}")
    for error in map(json.loads, filter(None, report.splitlines())):
        if error["severity"] == "error" and error["file"] in files:
            yield error


def _settings() -> str:
    """Mypy's settings: where the packages with schemas are, and that only these are looked into.

    Of other packages, only pydantic has types of fields. Reading all that the schemas import takes ten times as long.
    """
    packages = sorted({path.partition(".")[0] for path in schemas})
    folders = {File(folder).parent for name in packages for folder in getattr(sys.modules[name], "__path__", ())}
    # Mypy looks into installed packages by itself, and wants not to be told.
    there = [str(folder) for folder in sorted(folders) if not is_installed(folder)]
    sections = [f"[mypy-{name}.*]\nfollow_imports = silent\n" for name in [*packages, "pydantic"]]
    return "\n".join(["[mypy]", f"mypy_path = {os.pathsep.join(there)}", "follow_imports = skip", "", *sections])


def _problem(error: dict[str, Any], rendered: dict[str, WrittenPython]) -> Problem:
    """What mypy says, at the value of the YAML that its line is about."""
    line = rendered[error["file"]].lines.get(error["line"])
    if line is None:
        raise AppError(f"mypy cannot read the schemas: {error['message']}")
    path, source, message = line.path, line.source, error["message"]
    if (unknown := _ARGUMENT.match(message)) and (argument := line.arguments.get(unknown[1])):
        path, source = (*path, argument.name), argument.source
        message = message.replace(f'"{unknown[1]}"', f'"{argument.name}"', 1)
    return Problem(path=dotted(path), message=f"{message}  [{error['code']}]", source=source, code=Code.TYPE)


def _place(problem: Problem) -> tuple[str, int, int, str, str]:
    """What problems are sorted by."""
    source = problem.source
    assert isinstance(source, FileSource), "every rendered line has a place in a file"
    return source.file, source.line, source.column, problem.path, problem.message
