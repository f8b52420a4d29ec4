"""How what is not the test split is divided into train and val: the same two fields for every task that does it."""

import math
from collections.abc import Iterator

from app.schemas.constraints import Fraction
from app.schemas.datamodule import DataModuleConfig
from app.schemas.rules import Finding, rule
from app.schemas.schema import schema


@schema
class SplitConfig(DataModuleConfig):
    """A datamodule's config of data that `split_seed` divides; `app.tasks.shared.splitting` does what it says."""

    train_val_split: tuple[Fraction, Fraction] = (0.9, 0.1)
    """Shares of the samples outside the test split that become train and val; they add up to 1.

    Where the data comes with a val of its own, that is val, and everything else is train.
    """

    train_fraction: Fraction = 1.0
    """The share of the training split that is used, to study learning from less data; val stays as it is."""

    @rule("train_val_split")
    def split_adds_up(self) -> Iterator[Finding]:
        """Anything left over would go unused without a word, and more than all there is cannot be had."""
        total = sum(self.train_val_split)
        if not math.isclose(total, 1, abs_tol=1e-6):
            yield "train_val_split", f"the shares must add up to 1, found {total:g}"
