"""What losses and metrics have in common: they are computed from what a module's step puts out, key by key."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import field
from typing import Annotated, ClassVar

from annotated_types import MinLen

from app.schemas.constraints import NonEmptyText
from app.schemas.phases import PHASES, Phase
from app.schemas.problems import AppError, did_you_mean
from app.schemas.rules import Finding, rule
from app.schemas.schema import schema


@schema
class OutputMapping:
    """Which outputs of a step go into which arguments, and when.

    A step's outputs are named: `logits`, `target`, … . The module's config declares the names (`output_keys`), so the
    gate can refuse a mapping to an output that will never be there.
    """

    arguments: ClassVar[Mapping[str, str]]
    """What is computed takes these arguments, each from the output named here unless `mapping` says otherwise."""

    mapping: dict[str, NonEmptyText] = field(default_factory=dict)
    """The output that goes into an argument, where it is not the usual one: `{target: parity}`."""

    phases: Annotated[tuple[Phase, ...], MinLen(1)] = PHASES
    """The phases in which it is computed: train, val, test."""

    @rule("mapping")
    def mapped_arguments_exist(self) -> Iterator[Finding]:
        """What no argument is called would be handed over in vain."""
        for name in self.mapping:
            if name not in self.arguments:
                hint = did_you_mean(name, self.arguments) or f"; it takes {', '.join(self.arguments)}"
                yield ("mapping", name), f"{type(self).__name__} has no argument '{name}'{hint}"

    @rule("phases")
    def phases_are_named_once(self) -> Iterator[Finding]:
        """Twice would be a slip of the pen for another phase."""
        for phase in dict.fromkeys(phase for phase in self.phases if self.phases.count(phase) > 1):
            yield "phases", f"names {phase} twice"

    def output_of(self) -> dict[str, str]:
        """The output that goes into each argument."""
        return {**self.arguments, **self.mapping}


class MissingOutputError(AppError):
    """A module's step did not put out what its config declares, and what a loss or metric is computed from."""

    def __init__(self, part: str, output: str, found: Collection[str]) -> None:
        self.part, self.output, self.found = part, output, tuple(found)
        meant = did_you_mean(output, found) or f"; it put out {', '.join(found)}"
        declared = "output_keys of the module's config must name what is there"
        super().__init__(f"{part} needs the output '{output}', which the step did not put out{meant} ({declared})")

    def __reduce__(self) -> tuple[type["MissingOutputError"], tuple[str, str, tuple[str, ...]]]:
        return type(self), (self.part, self.output, self.found)
