"""The picture that `app predict` draws, looked at as a file: its size, and where its colours differ."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning import LightningModule
from matplotlib.text import Text
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader

from app.prediction.picture import PredictionPicture
from app.schemas.task import TaskKind
from app.tasks.shared.datasets import InMemoryDataset, collate
from tests.tasks.contracts import quiet_trainer

pytestmark = [
    pytest.mark.filterwarnings(r"ignore:.isinstance\(treespec, LeafSpec\).:FutureWarning"),
    pytest.mark.filterwarnings("ignore:The 'predict_dataloader' does not have many workers"),
]

GREY = torch.full((5, 1, 8, 8), 0.5)


class Saying(LightningModule):
    def __init__(self, said: dict[str, Tensor]) -> None:
        super().__init__()
        self.said = said
        self.start = 0

    def predict_step(self, batch: Any, batch_idx: int) -> dict[str, Tensor]:  # noqa: ARG002  # Lightning's signature
        start, self.start = self.start, self.start + len(batch[0])
        return {name: value[start : self.start] for name, value in self.said.items()}


def pictured(
    folder: Path,
    images: Tensor,
    said: dict[str, Tensor],
    *,
    num_pictured: int = 4,
    kind: TaskKind = "multiclass",
    ids: list[str] | None = None,
    class_names: tuple[str, ...] = (),
) -> list[Path]:
    drawn = folder / "out" / "predictions.png"
    picture = PredictionPicture(drawn, num_pictured, kind=kind, class_names=lambda: class_names)
    trainer = quiet_trainer(folder, callbacks=[picture])
    dataset = InMemoryDataset(images, torch.zeros(len(images)), ids=ids)
    trainer.predict(Saying(said), DataLoader(dataset, 2, collate_fn=collate))
    return picture.finish()


def pixels(file: Path) -> NDArray[np.uint8]:
    return np.asarray(Image.open(file).convert("RGB"))


def is_coloured(picture: NDArray[np.uint8]) -> bool:
    return bool((picture.max(axis=2).astype(int) - picture.min(axis=2) > 40).any())


def test_classes_and_names_are_written_above_the_first_images(tmp_path: Path) -> None:
    said = {"probabilities": torch.eye(5)}
    [file] = pictured(tmp_path, GREY, said)

    assert file == tmp_path / "out" / "predictions.png"
    assert [path.name for path in file.parent.iterdir()] == ["predictions.png"]
    plain = pixels(file)
    assert not is_coloured(plain)
    [named] = pictured(tmp_path, GREY, said, ids=[f"a/{index}.png" for index in range(5)])
    assert not np.array_equal(pixels(named), plain)
    [fewer] = pictured(tmp_path, GREY, said, num_pictured=1)
    assert pixels(fewer).size < plain.size


def test_a_class_for_each_pixel_is_laid_over_the_image_but_for_the_background(tmp_path: Path) -> None:
    logits = torch.zeros(5, 3, 8, 8)
    [background] = pictured(tmp_path, GREY, {"logits": logits})
    assert not is_coloured(pixels(background))

    logits[:, 2, 2:6, 2:6] = 1

    assert is_coloured(pixels(pictured(tmp_path, GREY, {"logits": logits})[0]))


def test_boxes_are_drawn_and_rows_that_hold_none_are_not(tmp_path: Path) -> None:
    boxes = torch.tensor([[1.0, 1.0, 5.0, 6.0], [0.0, 0.0, 0.0, 0.0]]).expand(5, 2, 4)
    nothing = {"detected_boxes": boxes, "detected_labels": torch.full((5, 2), -1), "detected_scores": torch.zeros(5, 2)}
    [empty] = pictured(tmp_path, GREY, nothing, kind="detection")
    assert not is_coloured(pixels(empty))

    found = {
        **nothing,
        "detected_labels": torch.tensor([[3, -1]]).expand(5, 2),
        "detected_scores": torch.full((5, 2), 0.9),
    }

    assert is_coloured(pixels(pictured(tmp_path, GREY, found, kind="detection")[0]))


@pytest.fixture
def texts(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """What is written into pictures, as they are drawn."""
    written: set[str] = set()
    draw = Text.draw

    def noting(text: Text, *rest: Any) -> None:
        written.add(text.get_text())
        draw(text, *rest)

    monkeypatch.setattr(Text, "draw", noting)
    return written


DOG_IN_THE_SKY = torch.nn.functional.one_hot(torch.eye(8, dtype=torch.int64) * 2, 3).permute(2, 0, 1).expand(5, 3, 8, 8)
ONE_BOX = {
    "detected_boxes": torch.tensor([[[1.0, 1.0, 5.0, 6.0]]]).expand(5, 1, 4),
    "detected_labels": torch.tensor([[1]]).expand(5, 1),
}


@pytest.mark.parametrize(
    ("said", "kind", "expected"),
    [
        ({"probabilities": torch.eye(5)[[1, 2, 2, 2, 2]]}, "multiclass", {"0: cat 100%", "1: dog 100%"}),
        ({"logits": DOG_IN_THE_SKY.float()}, "multiclass", {"0", "1", "dog"}),
        (ONE_BOX, "detection", {"0", "1", "cat"}),
    ],
)
def test_classes_are_called_by_their_names_where_they_have_some(
    said: dict[str, Tensor], kind: TaskKind, expected: set[str], texts: set[str], tmp_path: Path
) -> None:
    names = ("sky", "cat", "dog", "cow", "pig")
    pictured(tmp_path, GREY, said, kind=kind, num_pictured=2, class_names=names)

    assert texts - {""} == expected


def test_a_picture_that_cannot_be_put_in_its_place_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "out" / "predictions.png").mkdir(parents=True)

    with pytest.raises(OSError, match="Is a directory"):
        pictured(tmp_path, GREY, {"probabilities": torch.eye(5)})

    assert [file.name for file in (tmp_path / "out").iterdir()] == ["predictions.png"]


@pytest.mark.parametrize("images", [torch.rand(5, 3, 8, 8) * 4 - 2, torch.rand(5, 3, 8, 8)])
def test_coloured_images_are_drawn_in_colour_standardised_ones_too(tmp_path: Path, images: Tensor) -> None:
    assert is_coloured(pixels(pictured(tmp_path, images, {"logits": torch.eye(5)})[0]))


@pytest.mark.parametrize("inputs", [torch.rand(5, 30), torch.rand(5, 7, 8, 8)])
def test_what_is_no_image_is_not_drawn(tmp_path: Path, inputs: Tensor) -> None:
    assert pictured(tmp_path, inputs, {"logits": torch.eye(5)}) == []


def test_a_last_batch_that_is_not_full_is_drawn_too(tmp_path: Path) -> None:
    said = {"probabilities": torch.eye(5)}
    [all_of_them] = pictured(tmp_path, GREY, said, num_pictured=99)
    drawn = pixels(all_of_them)
    [as_many] = pictured(tmp_path, GREY, said, num_pictured=5)
    assert np.array_equal(pixels(as_many), drawn)


def test_no_picture_is_drawn_where_none_is_wanted(tmp_path: Path) -> None:
    assert pictured(tmp_path, GREY, {"logits": torch.eye(5)}, num_pictured=0) == []
