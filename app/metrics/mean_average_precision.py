"""Mean average precision, measured by COCO's own evaluation; torchmetrics' metric of it needs torchvision."""

import io
from contextlib import redirect_stdout
from importlib import import_module
from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from app.schemas.metrics.detection import missing_evaluation
from app.schemas.problems import AppError


class MeanAveragePrecision(Metric):
    """The mean over classes, recall and the overlaps 0.5 to 0.95, and the same for an overlap of 0.5 (COCO, 2014).

    Needs pycocotools. All boxes of an epoch are kept, and compared at its end.

    Args:
        max_detections: How many boxes of an image and class are looked at, the surest first.

    `compute` raises an `AppError` that says what to install where pycocotools is missing.
    """

    higher_is_better = True
    full_state_update = False
    boxes: list[Tensor]
    scores: list[Tensor]
    labels: list[Tensor]
    target_boxes: list[Tensor]
    target_labels: list[Tensor]

    def __init__(self, *, max_detections: int = 100) -> None:
        super().__init__()
        self.max_detections = max_detections
        for name in ("boxes", "scores", "labels", "target_boxes", "target_labels"):
            self.add_state(name, [], dist_reduce_fx="cat")

    def update(
        self, boxes: Tensor, scores: Tensor, labels: Tensor, target_boxes: Tensor, target_labels: Tensor
    ) -> None:
        """Take in a batch.

        Args:
            boxes: the boxes found, `(batch, found, 4)`: left, top, right and bottom.
            scores: how sure each is, `(batch, found)`.
            labels: the class of each, `(batch, found)`; -1 for rows without a box.
            target_boxes: the true boxes, `(batch, true, 4)`.
            target_labels: the class of each, `(batch, true)`; -1 for rows without a box.
        """
        self.boxes.append(boxes.float())
        self.scores.append(scores.float())
        self.labels.append(labels)
        self.target_boxes.append(target_boxes.float())
        self.target_labels.append(target_labels)

    def compute(self) -> Tensor:
        """Both values, `(2,)`; -1 where there is no true box."""
        boxes, scores, labels, target_boxes, target_labels = (
            dim_zero_cat(state).cpu()
            for state in (self.boxes, self.scores, self.labels, self.target_boxes, self.target_labels)
        )
        classes = sorted({*labels.flatten().tolist(), *target_labels.flatten().tolist()} - {-1})
        truth = _annotations(target_boxes, target_labels)
        if not truth:
            return torch.full((2,), -1.0, device=self.device)
        found = _annotations(boxes, labels, scores)
        precision = _precision(truth, found, len(labels), classes, self.max_detections)
        at_half = precision[:1]
        return torch.tensor([_mean(precision), _mean(at_half)], device=self.device)


def _annotations(boxes: Tensor, labels: Tensor, scores: Tensor | None = None) -> list[dict[str, Any]]:
    """Boxes as COCO's evaluation has them; its ids start at 1, since a match with 0 counts as none."""
    images, rows = (labels >= 0).nonzero(as_tuple=True)
    left, top, right, bottom = boxes[images, rows].double().unbind(dim=1)
    width, height = right - left, bottom - top
    columns = {
        "image_id": images.tolist(),
        "category_id": labels[images, rows].tolist(),
        "bbox": torch.stack([left, top, width, height], dim=1).tolist(),
        "area": (width * height).tolist(),
        **({} if scores is None else {"score": scores[images, rows].tolist()}),
    }
    return [
        {"id": place, "iscrowd": 0, **dict(zip(columns, row, strict=True))}
        for place, row in enumerate(zip(*columns.values(), strict=True), start=1)
    ]


def _precision(
    truth: list[dict[str, Any]], found: list[dict[str, Any]], num_images: int, classes: list[int], max_detections: int
) -> Any:
    """Precision as an array `(overlaps, recalls, classes)`; -1 for a class without a true box."""
    if missing := missing_evaluation():  # the command line has said so before; for what is built in Python
        raise AppError(missing)
    coco, evaluation = import_module("pycocotools.coco"), import_module("pycocotools.cocoeval")  # an extra
    images = [{"id": place} for place in range(num_images)]
    categories = [{"id": label} for label in classes]
    with redirect_stdout(io.StringIO()):  # it tells how long it takes, at each step
        sides = []
        for annotations in (truth, found):
            side = coco.COCO()
            side.dataset = {"images": images, "categories": categories, "annotations": annotations}
            side.createIndex()
            sides.append(side)
        measured = evaluation.COCOeval(*sides, iouType="bbox")
        measured.params.maxDets = [max_detections]
        # The objects of all sizes together, as the two values are defined.
        measured.params.areaRng, measured.params.areaRngLbl = [[0, 1e10]], ["all"]
        measured.evaluate()
        measured.accumulate()
    return measured.eval["precision"][:, :, :, 0, 0]


def _mean(precision: Any) -> float:
    """COCO's mean, over the classes that have a true box."""
    return float(precision[precision > -1].mean())
