"""The shapes of configs, checked by processes of their own; nothing here imports torch."""

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from app.schemas.codes import Code
from app.schemas.plain import to_plain
from app.schemas.run import RunConfig
from app.shapes.report import ShapeProblem, ShapeReport, from_json
from app.stored_config import for_measuring

__all__ = ["ShapeProblem", "ShapeReport", "report_text", "shape_reports"]

_ENDS: Final[Mapping[int, str]] = {
    signal.SIGALRM: "takes longer than two minutes",
    signal.SIGKILL: "was killed, as happens when memory runs out",
    signal.SIGSEGV: "crashes (SIGSEGV)",
}
_UNITS: Final = ("", "k", "M", "G", "T", "P")


def shape_reports(configs: Mapping[str, RunConfig], *, processes: int) -> Mapping[str, ShapeReport]:
    """What a step of each config takes and what goes wrong in it, by the configs' names and in their order.

    A module that ends the process it is tried in has that as its problem; the others are not affected.
    """
    plain = {name: _for_a_check(config) for name, config in configs.items()}
    count = max(1, min(processes, len(plain)))
    groups = [dict(list(plain.items())[place::count]) for place in range(count)]
    with ThreadPoolExecutor(count) as pool:  # the threads only wait for their processes
        found = {name: report for reports in pool.map(_checked, groups) for name, report in reports.items()}
    return {name: found[name] for name in configs}


def report_text(report: ShapeReport) -> str:
    """A report as a table: what a training step takes, and what each part of the model gives."""
    trained = "all of them trained" if report.trainable == report.parameters else f"{report.trainable:,} trained"
    memory = {
        "parameters": report.parameter_bytes,
        "gradients": report.gradient_bytes,
        "optimizer": report.optimizer_bytes,
        "activations": report.activation_bytes,
    }
    listed = ", ".join(f"{name} {_short(size)}B" for name, size in memory.items())
    lines = [
        f"{report.parameters:,} parameters, {trained}",
        f"{_short(report.flops)}FLOP for a batch of {report.batch_size}, forward and back",
        f"{_short(report.bytes)}B in {report.precision}: {listed}",
    ]
    rows = [(part.path, part.kind, f"{part.parameters:,}", part.output) for part in report.parts]
    widths = [max((len(row[place]) for row in rows), default=0) for place in range(3)]
    for path, kind, parameters, output in rows:
        lines.append(f"  {path:{widths[0]}}  {kind:{widths[1]}}  {parameters:>{widths[2]}}  {output}".rstrip())
    return "\n".join(lines)


def _for_a_check(config: RunConfig) -> dict[str, Any]:
    """The config in plain containers, without weights to fetch or files to read."""
    return {**for_measuring(to_plain(config)), "checkpoint": None, "resume_path": None}


def _checked(plain: Mapping[str, Any]) -> dict[str, ShapeReport]:
    """The reports of some configs, from one process, or from another one after each that it does not survive."""
    found: dict[str, ShapeReport] = {}
    while left := {name: config for name, config in plain.items() if name not in found}:
        begun = next(iter(left))
        with tempfile.TemporaryFile("w+") as errors, _process(errors.fileno()) as process:
            assert process.stdin is not None, "it was asked for"
            assert process.stdout is not None, "it was asked for"
            try:
                json.dump(left, process.stdin)
                process.stdin.close()
            except BrokenPipeError:
                pass  # it ended before it had read all; why, its status says
            for line in process.stdout:
                message = json.loads(line)
                begun = message.get("begun", begun)
                if "report" in message:
                    found[message["name"]] = from_json(message["report"])
            status = process.wait()
            errors.seek(0)
            said = errors.read().strip().splitlines()
        if status != 0 or not left.keys() <= found.keys():
            found.setdefault(begun, _ended(status, said))
    return found


def _process(errors: int) -> "subprocess.Popen[str]":
    paths = os.pathsep.join(path for path in sys.path if path)
    return subprocess.Popen(
        [sys.executable, "-m", "app.shapes"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=errors,
        text=True,
        # What is compiled takes long, and cannot be looked into.
        env={**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1", "TORCH_COMPILE_DISABLE": "1"},
    )


def _ended(status: int, said: Sequence[str]) -> ShapeReport:
    """What to say of a config with which the process ended."""
    if status < 0:
        how = _ENDS.get(-status, f"ends the process by signal {-status}")
    else:
        how = f"ends the process with status {status}{f': {said[-1]}' if said else ''}"
    problem = ShapeProblem(code=Code.STEP_FAILS, path="module", message=f"a step on tensors without values {how}")
    return ShapeReport(problems=(problem,))


def _short(number: float) -> str:
    """A number for reading, with the unit's letter: `3.8 M`."""
    power = 0
    while number >= 999.5 and power < len(_UNITS) - 1:
        number, power = number / 1000, power + 1
    return f"{number:.3g} {_UNITS[power]}"
