"""What is said of a sample once it is predicted: its name, and the class that its scores decide on."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import torch
from lightning import Trainer
from numpy.typing import NDArray
from torch import Tensor

from app.schemas.task import TaskKind

CLASS: Final = "class"
"""What a module's scores decide on, beside the outputs under their own names."""

LABEL: Final = "label"
"""What that class is called, where the task knows."""

BOXES: Final = "detected_boxes"
BOX_CLASSES: Final = "detected_labels"
"""The class of what is in each box; -1 for a row that holds none."""

BOX_NAMES: Final = "detected_names"
"""What that is called, where the task knows; an empty text for a row that holds none."""


def ids_of(trainer: Trainer, dataloader_idx: int) -> Sequence[str] | None:
    """What the samples of a dataset are called, None where it does not say."""
    loaders = trainer.predict_dataloaders
    loader = loaders[dataloader_idx] if isinstance(loaders, list) else loaders
    return getattr(getattr(loader, "dataset", None), "ids", None)


def names_of_classes(outputs: Mapping[str, Any], names: Sequence[str]) -> dict[str, NDArray[np.str_]]:
    """What the classes of whole samples, and of boxes, are called; nothing where they have no `names`."""
    numbers = {LABEL: outputs.get(CLASS), BOX_NAMES: outputs.get(BOX_CLASSES)}
    dimensions = {LABEL: 1, BOX_NAMES: 2}
    by_number = np.asarray([*names, ""], dtype=str)  # of which -1 is the last
    return {
        name: by_number[classes.cpu().long().numpy()]
        for name, classes in numbers.items()
        if names and isinstance(classes, Tensor) and classes.ndim == dimensions[name]
    }


def decided(outputs: Mapping[str, Any], kind: TaskKind) -> Tensor | None:
    """The class of each sample (or pixel), by its `probabilities` or else `logits`; None without either.

    For `multiclass` the class of the highest score along the second dimension. For `binary` and `multilabel` 1 where
    the probability is above one half and 0 elsewhere.
    """
    name, limit = ("probabilities", 0.5) if "probabilities" in outputs else ("logits", 0.0)
    scores = outputs.get(name)
    if not isinstance(scores, Tensor) or CLASS in outputs:
        return None
    if kind != "multiclass":
        return (scores > limit).to(torch.int64)
    return scores.argmax(dim=1) if scores.ndim > 1 else None
