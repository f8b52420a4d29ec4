"""The shapes of configs, checked by processes of their own; nothing here imports torch."""

import json
import os
import pickle
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from typing import IO, Any, Final

from app.composing.stored_config import STORED, for_measuring
from app.schemas.codes import Code
from app.schemas.plain import to_plain
from app.schemas.problems import AppError, Problem
from app.schemas.run import RunConfig
from app.shapes import SECONDS, SECONDS_TO_START
from app.shapes.report import ShapeReport, from_json

_ENDS: Final[Mapping[str, str]] = {
    "SIGKILL": "was killed, as happens when memory runs out",
    "SIGSEGV": "crashes (SIGSEGV)",
}


def shape_reports(configs: Mapping[str, RunConfig], *, processes: int) -> Mapping[str, ShapeReport]:
    """What a step of each config takes and what goes wrong in it, by the configs' names and in their order.

    A module that ends the process it is tried in has that as its problem; the others are not affected.

    Raises:
        AppError: when the check itself cannot run here.
    """
    if find_spec("resource") is None:
        raise AppError("the check of shapes needs Linux or macOS, where the memory of a process can be limited")
    plain = {name: _for_a_check(config) for name, config in configs.items()}
    count = max(1, min(processes, len(plain)))
    groups = [dict(list(plain.items())[place::count]) for place in range(count)]
    with ThreadPoolExecutor(count) as pool:  # the threads only wait for their processes
        found = {name: report for reports in pool.map(_checked, groups) for name, report in reports.items()}
    return {name: found[name] for name in configs}


def _for_a_check(config: RunConfig) -> dict[str, Any]:
    """The config in plain containers, without weights to fetch or files to read."""
    return {**for_measuring(to_plain(config)), **dict.fromkeys(STORED)}


def _checked(plain: Mapping[str, Any]) -> dict[str, ShapeReport]:
    """The reports of some configs, from one process, or from another one after each that it does not survive."""
    found: dict[str, ShapeReport] = {}
    while left := {name: config for name, config in plain.items() if name not in found}:
        begun: str | None = None
        # Files, as a process that ends early reads no pipe to its end.
        with tempfile.TemporaryFile() as configs, tempfile.TemporaryFile("w+", errors="replace") as errors:
            pickle.dump(left, configs)  # JSON would make texts of the numbers that some mappings have as keys
            configs.seek(0)
            with _process(configs, errors) as process:
                assert process.stdout is not None, "it was asked for"
                for line in process.stdout:
                    message = json.loads(line)
                    begun = message.get("begun", begun)
                    if "report" in message:
                        found[message["name"]] = from_json(message["report"])
            errors.seek(0)
            said = errors.read().strip().splitlines()
            how = _end(process.returncode, said, SECONDS_TO_START if begun is None else SECONDS)
        if begun is None:
            raise AppError(f"shapes cannot be checked: the start of the check {how}")
        if not left.keys() <= found.keys():
            problem = Problem(code=Code.STEP_FAILS, path="module", message=f"a step on tensors without values {how}")
            found.setdefault(begun, ShapeReport(problems=(problem,)))
    return found


def _process(configs: IO[bytes], errors: IO[str]) -> "subprocess.Popen[str]":
    paths = os.pathsep.join(path for path in sys.path if path)
    return subprocess.Popen(
        [sys.executable, "-m", "app.shapes"],
        stdin=configs,
        stdout=subprocess.PIPE,
        stderr=errors,
        text=True,
        # What is compiled takes long, and cannot be looked into.
        env={**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1", "TORCH_COMPILE_DISABLE": "1"},
    )


def _end(status: int, said: Sequence[str], seconds: int) -> str:
    """How a process ended that had so much time, as a sentence goes on whose subject is what it was at."""
    if status >= 0:
        return f"ends the process with status {status}{f': {said[-1]}' if said else ''}"
    name = next((each.name for each in signal.Signals if each == -status), str(-status))
    if name == "SIGALRM":
        return f"takes longer than {seconds} seconds, and is not waited for"
    return _ENDS.get(name, f"ends the process by signal {name}")
