"""Values of metrics that are no number: curves, matrices, lists. They are kept as files, and drawn by some loggers.

The latest one of each is `<run>/metrics/<split>_<name>.npz`, which `numpy.load` reads; `epoch` in it says whose it is.
"""

import logging
import os
import re
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from lightning.pytorch import Trainer
from lightning.pytorch.loggers import TensorBoardLogger, WandbLogger
from torch import Tensor

if TYPE_CHECKING:
    from matplotlib.figure import Figure

log = logging.getLogger(__name__)

Table = Mapping[str, Tensor]
"""The parts of a value by name: `{"fpr": …, "tpr": …, "thresholds": …}`."""

_MOST_NUMBERS_IN_A_MATRIX = 20
"""With more classes than this, the numbers in a drawn matrix would run into each other."""


def keep_table(trainer: Trainer, name: str, table: Table) -> None:
    """Write a table into the run's directory, and draw it for TensorBoard and Weights & Biases if the run has them.

    `name` is the full name that a number would be logged under, `val/confusion_matrix`. Every process may call this;
    one of them writes. What the sanity check measured is not kept, nor anything of a bare run.
    """
    if not trainer.is_global_zero or trainer.sanity_checking or trainer.barebones:
        return
    arrays = {part: _array(tensor) for part, tensor in table.items()}
    file_name = re.sub(r"[^\w.-]+", "_", name)
    path = Path(trainer.default_root_dir) / "metrics" / f"{file_name}.npz"
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".npz.tmp")
    with unfinished.open("wb") as file:
        np.savez(file, epoch=trainer.current_epoch, **arrays)
    os.replace(unfinished, path)  # noqa: PTH105  # a reader sees the old table or the new one, never half of it
    _show(trainer, name, arrays)


def table_of(value: Any, names: Sequence[str]) -> dict[str, Tensor]:
    """A metric's value as a table, its parts called `names`.

    Parts of different lengths, such as a curve for each class, are called `fpr_0`, `fpr_1`, …
    """
    if isinstance(value, Tensor):
        return {names[0] if names else "values": value}
    if isinstance(value, dict):
        return {str(key): part for key, part in value.items()}
    if isinstance(value, tuple) and len(value) == len(names):
        return {
            key: part
            for name, item in zip(names, value, strict=True)
            for key, part in (_numbered(name, item) if isinstance(item, list | tuple) else {name: item}).items()
        }
    return _numbered(names[0] if names else "values", value)


def draw(table: Mapping[str, Any], title: str) -> "Figure | None":
    """A figure of a matrix or a curve; None for a table that is neither.

    Needs matplotlib.
    """
    curve = next((axes for axes in (("fpr", "tpr"), ("recall", "precision")) if set(axes) <= _stems(table)), None)
    if curve is None and not ("matrix" in table and table["matrix"].ndim == 2):
        return None
    from matplotlib.figure import Figure  # an extra, and slow to import

    figure = Figure(figsize=(6, 5), layout="constrained")
    axes = figure.subplots()
    axes.set_title(title)
    if curve is not None:
        for label, x, y in _lines(table, *curve):
            axes.plot(x, y, label=label)
        axes.set(xlabel=curve[0], ylabel=curve[1], xlim=(0, 1), ylim=(0, 1.02))
        if axes.get_legend_handles_labels()[1]:
            axes.legend(fontsize="small")
        return figure
    matrix = table["matrix"]
    figure.colorbar(axes.imshow(matrix, cmap="Blues"))
    axes.set(xlabel="predicted class", ylabel="true class")
    if len(matrix) <= _MOST_NUMBERS_IN_A_MATRIX:
        dark = matrix > matrix.max() / 2
        for row, column in np.ndindex(matrix.shape):
            text = f"{matrix[row, column]:.4g}"
            axes.text(column, row, text, ha="center", va="center", color="white" if dark[row, column] else "black")
    return figure


def _show(trainer: Trainer, name: str, table: Mapping[str, Any]) -> None:
    """Draw the table in the loggers that show figures."""
    loggers = [logger for logger in trainer.loggers if isinstance(logger, TensorBoardLogger | WandbLogger)]
    if not loggers or not _can_draw():
        return
    figure = draw(table, name)
    if figure is None:
        return
    for logger in loggers:
        if isinstance(logger, TensorBoardLogger):
            logger.experiment.add_figure(name, figure, trainer.global_step, close=False)
        else:
            logger.log_image(name, [figure], step=trainer.global_step)


def _array(tensor: Tensor) -> Any:
    tensor = tensor.detach().cpu()
    return (tensor.float() if tensor.dtype is torch.bfloat16 else tensor).numpy()  # which NumPy does not know


@cache
def _can_draw() -> bool:
    found = find_spec("matplotlib") is not None
    if not found:
        log.warning("matplotlib is not installed: tables of metrics are kept as files, and not drawn")
    return found


def _numbered(name: str, parts: Sequence[Tensor]) -> dict[str, Tensor]:
    return {f"{name}_{index}": part for index, part in enumerate(parts)}


def _stems(table: Mapping[str, Any]) -> set[str]:
    return {re.sub(r"_\d+$", "", key) for key in table}


def _lines(table: Mapping[str, Any], x: str, y: str) -> list[tuple[str | None, Any, Any]]:
    """The lines of a curve: one alone, a row for each class, or parts numbered by class."""
    if x not in table:
        count = sum(1 for key in table if re.fullmatch(rf"{x}_\d+", key))
        return [(str(index), table[f"{x}_{index}"], table[f"{y}_{index}"]) for index in range(count)]
    if table[x].ndim == 1:
        return [(None, table[x], table[y])]
    return [(str(index), table[x][index], table[y][index]) for index in range(len(table[x]))]
