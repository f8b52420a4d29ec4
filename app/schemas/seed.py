"""What a run's randomness starts from."""

from typing import Annotated

from pydantic import BeforeValidator

from app.schemas.constraints import Seed
from app.schemas.expectations import expected
from app.schemas.schema import schema


def _a_seed(value: object) -> object:
    if value is None:
        raise ValueError(f"expected {expected(Seed)}, found null: a run without a seed cannot be repeated")
    return value


@schema
class SeedParams:
    """Seeds of Python, NumPy and torch: two runs with the same ones are bit-identical on one machine's CPU."""

    seed: Annotated[Seed, BeforeValidator(_a_seed)] = 0
    """Where every random generator of the run starts."""

    workers: bool = True
    """Give each dataloader worker a seed of its own, derived from `seed`; without it workers may repeat each other."""
