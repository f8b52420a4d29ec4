"""`find_lr`: the range that `app find-lr` searches for a learning rate."""

from collections.abc import Iterator
from typing import Annotated

from annotated_types import Ge

from app.schemas.constraints import NonEmptyText, PositiveFloat
from app.schemas.rules import Finding, rule
from app.schemas.schema import schema


@schema
class FindLRConfig:
    """How `app find-lr` looks for a learning rate: one short training with rates that rise from step to step."""

    smallest: PositiveFloat = 1e-6
    """The first learning rate; the loss should hardly move at it."""

    largest: PositiveFloat = 1.0
    """The last one, at which training should diverge; the search ends once it does."""

    steps: Annotated[int, Ge(5)] = 100
    """Steps on the way from the one to the other; more give a smoother curve."""

    optimizer: NonEmptyText | None = None
    """The further optimizer whose rate is searched, by its name in `optimizers`; null is `optimizer_spec`."""

    @rule("smallest", "largest")
    def range_is_not_empty(self) -> Iterator[Finding]:
        """Rates cannot rise within it otherwise."""
        if self.smallest >= self.largest:
            yield "largest", f"expected more than smallest={self.smallest:g}, found {self.largest:g}"
