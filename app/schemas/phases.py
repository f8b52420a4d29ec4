"""The words for parts of a task's data and for the moments at which something is measured on them."""

from typing import Final, Literal

Split = Literal["train", "val", "test", "predict"]
"""A part of a task's data; also the prefix of what is logged about it: `val/accuracy`."""

Phase = Literal["train", "val", "test"]
"""A split that has targets, so that losses and metrics exist on it."""

PHASES: Final[tuple[Phase, ...]] = ("train", "val", "test")

Mode = Literal["min", "max"]
"""Which of a metric's values are the better ones: the small or the large."""


def log_prefix(split: Split, dataset: str = "") -> str:
    """What the names of a dataset's results begin with: `val`, or `val/noisy` for a further dataset of the split."""
    return f"{split}/{dataset}" if dataset else split
