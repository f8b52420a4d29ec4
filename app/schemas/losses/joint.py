"""`joint_loss`: the named terms that make up what is minimised."""

import re
from collections.abc import Iterator
from dataclasses import field
from typing import Final

from app.schemas.codes import Code
from app.schemas.losses.loss import LossConfig
from app.schemas.phases import PHASES, Phase
from app.schemas.problems import show
from app.schemas.rules import Finding, remark, rule
from app.schemas.schema import schema

_TAG: Final = re.compile(r"[A-Za-z]\w*", re.ASCII)


@schema
class JointLossConfig:
    """A weighted sum of losses."""

    normalize_weights: bool = True
    """Divide the weights of a phase's terms by their sum, so that the total stays a mean of them."""

    losses: dict[str, LossConfig] = field(default_factory=dict)
    """The terms by tag; the tag is the option's name, or any other with the option as `id`."""

    @rule("losses")
    def training_has_a_loss(self) -> Iterator[Finding]:
        """Without a term in training there is nothing to minimise."""
        if not any("train" in loss.phases for loss in self.losses.values()):
            yield "losses", "needs a term in training; choose one, as by loss=[cross_entropy]"

    @rule("losses")
    def tags_are_names(self) -> Iterator[Finding]:
        """A tag is part of paths, of logged names and of the names in a checkpoint."""
        for tag in self.losses:
            if not _TAG.fullmatch(tag):
                yield ("losses", tag), f"expected a name of letters, digits and _, found {show(tag)}"

    def tags(self, phase: Phase) -> tuple[str, ...]:
        """The terms of a phase."""
        return tuple(tag for tag, loss in self.losses.items() if phase in loss.phases)

    @remark(Code.UNUSED)
    def weights_are_relative(self) -> Iterator[Finding]:
        """The share of a term that is alone is 1, whatever its weight."""
        alone = all(len(self.tags(phase)) <= 1 for phase in PHASES)
        if alone and all(loss.weight == 1 for loss in self.losses.values()):
            yield "normalize_weights", "has no effect on terms of weight 1 that no phase has two of"
        for tag, loss in self.losses.items():
            if self.normalize_weights and all(len(self.tags(phase)) == 1 for phase in loss.phases):
                found = "is divided by itself: normalize_weights is true, and no phase has a second term"
                yield ("losses", tag, "weight"), f"{found}; leave it out, or set that to false"
