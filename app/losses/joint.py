"""`JointLoss`: several losses, each computed from a step's named outputs, and their weighted sum."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from app.losses.inputs import LossInputError, described, shown
from app.schemas.outputs import MissingOutputError
from app.schemas.phases import PHASES, Phase


@dataclass(frozen=True, kw_only=True, eq=False)
class Term:
    """A loss, and what it is computed from."""

    loss: nn.Module
    mapping: Mapping[str, str]
    """The output that goes into each of the loss's arguments."""

    weight: float = 1.0
    phases: tuple[Phase, ...] = PHASES
    same_shape: tuple[str, ...] = ()
    """Arguments whose shapes must agree."""

    real_valued: tuple[str, ...] = ()
    """Arguments that are converted to real numbers."""


class JointLoss(nn.Module):
    """A weighted sum of losses by tag: `joint_loss["dice"]` is one of them.

    Args:
        terms: The losses by tag, in the order in which they are computed.
        normalize_weights: Divide the weights of the terms that are summed up by their sum.
    """

    def __init__(self, terms: Mapping[str, Term], *, normalize_weights: bool = True) -> None:
        super().__init__()
        self.normalize_weights = normalize_weights
        # With the ending, no tag is the name of a method: nn.ModuleDict refuses a module called `train`.
        self.losses = nn.ModuleDict({f"{tag}_loss": term.loss for tag, term in terms.items()})
        self._terms = dict(terms)
        self._factors: dict[tuple[str, ...], tuple[float, ...]] = {}

    def __getitem__(self, tag: str) -> nn.Module:
        if tag not in self._terms:
            raise KeyError(f"no term '{tag}'; there are {', '.join(self._terms)}")
        return self._terms[tag].loss

    def __iter__(self) -> Iterator[str]:
        return iter(self._terms)

    def tags(self, phase: Phase) -> tuple[str, ...]:
        """The terms that are computed in a phase."""
        return tuple(tag for tag, term in self._terms.items() if phase in term.phases)

    def forward(
        self, outputs: Mapping[str, Tensor], phase: Phase, only: Collection[str] | None = None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The weighted sum of a phase's terms, and each of them by its tag, without its weight.

        Args:
            outputs: What a step put out, by name.
            phase: The phase that the step is of, which must have a term: `tags` says which.
            only: The tags to leave it at; the weights are normalized over these alone.

        Raises:
            MissingOutputError: when an output is not there.
            LossInputError: when a loss cannot be computed from an output of this shape.
        """
        values = {
            tag: self._value(tag, term, outputs)
            for tag, term in self._terms.items()
            if phase in term.phases and (only is None or tag in only)
        }
        return self.total(values), values

    def total(self, values: Mapping[str, Tensor]) -> Tensor:
        """The weighted sum of some of the terms' values; the weights are normalized over these alone."""
        total: Tensor | None = None
        for share in self.shares(values).values():
            total = share if total is None else total + share
        assert total is not None, "a phase without terms has no loss; ask for its tags first"
        return total

    def shares(self, values: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """What each of some of the terms' values adds to their `total`."""
        tags = tuple(values)
        factors = self._factors.get(tags)
        if factors is None:
            factors = self._factors[tags] = self._weights(tags)
        return {
            tag: value if factor == 1 else value * factor
            for (tag, value), factor in zip(values.items(), factors, strict=True)
        }

    def _weights(self, tags: tuple[str, ...]) -> tuple[float, ...]:
        weights = [self._terms[tag].weight for tag in tags]
        whole = sum(weights) if self.normalize_weights else 1.0
        return tuple(weight / whole for weight in weights)

    def _value(self, tag: str, term: Term, outputs: Mapping[str, Tensor]) -> Tensor:
        given = {}
        for argument, output in term.mapping.items():
            if output not in outputs:
                raise MissingOutputError(f"joint_loss.losses.{tag}", output, outputs)
            given[argument] = outputs[output]
        for argument in term.real_valued:
            if not given[argument].is_floating_point():
                given[argument] = given[argument].to(torch.get_default_dtype())
        if term.same_shape:
            shape = given[term.same_shape[0]].shape
            for argument in term.same_shape:
                if given[argument].shape != shape:
                    raise LossInputError(_different_shapes(tag, term, given))
        try:
            value = cast(Tensor, term.loss(**given))
        except LossInputError as error:
            raise LossInputError(f"joint_loss.losses.{tag}: {error}") from None
        except Exception as error:
            # Not in another exception: Lightning and torch tell what to do by the type, as when memory has run out.
            error.add_note(f"joint_loss.losses.{tag} was given {_listed(term, given)}")
            raise
        if value.ndim:
            raise LossInputError(
                f"joint_loss.losses.{tag}: a loss is one number, {_name(term)} returned {shown(value)}"
            )
        return value


def _different_shapes(tag: str, term: Term, given: Mapping[str, Tensor]) -> str:
    listed = ", ".join(
        f"{argument} from '{term.mapping[argument]}' {shown(given[argument])}" for argument in term.same_shape
    )
    return f"joint_loss.losses.{tag}: {_name(term)} takes arguments of one shape, found {listed}"


def _listed(term: Term, given: Mapping[str, Tensor]) -> str:
    return ", ".join(
        f"{argument} from '{term.mapping[argument]}' {described(tensor)}" for argument, tensor in given.items()
    )


def _name(term: Term) -> str:
    return type(term.loss).__name__
