"""What the gate says about augmentations."""

import pytest

from app import load_config
from app.schemas.problems import ConfigError, Problem

PREFIX = "datamodule.augmentations."


def problems_of(*entries: str) -> dict[str, str]:
    """The messages about entries of `datamodule.augmentations`, by their paths below that."""
    return {problem.path.removeprefix(PREFIX): problem.message for problem in all_of(*entries)}


def all_of(*entries: str) -> tuple[Problem, ...]:
    with pytest.raises(ConfigError) as caught:
        load_config([f"{PREFIX}{entry}" for entry in entries])
    return caught.value.problems
