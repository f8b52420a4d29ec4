"""A picture of predictions: the first images, each with its name and what the module says of it."""

from collections import Counter
from collections.abc import Mapping
from math import ceil, sqrt
from pathlib import Path
from typing import Any, Final

import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from torch import Tensor

from app.prediction.decisions import CLASS, decided, ids_of
from app.schemas.task import TaskKind

_COLOURS: Final = "tab10"
"""Ten colours that are told apart easily; class 0 of a mask is left as it is, as the background mostly is."""


class PredictionPicture(Callback):
    """Draws the first samples in a grid, if they are images: grey or in three colours.

    A class for each image is written above it, with its probability; a class for each pixel is laid over it;
    `detected_boxes` `(batch, boxes, 4)` are drawn with their `detected_labels` and `detected_scores`, those of label -1
    left out.
    """

    def __init__(self, path: Path, num_pictured: int, *, kind: TaskKind) -> None:
        self.path = path
        self.num_pictured = num_pictured
        self.kind: TaskKind = kind
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

        columns = ceil(sqrt(len(self._images)))
        rows = ceil(len(self._images) / columns)
        figure = Figure(figsize=(1.8 * columns, 2.1 * rows), layout="constrained")
        for axes in (grid := figure.subplots(rows, columns, squeeze=False)).flat:
            axes.set_axis_off()
        for axes, image, said, name in zip(grid.flat, self._images, self._said, self._names, strict=False):
            _draw(axes, image, said, name)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        partial = self.path.with_name(f".{self.path.name}.partial")
        figure.savefig(partial, format="png", dpi=120)
        partial.replace(self.path)
        return [self.path]


def _are_images(inputs: object) -> bool:
    return isinstance(inputs, Tensor) and inputs.ndim == 4 and inputs.shape[1] in (1, 3)


def _draw(axes: Any, image: Tensor, said: Mapping[str, Tensor], name: str) -> None:
    low, high = image.min(), image.max()
    if low < 0 or high > 1:  # standardised, so that only differences are left to show
        image = (image - low) / (high - low).clamp_min(1e-9)
    # Boxes count from the edges of pixels, where matplotlib would count from their middle.
    frame = (0, image.shape[2], image.shape[1], 0)
    axes.imshow(image.permute(1, 2, 0).squeeze(-1).numpy(), cmap="gray", vmin=0, vmax=1, extent=frame)
    axes.set_title(_title(said, name), fontsize=7)
    chosen = said.get(CLASS)
    if chosen is not None and chosen.ndim == 2:
        shown = torch.where(chosen > 0, chosen.float(), torch.nan)
        axes.imshow(shown.numpy(), cmap=_COLOURS, vmin=0, vmax=9, alpha=0.5, interpolation="nearest", extent=frame)
    if {"detected_boxes", "detected_labels"} <= said.keys():
        _draw_boxes(axes, said)


def _title(said: Mapping[str, Tensor], name: str) -> str:
    chosen, probabilities = said.get(CLASS), said.get("probabilities")
    if chosen is None or chosen.ndim > 0:
        return name
    sure = f" {float(probabilities.max()):.0%}" if probabilities is not None and probabilities.ndim == 1 else ""
    return f"{name}: {int(chosen)}{sure}"


def _draw_boxes(axes: Any, said: Mapping[str, Tensor]) -> None:
    from matplotlib import colormaps
    from matplotlib.patches import Rectangle

    scores = said.get("detected_scores")
    for place, label in enumerate(said["detected_labels"].tolist()):
        if label < 0:
            continue
        left, top, right, bottom = said["detected_boxes"][place].tolist()
        colour = colormaps[_COLOURS](int(label) % 10)
        axes.add_patch(Rectangle((left, top), right - left, bottom - top, fill=False, edgecolor=colour))
        text = str(int(label)) if scores is None else f"{int(label)} {float(scores[place]):.0%}"
        axes.text(left, top, text, fontsize=5, color=colour, verticalalignment="bottom")
