"""A picture of predictions: the first images, each with its name and what the module says of it."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from io import BytesIO
from math import ceil, sqrt
from pathlib import Path
from typing import Any, Final

import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from torch import Tensor

from app.data_formats.whole_file import write_whole
from app.prediction.decisions import BOX_CLASSES, BOXES, CLASS, decided, ids_of
from app.schemas.task import TaskKind

_COLOURS: Final = "tab10"
"""Ten colours that are told apart easily; class 0 of a mask is left as it is, as the background mostly is."""


class PredictionPicture(Callback):
    """Draws the first samples in a grid, if they are images: grey or in three colours.

    A class for each image is written above it, with its probability; a class for each pixel is laid over it;
    `detected_boxes` `(batch, boxes, 4)` are drawn with their `detected_labels` and `detected_scores`, those of label -1
    left out. Classes are called by their names where the task knows them, those of pixels below the images.
    """

    def __init__(
        self, path: Path, num_pictured: int, *, kind: TaskKind, class_names: Callable[[], Sequence[str]] = tuple
    ) -> None:
        self.path = path
        self.num_pictured = num_pictured
        self.kind: TaskKind = kind
        self.class_names = class_names
        self._images: list[Tensor] = []
        self._said: list[dict[str, Tensor]] = []
        self._names: list[str] = []
        self._seen: Counter[int] = Counter()

    def on_predict_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,  # noqa: ARG002  # Lightning's signature
        outputs: Any,
        batch: Any,
        batch_idx: int,  # noqa: ARG002
        dataloader_idx: int = 0,
    ) -> None:
        """Keep the first images, and what was predicted of them."""
        begin = self._seen[dataloader_idx]
        self._seen[dataloader_idx] += len(batch[0])
        missing = self.num_pictured - len(self._images)
        if missing <= 0 or not isinstance(outputs, Mapping) or not _are_images(batch[0]):
            return
        said = {name: value.detach().cpu() for name, value in outputs.items() if isinstance(value, Tensor)}
        if (chosen := decided(said, self.kind)) is not None:
            said[CLASS] = chosen
        ids = ids_of(trainer, dataloader_idx)
        for place, image in enumerate(batch[0][:missing].detach().cpu().float()):
            self._images.append(image)
            self._said.append({name: value[place] for name, value in said.items()})
            self._names.append(str(begin + place) if ids is None else Path(ids[begin + place]).name)

    def finish(self) -> list[Path]:
        """Write the picture; nothing when there were no images."""
        if not self._images:
            return []
        from matplotlib.figure import Figure  # slow to import

        names = self.class_names()
        columns = ceil(sqrt(len(self._images)))
        rows = ceil(len(self._images) / columns)
        figure = Figure(figsize=(1.8 * columns, 2.1 * rows), layout="constrained")
        for axes in (grid := figure.subplots(rows, columns, squeeze=False)).flat:
            axes.set_axis_off()
        for axes, image, said, name in zip(grid.flat, self._images, self._said, self._names, strict=False):
            _draw(axes, image, said, name, names)
        if names:
            _explain(figure, self._said, names)
        drawn = BytesIO()
        figure.savefig(drawn, format="png", dpi=120)
        write_whole(self.path, drawn.getvalue())
        return [self.path]


def _are_images(inputs: object) -> bool:
    return isinstance(inputs, Tensor) and inputs.ndim == 4 and inputs.shape[1] in (1, 3)


def _draw(axes: Any, image: Tensor, said: Mapping[str, Tensor], name: str, class_names: Sequence[str]) -> None:
    low, high = image.min(), image.max()
    if low < 0 or high > 1:  # standardised, so that only differences are left to show
        image = (image - low) / (high - low).clamp_min(1e-9)
    # Boxes count from the edges of pixels, where matplotlib would count from their middle.
    frame = (0, image.shape[2], image.shape[1], 0)
    axes.imshow(image.permute(1, 2, 0).squeeze(-1).numpy(), cmap="gray", vmin=0, vmax=1, extent=frame)
    axes.set_title(_title(said, name, class_names), fontsize=7)
    chosen = said.get(CLASS)
    if chosen is not None and chosen.ndim == 2:
        shown = torch.where(chosen > 0, chosen.float(), torch.nan)
        axes.imshow(shown.numpy(), cmap=_COLOURS, vmin=0, vmax=9, alpha=0.5, interpolation="nearest", extent=frame)
    if {BOXES, BOX_CLASSES} <= said.keys():
        _draw_boxes(axes, said, class_names)


def _explain(figure: Any, said: Sequence[Mapping[str, Tensor]], class_names: Sequence[str]) -> None:
    """Say which colours of pixels stand for which classes, but for the background."""
    from matplotlib import colormaps
    from matplotlib.patches import Patch

    masks = [each[CLASS] for each in said if CLASS in each and each[CLASS].ndim == 2]
    shown = sorted({number for mask in masks for number in set(mask.flatten().tolist())} - {0})
    patches = [
        Patch(color=colormaps[_COLOURS](min(number, 9)), label=class_names[number], alpha=0.5) for number in shown
    ]
    if patches:
        figure.legend(handles=patches, loc="outside lower center", ncols=len(patches), fontsize=7)


def _title(said: Mapping[str, Tensor], name: str, class_names: Sequence[str]) -> str:
    chosen, probabilities = said.get(CLASS), said.get("probabilities")
    if chosen is None or chosen.ndim > 0:
        return name
    sure = f" {float(probabilities.max()):.0%}" if probabilities is not None and probabilities.ndim == 1 else ""
    return f"{name}: {_called(int(chosen), class_names)}{sure}"


def _called(number: int, class_names: Sequence[str]) -> str:
    return class_names[number] if class_names else str(number)


def _draw_boxes(axes: Any, said: Mapping[str, Tensor], class_names: Sequence[str]) -> None:
    from matplotlib import colormaps
    from matplotlib.patches import Rectangle

    scores = said.get("detected_scores")
    for place, label in enumerate(said[BOX_CLASSES].tolist()):
        if label < 0:
            continue
        left, top, right, bottom = said[BOXES][place].tolist()
        colour = colormaps[_COLOURS](int(label) % 10)
        axes.add_patch(Rectangle((left, top), right - left, bottom - top, fill=False, edgecolor=colour))
        called = _called(int(label), class_names)
        text = called if scores is None else f"{called} {float(scores[place]):.0%}"
        axes.text(left, top, text, fontsize=5, color=colour, verticalalignment="bottom")
