from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning.pytorch import Trainer
from lightning.pytorch.loggers import CSVLogger, Logger, TensorBoardLogger, WandbLogger
from tensorboard.backend.event_processing import event_accumulator  # type: ignore[import-untyped]  # no stubs

from app.metrics import tables
from app.metrics.tables import draw, keep_table, table_of

MATRIX = {"matrix": torch.tensor([[5, 1], [0, 7]])}
CURVE = {"fpr": torch.tensor([0.0, 0.5, 1.0]), "tpr": torch.tensor([0.0, 0.9, 1.0])}


def test_the_latest_table_of_each_name_is_a_file_of_the_run(tmp_path: Path) -> None:
    trainer = trainer_in(tmp_path)
    keep_table(trainer, "val/confusion matrix", {"matrix": torch.zeros(2, 2)})
    keep_table(trainer, "val/confusion matrix", MATRIX)
    keep_table(trainer, "val/noisy/roc", {**CURVE, "half": torch.ones(1, dtype=torch.bfloat16)})

    assert sorted(path.name for path in (tmp_path / "metrics").iterdir()) == [
        "val_confusion_matrix.npz",
        "val_noisy_roc.npz",
    ]
    with np.load(tmp_path / "metrics" / "val_confusion_matrix.npz") as file:
        assert file["matrix"].tolist() == [[5, 1], [0, 7]]
        assert file["matrix"].dtype == np.int64
        assert file["epoch"] == 0
    with np.load(tmp_path / "metrics" / "val_noisy_roc.npz") as file:
        assert sorted(file) == ["epoch", "fpr", "half", "tpr"]


def test_a_name_leads_to_no_other_folder(tmp_path: Path) -> None:
    keep_table(trainer_in(tmp_path / "run"), "val/../../../elsewhere", MATRIX)

    assert [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.npz")] == [
        "run/metrics/val_.._.._.._elsewhere.npz"
    ]


def test_what_the_sanity_check_measured_is_not_kept(tmp_path: Path) -> None:
    trainer = trainer_in(tmp_path)
    trainer.sanity_checking = True

    keep_table(trainer, "val/confusion", MATRIX)

    assert list(tmp_path.iterdir()) == []


def test_tables_are_drawn_in_tensorboard(tmp_path: Path) -> None:
    logger = TensorBoardLogger(tmp_path, name="tensorboard", version="")

    keep_table(trainer_in(tmp_path, logger), "val/confusion", MATRIX)
    keep_table(trainer_in(tmp_path, logger), "val/all", {"values": torch.arange(9.0)})

    logger.finalize("success")
    events = event_accumulator.EventAccumulator(logger.log_dir).Reload()
    assert events.Tags()["images"] == ["val/confusion"]
    [image] = events.Images("val/confusion")
    assert min(image.width, image.height) > 300


def test_tables_are_drawn_in_weights_and_biases(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    logged: list[tuple[str, list[Any], int | None]] = []
    logger = WandbLogger(save_dir=tmp_path, offline=True)
    monkeypatch.setattr(logger, "log_image", lambda key, images, step=None: logged.append((key, images, step)))

    keep_table(trainer_in(tmp_path, logger), "val/roc", CURVE)

    [(key, [figure], step)] = logged
    assert (key, step) == ("val/roc", 0)
    assert figure.axes[0].get_title() == "val/roc"


def test_without_matplotlib_there_is_the_file_and_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    tables._can_draw.cache_clear()
    monkeypatch.setattr(tables, "find_spec", lambda _: None)

    for _ in range(2):
        keep_table(trainer_in(tmp_path, TensorBoardLogger(tmp_path)), "val/roc", CURVE)

    tables._can_draw.cache_clear()
    assert (tmp_path / "metrics" / "val_roc.npz").is_file()
    assert [record.message for record in caplog.records if record.name == "app.metrics.tables"] == [
        "matplotlib is not installed: tables of metrics are kept as files, and not drawn",
    ]


def test_other_loggers_get_no_figure(tmp_path: Path) -> None:
    keep_table(trainer_in(tmp_path, CSVLogger(tmp_path)), "val/roc", CURVE)

    assert (tmp_path / "metrics" / "val_roc.npz").is_file()


def test_a_matrix_is_drawn_with_its_numbers_unless_they_are_too_many() -> None:
    small, large = draw({"matrix": np.eye(3)}, "small"), draw({"matrix": np.eye(50)}, "large")

    assert small is not None
    assert large is not None
    assert [text.get_text() for text in small.axes[0].texts] == ["1", "0", "0", "0", "1", "0", "0", "0", "1"]
    assert len(large.axes[0].texts) == 0
    assert (small.axes[0].get_xlabel(), small.axes[0].get_ylabel()) == ("predicted class", "true class")


@pytest.mark.parametrize(
    ("table", "lines"),
    [
        ({"recall": np.zeros(3), "precision": np.ones(3)}, 1),
        ({"fpr": np.zeros((4, 3)), "tpr": np.ones((4, 3)), "thresholds": np.ones(3)}, 4),
        ({"fpr_0": np.zeros(3), "fpr_1": np.zeros(5), "tpr_0": np.ones(3), "tpr_1": np.ones(5)}, 2),
    ],
)
def test_a_curve_is_a_line_for_each_class(table: dict[str, Any], lines: int) -> None:
    figure = draw(table, "curve")

    assert figure is not None
    assert len(figure.axes[0].lines) == lines
    assert (figure.axes[0].get_legend() is not None) == (lines > 1)


def test_what_is_neither_is_not_drawn() -> None:
    assert draw({"values": np.zeros(3)}, "values") is None
    assert draw({"matrix": np.zeros((3, 2, 2))}, "a matrix for each label") is None


def test_the_parts_of_a_value_are_named() -> None:
    one, two = torch.zeros(1), torch.zeros(2)

    assert table_of(one, ()).keys() == {"values"}
    assert table_of(one, ("matrix",)).keys() == {"matrix"}
    assert table_of((one, two), ("fpr", "tpr")).keys() == {"fpr", "tpr"}
    assert table_of(([one, two], [one, two], one), ("fpr", "tpr", "thresholds")).keys() == {
        *("fpr_0", "fpr_1", "tpr_0", "tpr_1", "thresholds")
    }
    assert table_of((one, two), ()).keys() == {"values_0", "values_1"}
    assert table_of({"group_0": one}, ("groups",)).keys() == {"group_0"}


def trainer_in(folder: Path, *loggers: Logger) -> Trainer:
    return Trainer(
        accelerator="cpu",
        default_root_dir=folder,
        logger=list(loggers) if loggers else False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
