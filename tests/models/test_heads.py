"""The heads' outputs, and ArcFace against the paper's formula, by hand."""

import math

import pytest
import torch
from torch import Tensor

from app.models.arcface import ArcFaceHead
from app.models.heads import EmbeddingHead, LinearHead, MultiHead, SegmentationHead
from app.models.part import Head, UnfitPartError

HEADS: dict[str, Head] = {
    "linear": LinearHead(6, num_classes=4),
    "embedding": EmbeddingHead(6, embedding_dim=5),
    "arcface": ArcFaceHead(6, num_classes=4, embedding_dim=5),
    "multi": MultiHead(heads={"shape": LinearHead(6, num_classes=2), "person": ArcFaceHead(6, num_classes=3)}),
    "multi with a main one": MultiHead(
        heads={"shape": LinearHead(6, num_classes=2), "view": EmbeddingHead(6, embedding_dim=5)}, main="shape"
    ),
}
SHAPES = {
    "linear": {"logits": (2, 4)},
    "embedding": {"embedding": (2, 5)},
    "arcface": {"logits": (2, 4), "embedding": (2, 5)},
    "multi with a main one": {"logits": (2, 2), "view_embedding": (2, 5)},
    "multi": {"shape_logits": (2, 2), "person_logits": (2, 3), "person_embedding": (2, 128)},
}


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("name", HEADS)
def test_outputs_are_those_that_are_declared(name: str, training: bool) -> None:
    head = HEADS[name].train(training)
    outputs = head(torch.rand(2, 6), {"target": torch.tensor([0, 1])} if training else None)
    assert {key: tuple(output.shape) for key, output in outputs.items()} == SHAPES[name]
    assert tuple(outputs) == head.output_keys


def test_embeddings_have_length_1() -> None:
    embedding = EmbeddingHead(6, embedding_dim=5)(torch.rand(3, 6))["embedding"]
    torch.testing.assert_close(embedding.norm(dim=1), torch.ones(3))


def test_masks_are_as_large_as_the_image() -> None:
    head = SegmentationHead((3, 4), num_classes=2)
    masks = head([torch.rand(2, 3, 7, 5), torch.rand(2, 4, 4, 3)], (13, 9))
    assert list(masks) == list(head.output_keys) == ["logits"]
    assert masks["logits"].shape == (2, 2, 13, 9)


def test_the_scores_of_all_maps_add_up() -> None:
    head = SegmentationHead((3, 4), num_classes=2)
    maps = [torch.rand(1, 3, 4, 4), torch.rand(1, 4, 4, 4)]
    fine, coarse = (score(features) for score, features in zip(head.score, maps, strict=True))
    torch.testing.assert_close(head(maps, (4, 4))["logits"], fine + coarse)


def test_a_key_that_every_module_has_is_refused() -> None:
    with pytest.raises(UnfitPartError, match=r"heads\.type: expected another key"):
        MultiHead(heads={"type": LinearHead(6, num_classes=2)})


def at_angles(*angles: float) -> tuple[ArcFaceHead, Tensor]:
    """A head whose features are the embeddings, and embeddings at these angles to the centre of class 0."""
    head = ArcFaceHead(2, num_classes=2, embedding_dim=2, scale=10.0, margin=0.5)
    with torch.no_grad():
        head.linear.weight.copy_(torch.eye(2))
        head.linear.bias.zero_()
        head.centres.copy_(torch.tensor([[3.0, 0.0], [0.0, 0.2]]))  # of any length
    return head, torch.tensor([[2 * math.cos(angle), 2 * math.sin(angle)] for angle in angles])


def test_arcface_widens_the_angle_to_the_right_class_in_training() -> None:
    head, features = at_angles(0.3, 1.2)
    logits = head(features, {"target": torch.tensor([0, 1])})["logits"]
    to_other = math.pi / 2 - 1.2
    expected = [
        [10 * math.cos(0.3 + 0.5), 10 * math.cos(math.pi / 2 - 0.3)],
        [10 * math.cos(1.2), 10 * math.cos(to_other + 0.5)],
    ]
    torch.testing.assert_close(logits, torch.tensor(expected))


def test_arcface_keeps_falling_beyond_half_a_turn() -> None:
    angles = torch.linspace(0.01, math.pi - 0.01, 100).tolist()
    head, features = at_angles(*angles)
    logits = head(features, {"target": torch.zeros(100, dtype=torch.long)})["logits"][:, 0]
    assert bool((logits.diff() < 0).all())
    last = 10 * (math.cos(angles[-1]) - 0.5 * math.sin(0.5))
    torch.testing.assert_close(logits[-1], torch.tensor(last))


def test_arcface_has_no_margin_in_evaluation() -> None:
    head, features = at_angles(0.3)
    outputs = head.eval()(features)
    torch.testing.assert_close(outputs["logits"], torch.tensor([[10 * math.cos(0.3), 10 * math.sin(0.3)]]))
    torch.testing.assert_close(outputs["embedding"], features / 2)


def test_arcface_without_a_margin_is_the_same_in_training() -> None:
    head, features = at_angles(0.3, 2.0)
    head.margin = 0.0
    targets = {"target": torch.tensor([0, 1])}
    torch.testing.assert_close(head(features, targets)["logits"], head.eval()(features)["logits"])


def test_arcface_has_finite_gradients_at_the_centre_itself() -> None:
    head, features = at_angles(0.0, math.pi)
    head(features, {"target": torch.tensor([0, 0])})["logits"].sum().backward()
    assert all(bool(parameter.grad.isfinite().all()) for parameter in head.parameters() if parameter.grad is not None)
    assert head.centres.grad is not None


def test_arcface_is_exact_in_mixed_precision() -> None:
    head, features = at_angles(0.3, 0.7)
    targets = {"target": torch.tensor([0, 1])}
    with torch.autocast("cpu", dtype=torch.bfloat16):
        outputs = head(features, targets)
    cosines = outputs["embedding"] @ torch.eye(2)
    right = 10 * torch.cos(cosines.diagonal().acos() + 0.5)
    assert outputs["logits"].dtype == torch.float32
    torch.testing.assert_close(outputs["logits"].diagonal(), right)


def test_arcface_says_which_target_it_needs() -> None:
    head = ArcFaceHead(2, num_classes=2, target="person")
    with pytest.raises(ValueError, match=r"needs the target 'person' in training; the batch's targets: none"):
        head(torch.rand(2, 2))
    with pytest.raises(ValueError, match=r"needs the target 'person' in training; the batch's targets: age, target"):
        head(torch.rand(2, 2), {"age": torch.zeros(2), "target": torch.zeros(2)})
