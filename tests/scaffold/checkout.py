"""A copy of the project to write into, and commands that are run there, many in one process."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

ROOT: Final = Path(__file__).parents[2]
RUN_ALL: Final = """
import contextlib, io, json, sys
from app.cli import main

done = []
for words in json.load(sys.stdin):
    out, errors = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors):
        status = main(words)
    packages = sorted({name.partition(".")[0] for name in sys.modules})
    done.append([status, out.getvalue(), errors.getvalue(), packages])
print(json.dumps(done))
"""


class Said(NamedTuple):
    """What came of one command."""

    status: int
    out: str
    errors: str
    packages: Sequence[str]
    """What had been imported when it ended."""


def copied(folder: Path) -> Path:
    """The project's code, tests and settings in another folder, with what mypy knows of them."""
    for name in ("app", "tests", "stubs", ".mypy_cache"):
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md"):
        shutil.copy2(ROOT / name, folder / name)
    return folder


def run_all(checkout: Path, *commands: Sequence[str]) -> list[Said]:
    """Run commands of `app` one after the other in one process, which imports torch once if at all."""
    done = run(checkout, sys.executable, "-c", RUN_ALL, text=json.dumps(commands))
    assert done.returncode == 0, done.stderr
    return [Said(*each) for each in json.loads(done.stdout.splitlines()[-1])]


def run(checkout: Path, *words: str, text: str = "") -> subprocess.CompletedProcess[str]:
    """Run a command in the copy."""
    environment = {**os.environ, "PYTHONPATH": str(checkout), "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        words, cwd=checkout, env=environment, input=text, capture_output=True, text=True, timeout=300, check=False
    )
