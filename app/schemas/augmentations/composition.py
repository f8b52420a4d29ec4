"""Augmentations made of others: several that go together, one of several for each image, or a few of them."""

from collections.abc import Iterator
from dataclasses import field
from typing import ClassVar

from app.schemas.augmentations.augmentation import EVERY_TARGET, AugmentationConfig, PlacedTarget
from app.schemas.constraints import PositiveFloat, PositiveInt
from app.schemas.problems import did_you_mean, one_of
from app.schemas.registry import register
from app.schemas.rules import Finding, rule
from app.schemas.schema import schema


@schema
class CompositionConfig(AugmentationConfig):
    """What is made of other augmentations."""

    abstract: ClassVar = True

    any_shape: ClassVar = True  # what its steps take is what counts

    steps: dict[str, AugmentationConfig] = field(default_factory=dict)
    """The augmentations by names of your own, each with its option: `{mirror: {id: horizontal_flip}}`."""

    @property
    def moves(self) -> frozenset[PlacedTarget]:
        """What every one of the steps moves along."""
        return EVERY_TARGET.intersection(*(step.moves for step in self.steps.values()))

    @rule("steps")
    def there_are_steps(self) -> Iterator[Finding]:
        """Without any, nothing would be changed."""
        if not self.steps:
            yield "steps", "needs an augmentation at least, as by steps={mirror: {id: horizontal_flip}}"


@register("augmentation", "sequence", target="app.augmentations.composition.InTurn")
@schema
class SequenceConfig(CompositionConfig):
    """Several augmentations that go together: an image goes through all of them, or with `probability` through none."""


@register("augmentation", "one_of", target="app.augmentations.composition.OneOf")
@schema
class OneOfConfig(CompositionConfig):
    """One of several augmentations for each image; its own probability still says whether that changes it."""

    weights: dict[str, PositiveFloat] = field(default_factory=dict)
    """How often each step is drawn compared to the others, by its name; 1 where none is given."""

    @rule("steps", "weights")
    def weights_are_of_steps(self) -> Iterator[Finding]:
        """A weight of nothing is a slip of the pen."""
        for name in self.weights:
            if self.steps and name not in self.steps:
                meant = did_you_mean(name, self.steps) or f"; expected {one_of(list(self.steps))}"
                yield ("weights", name), f"there is no step '{name}'{meant}"


@register("augmentation", "some_of", target="app.augmentations.composition.SomeOf")
@schema
class SomeOfConfig(CompositionConfig):
    """A few of several augmentations for each image, different ones, in the order of the steps."""

    count: PositiveInt = 2
    """How many of the steps an image goes through."""

    @rule("steps", "count")
    def there_are_enough(self) -> Iterator[Finding]:
        """The steps of an image are different ones."""
        if self.steps and self.count > len(self.steps):
            yield "count", f"expected at most {len(self.steps)}, as many as there are steps, found {self.count}"
