"""What a run's randomness starts from, and what says that it starts from nothing."""

import pytest

from app.compose import load_config
from app.schemas.codes import Code
from app.schemas.problems import ConfigError, dotted
from app.schemas.rules import remarks
from app.schemas.seed import SeedParams


def test_a_run_without_a_seed_is_refused_with_the_reason() -> None:
    with pytest.raises(ConfigError) as caught:
        SeedParams(seed=None)  # type: ignore[arg-type]  # what YAML may say
    (problem,) = caught.value.problems
    assert problem.code is Code.WRONG_VALUE
    assert problem.message == (
        "expected a whole number of at least 0 and of at most 4294967295, found null:"
        " a run without a seed cannot be repeated"
    )
    assert SeedParams(seed=7).seed == 7


@pytest.mark.parametrize(
    ("overrides", "unseeded"),
    [
        (["seed_params.workers=false", "datamodule.dataloader.num_workers=2"], True),
        (["seed_params.workers=false", "datamodule.evaluation_dataloader.num_workers=2"], True),
        (["seed_params.workers=false"], False),
        (["datamodule.dataloader.num_workers=2"], False),
    ],
)
def test_workers_without_seeds_are_named(overrides: list[str], unseeded: bool) -> None:
    found = [dotted(fault.path) for fault in remarks(load_config(overrides)) if fault.code is Code.UNSEEDED]
    assert found == (["seed_params.workers"] if unseeded else [])
