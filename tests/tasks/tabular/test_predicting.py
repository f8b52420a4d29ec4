"""A table of one's own, trained on and predicted by the words that a user types; the table itself is gone by then."""

import csv
import json
from pathlib import Path

import pytest

from app.cli import main
from app.from_checkpoint import load_from_checkpoint
from app.tasks.tabular.datamodule import TabularDataModule

QUIET = ("callbacks=[checkpoint]", "logger=[]", "trainer.max_epochs=8", "trainer.accelerator=cpu")


def results(folder: Path) -> list[Path]:
    return sorted(folder.glob("runs/*/*/result.json"), key=lambda file: file.stat().st_mtime)


def test_a_checkpoint_is_all_that_a_table_needs_to_be_predicted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["app"])
    table = tmp_path / "plants.csv"
    table.write_text(
        "height,width,species\n" + "".join(f"{7000 + row},{row % 7},{'ab'[row > 50]}\n" for row in range(100))
    )
    words = ("task=tabular", "table=csv_multiclass", "task.table.target=species", "task.table.num_classes=2")
    assert main([*words, f"task.table.file={table}", "optimizer_spec.lr=0.02", *QUIET]) == 0
    checkpoint = json.loads(results(tmp_path)[-1].read_text())["checkpoint"]
    table.unlink()
    new = tmp_path / "new.csv"
    new.write_text("width,height\n3,7001\n4,7099\n")

    assert main(["predict", f"checkpoint={checkpoint}", "predictions.inputs=[new.csv]"]) == 0

    [file] = json.loads(results(tmp_path)[-1].read_text())["predictions"]
    with Path(file).open() as lines:
        rows = list(csv.DictReader(lines))
    assert [(row["id"], row["class"]) for row in rows] == [("new.csv:2", "0"), ("new.csv:3", "1")]
    datamodule = load_from_checkpoint(checkpoint).datamodule
    assert isinstance(datamodule, TabularDataModule)
    assert datamodule.class_names() == ("a", "b")
