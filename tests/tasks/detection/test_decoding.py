from collections.abc import Sequence

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from app.tasks.detection.decoding import Detections, detections, overlaps, unsuppressed


def found(
    boxes: Sequence[tuple[float, ...]],
    scores: list[list[float]],
    *,
    min_score: float = 0.1,
    max_candidates: int = 100,
    max_detections: int = 4,
) -> Detections:
    return detections(
        torch.tensor([boxes]),
        torch.tensor([scores]),
        image_size=(16, 32),
        min_score=min_score,
        max_overlap=0.5,
        max_candidates=max_candidates,
        max_detections=max_detections,
    )


ONE, NEAR, FAR = (0.0, 0.0, 10.0, 10.0), (0.0, 0.0, 10.0, 9.0), (20.0, 0.0, 30.0, 10.0)


def test_the_surest_boxes_come_first_and_unused_rows_last() -> None:
    result = found([ONE, FAR], [[0.3, 0.0], [0.0, 0.8]])

    assert result.boxes.tolist() == [[[*FAR], [*ONE], [0] * 4, [0] * 4]]
    assert result.labels.tolist() == [[1, 0, -1, -1]]
    assert torch.equal(result.scores, torch.tensor([[0.8, 0.3, 0, 0]]))


def test_of_two_boxes_on_one_object_the_surer_stays() -> None:
    assert found([ONE, NEAR], [[0.3, 0], [0.8, 0]]).boxes[0, :2].tolist() == [[*NEAR], [0] * 4]


def test_objects_of_different_classes_may_overlap() -> None:
    assert found([ONE, NEAR], [[0.3, 0], [0, 0.8]]).labels.tolist() == [[1, 0, -1, -1]]


def test_what_a_dropped_box_overlaps_stays() -> None:
    row = [(0.0, 0.0, 10.0, 10.0), (3.0, 0.0, 13.0, 10.0), (6.0, 0.0, 16.0, 10.0)]

    assert found(row, [[0.9], [0.8], [0.7]]).boxes[0, :3].tolist() == [[*row[0]], [*row[2]], [0] * 4]


def test_boxes_are_cut_to_the_image() -> None:
    assert found([(-5.0, -1.0, 40.0, 20.0)], [[0.9]]).boxes[0, 0].tolist() == [0, 0, 32, 16]


def test_limits_are_kept() -> None:
    far = [(4.0 * place, 0.0, 4.0 * place + 3, 3.0) for place in range(6)]
    scores = [[0.9 - 0.1 * place] for place in range(6)]

    assert (found(far, scores).labels >= 0).sum() == 4
    assert (found(far, scores, max_candidates=2).labels >= 0).sum() == 2
    assert (found(far, scores, min_score=0.65).labels >= 0).sum() == 3


def greedy(boxes: Tensor, labels: Tensor, max_overlap: float) -> list[bool]:
    """Non-maximum suppression as it is usually written: one box after the other."""
    shares = overlaps(boxes[None], boxes[None])[0]
    kept: list[int] = []
    for place in range(len(boxes)):
        if all(labels[place] != labels[other] or shares[other, place] <= max_overlap for other in kept):
            kept.append(place)
    return [place in kept for place in range(len(boxes))]


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 10**6), count=st.integers(1, 30), max_overlap=st.sampled_from([0.0, 0.3, 0.5, 0.9]))
def test_suppression_is_that_of_one_box_after_the_other(seed: int, count: int, max_overlap: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    corners = torch.randint(0, 20, (2, count, 2), generator=generator).float()
    sizes = torch.randint(0, 15, (2, count, 2), generator=generator).float()
    boxes, labels = torch.cat([corners, corners + sizes], dim=-1), torch.randint(2, (2, count), generator=generator)

    kept = unsuppressed(boxes, labels, max_overlap)

    assert kept.tolist() == [greedy(*image, max_overlap) for image in zip(boxes, labels, strict=True)]
