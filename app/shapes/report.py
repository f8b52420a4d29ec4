"""What the shape check says of a config: plain data, which one process hands to another. Nothing here imports torch."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from app.schemas.codes import Code


@dataclass(frozen=True, kw_only=True)
class ShapeProblem:
    """One thing that would go wrong in a step."""

    code: Code

    path: str
    """Dotted path of the config's value that is to blame."""

    message: str
    """What was found and what would be right."""


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

    problems: tuple[ShapeProblem, ...] = ()

    @property
    def bytes(self) -> int:
        """Memory that a training step holds at its fullest, as far as tensors of the model go."""
        return self.parameter_bytes + self.gradient_bytes + self.optimizer_bytes + self.activation_bytes


def to_json(report: ShapeReport) -> dict[str, Any]:
    """A report as JSON takes it."""
    return asdict(report)


def from_json(values: Mapping[str, Any]) -> ShapeReport:
    """The report that `to_json` wrote."""
    parts = tuple(PartReport(**part) for part in values["parts"])
    problems = tuple(ShapeProblem(**{**problem, "code": Code(problem["code"])}) for problem in values["problems"])
    return ShapeReport(**{**values, "parts": parts, "problems": problems})
