import pytest
import torch

from app.models.conv import ConvBackbone
from app.models.fpn import FPN
from app.tasks.detection.model import Detector


def detector(channels: tuple[int, ...], shape: tuple[int, int, int], *, object_size: float = 4.0) -> Detector:
    backbone = ConvBackbone(shape[0], channels=channels, num_convolutions=1)
    neck = FPN(backbone.out_channels[1:], backbone.reductions[1:], width=8)
    return Detector(backbone, neck, shape, 5, num_unused=1, head_depth=1, object_size=object_size)


@pytest.mark.parametrize(("shape", "sizes"), [((3, 32, 32), [(16, 16), (8, 8)]), ((1, 30, 17), [(15, 9), (8, 5)])])
def test_it_looks_at_every_pixel_of_its_coarse_maps(shape: tuple[int, int, int], sizes: list[tuple[int, int]]) -> None:
    model = detector((4, 4, 8), shape)
    outputs = model(torch.rand(2, *shape))

    count = sum(height * width for height, width in sizes)
    assert outputs["class_logits"].shape == (2, count, 5)
    assert outputs["candidate_boxes"].shape == (2, count, 4)
    assert outputs["centerness_logits"].shape == (2, count)
    fine = sizes[0][0] * sizes[0][1]
    assert model.locations.points[0].tolist() == [1, 1]
    assert model.locations.points[1].tolist() == [3, 1]
    assert model.locations.points[fine].tolist() == [2, 2]
    assert model.locations.steps.tolist() == [2] * fine + [4] * (count - fine)


def test_each_map_looks_for_objects_of_other_sizes_and_all_together_for_any() -> None:
    locations = detector((4, 4, 8), (3, 32, 32)).locations

    ranges = [*dict.fromkeys(zip(locations.smallest.tolist(), locations.largest.tolist(), strict=True))]
    assert ranges == [(0, 8), (8, float("inf"))]


def test_boxes_lie_around_their_locations() -> None:
    model = detector((4, 4, 8), (3, 32, 32))
    left, top, right, bottom = model(torch.rand(2, 3, 32, 32))["candidate_boxes"].unbind(dim=-1)
    across, down = model.locations.points.unbind(dim=-1)

    assert ((left < across) & (across < right) & (top < down) & (down < bottom)).all()


def test_at_first_hardly_anything_is_an_object() -> None:
    torch.manual_seed(0)
    chances = detector((4, 4, 8), (3, 32, 32)).eval()(torch.rand(2, 3, 32, 32))["class_logits"].sigmoid()

    assert 0.005 < chances.mean() < 0.02


def test_where_it_looks_is_no_weight() -> None:
    model = detector((4, 4, 8), (3, 32, 32))

    assert {"points", "steps", "smallest", "largest"}.isdisjoint(model.state_dict())
    assert model.training
