"""`app checkpoint plan`: what `load_checkpoint` would put where, before anything is trained."""

import sys
from collections.abc import Iterator
from typing import Final

from rich.console import Console
from rich.table import Table
from torch import nn

from app.checkpoints.merging import Fate, Merge, merge, size
from app.schemas.checkpoint import FIELD, LoadCheckpointConfig

_COLOURS: Final[dict[Fate, str]] = {
    "match": "green",
    "mismatch": "bold red",
    "missing": "bold red",
    "excluded": "yellow",
    "initial": "yellow",
}
_MOST_STRANGERS: Final = 20


def plan(model: nn.Module, load: LoadCheckpointConfig) -> int:
    """Print for every name of the model which file it comes from, and what is in the files besides.

    The model is not changed.

    Returns:
        The exit status: 0 when a training would start with these weights, 2 when it would refuse them.

    Raises:
        ConfigError: when the config names parts that the model does not have.
        CheckpointError: when a file cannot be read.
    """
    merged = merge(model, load)
    console = Console(soft_wrap=True)
    if console.is_terminal:
        console.print(_table(merged))
    else:
        sys.stdout.writelines(f"{line}\n" for line in _lines(merged))
    sys.stdout.writelines(f"{line}\n" for line in _remarks(merged))
    return 0 if merged.loads else 2


def _lines(merged: Merge) -> Iterator[str]:
    """One line for each name, its columns apart by tabs: what a script can read."""
    for entry in merged.entries:
        yield "\t".join([entry.fate, entry.name, size(entry.shape), size(entry.found_shape), entry.file or "-"])


def _table(merged: Merge) -> Table:
    table = Table("name", "shape", "", "from", title=f"{FIELD}: {len(merged.entries)} names in the model")
    for entry in merged.entries:
        fate = f"[{_COLOURS[entry.fate]}]{entry.fate}[/]"
        if entry.fate == "mismatch":
            fate += f" {size(entry.found_shape)}"
        table.add_row(entry.name, size(entry.shape), fate, entry.file or "")
    return table


def _remarks(merged: Merge) -> Iterator[str]:
    for file, names in merged.unexpected.items():
        more = f", and {len(names) - _MOST_STRANGERS} more" if len(names) > _MOST_STRANGERS else ""
        yield f"{file} has more than the model: {', '.join(names[:_MOST_STRANGERS])}{more}"
    yield from merged.suggestions
    yield merged.summary()
    faults = merged.faults()
    if faults:
        yield "a training would not start:"
        yield from (f"  {fault}" for fault in faults)
