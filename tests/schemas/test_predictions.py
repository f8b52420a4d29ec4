from pathlib import Path

import pytest

from app.schemas.predictions import PredictionsConfig
from app.schemas.problems import ConfigError

ENDINGS = (".png", ".jpg")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("b.png", "a.PNG", "c.jpg", "notes.txt"):
        (tmp_path / name).touch()
    (tmp_path / "empty").mkdir()
    return tmp_path


def test_a_folder_stands_for_the_files_in_it_that_can_be_read(folder: Path) -> None:
    config = PredictionsConfig(inputs=(str(folder / "c.jpg"), str(folder)))

    assert [file.name for file in config.input_files(ENDINGS)] == ["c.jpg", "a.PNG", "b.png", "c.jpg"]
    assert list(config.unread_inputs(ENDINGS)) == []
    assert PredictionsConfig().input_files(ENDINGS) == []


def test_inputs_must_be_there(folder: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        PredictionsConfig(inputs=(str(folder / "b.png"), str(folder / "d.png")))

    [problem] = caught.value.problems
    assert problem.path == "PredictionsConfig.inputs[1]"
    assert problem.message == f"there is no file or folder '{folder / 'd.png'}'"


@pytest.mark.parametrize("name", ["a/b", "..", "a\\b", ""])
def test_the_file_stays_in_the_run_directory(name: str) -> None:
    with pytest.raises(ConfigError, match=r"file: expected a (file's name without folders|text that is not empty)"):
        PredictionsConfig(file=name)


def test_what_the_task_cannot_read_is_named(folder: Path) -> None:
    config = PredictionsConfig(inputs=tuple(str(folder / name) for name in ("b.png", "notes.txt", "empty")))

    assert list(config.unread_inputs(ENDINGS)) == [
        (("inputs", 1), f"expected a file that ends in '.png' or '.jpg', found '{folder / 'notes.txt'}'"),
        (("inputs", 2), f"there is no file that ends in '.png' or '.jpg' in '{folder / 'empty'}'"),
    ]
    assert list(config.unread_inputs(())) == [
        ("inputs", "this task reads no files; leave it out to predict the task's predict split")
    ]
