import torch
from torch import Tensor

from app.tasks.detection.matching import Locations, Matches, match


def fine_and_coarse() -> Locations:
    """A map with 4 by 4 pixels of 4, for objects of up to 10, and one with 2 by 2 of 8, for larger ones."""
    parts = []
    for step, smallest, largest in ((4, 0.0, 10.0), (8, 10.0, torch.inf)):
        places = torch.arange(16 // step)
        down, across = torch.meshgrid(places, places, indexing="ij")
        points = (torch.stack([across, down], dim=-1).reshape(-1, 2) + 0.5) * step
        ones = torch.ones(len(points))
        parts.append((points, step * ones, smallest * ones, largest * ones))
    return Locations(*(torch.cat(values) for values in zip(*parts, strict=True)))


def matched(*objects: tuple[tuple[float, float, float, float], int], radius: float = 1.5) -> Matches:
    boxes = torch.tensor([[box for box, _ in objects]])
    return match(fine_and_coarse(), boxes, torch.tensor([[label for _, label in objects]]), radius=radius)


def fine(values: Tensor) -> list[list[float]]:
    return values[0, :16].reshape(4, 4).tolist()


def test_locations_inside_a_box_find_it() -> None:
    found = matched(((0.0, 4.0, 8.0, 12.0), 2))

    assert fine(found.labels) == [[-1, -1, -1, -1], [2, 2, -1, -1], [2, 2, -1, -1], [-1, -1, -1, -1]]
    assert found.labels[0, 16:].tolist() == [-1] * 4
    assert (found.boxes[found.labels == 2] == torch.tensor([0.0, 4.0, 8.0, 12.0])).all()


def test_locations_far_from_the_middle_do_not() -> None:
    found = matched(((1.0, 1.0, 10.0, 9.0), 0), radius=0.6)

    # The middle is at 5.5 and 5, and a location may be 2.4 away: of those at 2, 6 and 10 only those at 6 are near.
    assert [place for place, label in enumerate(found.labels[0].tolist()) if label == 0] == [5]


def test_large_objects_are_for_the_coarse_map() -> None:
    found = matched(((0.0, 0.0, 16.0, 9.0), 1))

    assert set(found.labels[0, :16].tolist()) == {-1}
    assert found.labels[0, 16:].tolist() == [1, 1, -1, -1]


def test_of_two_objects_the_smaller_is_found() -> None:
    large, small = ((0.0, 0.0, 9.0, 9.0), 0), ((4.0, 4.0, 8.0, 8.0), 1)

    for objects in ((large, small), (small, large)):
        found = matched(*objects)
        assert found.labels[0, 5] == 1
        assert found.boxes[0, 5].tolist() == [4, 4, 8, 8]
        assert found.labels[0, 0] == 0


def test_centerness_falls_from_the_middle_to_the_sides() -> None:
    found = matched(((0.0, 0.0, 8.0, 4.0), 0))

    # The location at (2, 2): 2 and 6 from left and right, 2 and 2 from top and bottom.
    assert found.centerness[0, 0].item() == torch.tensor(2 / 6).sqrt().item()
    assert found.centerness[0, 2:].tolist() == [0.0] * 18


def test_unused_rows_are_found_nowhere() -> None:
    found = matched(((0.0, 0.0, 8.0, 8.0), -1), ((0.0, 0.0, 0.0, 0.0), 1))

    assert set(found.labels.flatten().tolist()) == {-1}
    assert found.centerness.isfinite().all()
