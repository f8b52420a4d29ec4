"""Python laid out as `make check` wants it: ruff sorts the imports and wraps the lines, where it is installed."""

import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Final

from app.scaffold.files import ROOT
from app.schemas.problems import AppError

ADVICE: Final = "ruff is not installed, so that lines may be too long or imports unsorted: make format"


_OURS: Final = "lint.isort.known-first-party=['app', 'tests']"
"""Ruff would take a module that is not there yet for somebody else's."""


def laid_out(text: str, file: Path) -> str:
    """The text as it shall stand in the file; as it is where there is no ruff."""
    ruff = find_ruff()
    if ruff is None:
        return text
    for command in (["check", "--select", "I", "--fix", "--config", _OURS], ["format"]):
        done = subprocess.run(
            [ruff, *command, "--quiet", "--stdin-filename", str(file), "-"],
            input=text,
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise AppError(f"ruff cannot lay out {file.name}: {done.stderr.strip() or done.stdout.strip()}")
        text = done.stdout
    return text


@cache
def find_ruff() -> str | None:
    """Where ruff is: beside Python, as in the project's environment, or wherever commands are."""
    return shutil.which("ruff", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]))
