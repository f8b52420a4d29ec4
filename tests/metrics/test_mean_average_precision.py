"""Mean average precision against values computed by hand, as COCO defines it."""

from importlib.util import find_spec
from typing import Any

import pytest
import torch
from torch import Tensor

from app.command_rules import problems_for
from app.compose import load_config
from app.metrics.mean_average_precision import MeanAveragePrecision
from app.schemas.codes import Code
from app.schemas.metrics.detection import MeanAveragePrecisionConfig
from app.schemas.problems import AppError

TRUE = (10.0, 10.0, 30.0, 30.0)
OTHER = (40.0, 40.0, 60.0, 50.0)
Rows = list[tuple[tuple[float, ...], float, int]]
"""Boxes with their score and class."""


def side(images: list[Rows]) -> tuple[Tensor, Tensor, Tensor]:
    size = max(map(len, images), default=0) + 1  # a row is left over
    boxes, scores = torch.zeros(len(images), size, 4), torch.zeros(len(images), size)
    labels = torch.full((len(images), size), -1)
    for image, rows in enumerate(images):
        for place, (box, score, label) in enumerate(rows):
            boxes[image, place], scores[image, place] = torch.tensor(box), score
            labels[image, place] = label
    return boxes, scores, labels


def measured(found: list[Rows], true: list[Rows], **settings: Any) -> list[float]:
    metric = MeanAveragePrecision(**settings)
    boxes, scores, labels = side(found)
    target_boxes, _, target_labels = side(true)
    metric.update(boxes, scores, labels, target_boxes, target_labels)
    return [round(float(value), 4) for value in metric.compute()]


ONE: list[Rows] = [[(TRUE, 1.0, 0)]]


@pytest.mark.parametrize(
    ("found", "true", "expected"),
    [
        ([[(TRUE, 0.9, 0)]], ONE, [1, 1]),
        ([[]], ONE, [0, 0]),
        ([[(TRUE, 0.9, 1)]], ONE, [0, 0]),
        ([[(OTHER, 0.9, 0)]], ONE, [0, 0]),
        # 16 of 20 rows: an overlap of 0.8 counts up to and with the seventh of ten.
        ([[((10.0, 10.0, 30.0, 26.0), 0.9, 0)]], ONE, [0.7, 1]),
        # A wrong box that is surer halves the precision at every recall; a less sure one changes nothing.
        ([[(OTHER, 0.9, 0), (TRUE, 0.8, 0)]], ONE, [0.5, 0.5]),
        ([[(OTHER, 0.7, 0), (TRUE, 0.8, 0)]], ONE, [1, 1]),
        # The same object found twice: the second is wrong, and comes after full recall.
        ([[(TRUE, 0.9, 0), (TRUE, 0.8, 0)]], ONE, [1, 1]),
        # One of two objects: precision is 1 at the recalls 0, 0.01, … 0.5, 51 of 101.
        ([[(TRUE, 0.9, 0)]], [[(TRUE, 1.0, 0), (OTHER, 1.0, 0)]], [51 / 101, 51 / 101]),
        # The mean over two classes, of which one is not found; a third without a true box does not count.
        ([[(TRUE, 0.9, 0), (OTHER, 0.9, 2)]], [[(TRUE, 1.0, 0), (OTHER, 1.0, 1)]], [0.5, 0.5]),
        # The surest box of all images comes first, and is wrong; then one of two is found.
        ([[(TRUE, 0.5, 0)], [(TRUE, 0.9, 0)]], [[(TRUE, 1.0, 0)], [(OTHER, 1.0, 0)]], [51 / 202, 51 / 202]),
        # Nothing to find.
        ([[(TRUE, 0.9, 0)]], [[]], [-1, -1]),
    ],
)
def test_against_values_by_hand(found: list[Rows], true: list[Rows], expected: list[float]) -> None:
    assert measured(found, true) == [pytest.approx(value, abs=1e-3) for value in expected]


def test_only_the_surest_boxes_of_an_image_and_class_count() -> None:
    found: list[Rows] = [[(OTHER, 0.9, 0), (TRUE, 0.8, 0)]]

    assert measured(found, ONE, max_detections=1) == [0, 0]
    assert measured(found, ONE, max_detections=2) == [0.5, 0.5]


def test_batches_are_measured_together_and_forgotten_at_a_reset() -> None:
    metric = MeanAveragePrecision()
    for found in (TRUE, OTHER):
        boxes, scores, labels = side([[(found, 0.9, 0)]])
        metric.update(boxes, scores, labels, *(side(ONE)[place] for place in (0, 2)))
    both = metric.compute()
    metric.reset()
    metric.update(*side(ONE), *(side(ONE)[place] for place in (0, 2)))

    # Two boxes as sure as each other: the first counts first.
    assert float(both[0]) == pytest.approx(51 / 101, abs=1e-3)
    assert metric.compute().tolist() == [1, 1]


def test_it_says_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    measured(ONE, ONE)

    assert capfd.readouterr().out == ""


def test_both_values_are_logged() -> None:
    assert MeanAveragePrecisionConfig().results("map") == {"map": "max", "map_50": "max"}


def test_without_the_extra_a_run_that_computes_it_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    config = load_config(["task=detection", "metrics=mean_average_precision"])
    monkeypatch.setattr(
        "app.schemas.metrics.detection.find_spec",
        lambda name: None if name == "pycocotools" else find_spec(name),
    )

    of_the_task, chosen = problems_for("train", config)

    assert (of_the_task.path, chosen.path) == ("task", "metrics.mean_average_precision")
    assert chosen.code is Code.ENVIRONMENT
    assert chosen.message.endswith("is not installed; type: pip install 'typed-lightning-app[detection]'")


def test_in_python_it_says_so_when_it_is_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.schemas.metrics.detection.find_spec", lambda _: None)

    with pytest.raises(AppError, match=r"pip install 'typed-lightning-app\[detection\]'"):
        measured(ONE, ONE)
