"""What a run's randomness starts from."""

from app.schemas.constraints import Seed
from app.schemas.schema import schema


@schema
class SeedParams:
    """Seeds of Python, NumPy and torch: two runs with the same ones are bit-identical on one machine's CPU."""

    seed: Seed = 0
    """Where every random generator of the run starts."""

    workers: bool = True
    """Give each dataloader worker a seed of its own, derived from `seed`; without it workers may repeat each other."""
