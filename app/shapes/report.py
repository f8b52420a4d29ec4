"""What the shape check says of a config: plain data, which one process hands to another. Nothing here imports torch."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from app.schemas.codes import Code
from app.schemas.problems import Problem

_UNITS: Final = ("", "k", "M", "G", "T", "P")


@dataclass(frozen=True, kw_only=True)
class PartReport:
    """A submodule of the model."""

    path: str
    """Where it stands in the model: `.backbone`, `.backbone.layers`."""

    kind: str
    """The name of its class."""

    parameters: int

    output: str
    """What it gave in a training step: `(64, 10) float32`; empty when the step never came there."""


@dataclass(frozen=True, kw_only=True)
class ShapeReport:
    """What a module needs, and what is wrong with it.

    The numbers are those of a training step on one device, and 0 where a problem kept the step from getting there.
    """

    parameters: int = 0

    trainable: int = 0
    """Those of the parameters that an optimizer may change."""

    flops: int = 0
    """Floating-point operations of one batch's way forward and back: those of products, sums are not counted."""

    batch_size: int = 0
    """Samples in that batch."""

    precision: str = ""
    """As `trainer.precision` says it."""

    parameter_bytes: int = 0
    gradient_bytes: int = 0
    optimizer_bytes: int = 0
    """What the optimizers remember from step to step."""

    activation_bytes: int = 0
    """What the way forward keeps for the way back, the parameters themselves aside."""

    parts: tuple[PartReport, ...] = ()
    """The parts of the model, two levels deep, in the order in which they are defined."""

    problems: tuple[Problem, ...] = ()
    """What would go wrong in a step, each with the path of the config's value that is to blame; no sources."""

    @property
    def bytes(self) -> int:
        """Memory that a training step holds at its fullest, as far as tensors of the model go."""
        return self.parameter_bytes + self.gradient_bytes + self.optimizer_bytes + self.activation_bytes


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


def to_json(report: ShapeReport) -> dict[str, Any]:
    """A report as JSON takes it."""
    problems = [{"path": problem.path, "message": problem.message, "code": problem.code} for problem in report.problems]
    return {**asdict(report), "problems": problems}


def from_json(values: Mapping[str, Any]) -> ShapeReport:
    """The report that `to_json` wrote."""
    parts = tuple(PartReport(**part) for part in values["parts"])
    problems = tuple(Problem(**{**problem, "code": Code(problem["code"])}) for problem in values["problems"])
    return ShapeReport(**{**values, "parts": parts, "problems": problems})


def _short(number: float) -> str:
    """A number for reading, with the unit's letter: `3.8 M`."""
    power = 0
    while number >= 999.5 and power < len(_UNITS) - 1:
        number, power = number / 1000, power + 1
    return f"{number:.3g} {_UNITS[power]}"
