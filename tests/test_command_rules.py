from pathlib import Path

import pytest
from PIL import Image

from app.command_rules import problems_for
from app.compose import load_config

OWN = ("task=segmentation", "task.num_classes=2", "task.test_fingerprint=null")


def found(command: str, *words: str) -> dict[str, str]:
    return {problem.path: problem.message for problem in problems_for(command, load_config(words))}


@pytest.mark.parametrize("command", ["train", "find-lr", "check"])
def test_a_folder_of_ones_own_data_is_there_before_anything_starts(command: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    expected = "expected a folder of your own data, and "

    assert found(command, *OWN, f"task.folder={tmp_path}") == {}
    for name, state in {"nowhere": "is not there", "file": "is a file"}.items():
        assert found(command, *OWN, f"task.folder={tmp_path / name}") == {
            "task.folder": f"{expected}'{tmp_path / name}' {state}"
        }


def test_predicting_named_files_needs_no_folder(tmp_path: Path) -> None:
    Image.new("L", (8, 8)).save(tmp_path / "a.png")
    words = (*OWN, f"task.folder={tmp_path / 'gone'}")

    assert "task.folder" in found("predict", *words)
    assert "task.folder" not in found("predict", *words, f"predictions.inputs=[{tmp_path / 'a.png'}]")


@pytest.mark.parametrize("task", ["tabular", "mnist"])
def test_files_are_fetched_into_no_file(task: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    for there in ("", "new"):
        assert found("train", f"task={task}", f"datamodule.data_dir={tmp_path / there}") == {}
    assert found("train", f"task={task}", f"datamodule.data_dir={tmp_path / 'file'}") == {
        "datamodule.data_dir": f"expected a folder, one to be made too, and '{tmp_path / 'file'}' is a file"
    }


def test_parquet_is_asked_for_where_predictions_are_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.schemas.predictions.find_spec", lambda _: None)

    assert "parquet" in found("predict", "predictions.format=parquet")["predictions.format"]
    assert "predictions.format" not in found("train", "predictions.format=parquet")
