from pathlib import Path

import pytest

from app.schemas.predictions import PredictionsConfig
from app.schemas.problems import ConfigError

ENDINGS = (".png", ".jpg")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("b.png", "a.PNG", "c.jpg", "notes.txt"):
        (tmp_path / name).write_bytes(b"something")
    (tmp_path / "empty").mkdir()
    return tmp_path


def test_a_folder_stands_for_the_files_in_it_that_can_be_read(folder: Path) -> None:
    (folder / "other").mkdir()
    (folder / "other" / "c.jpg").write_bytes(b"another of that name")
    config = PredictionsConfig(inputs=(str(folder / "other" / "c.jpg"), str(folder)))

    assert [file.name for file in config.input_files(ENDINGS)] == ["c.jpg", "a.PNG", "b.png", "c.jpg"]
    assert list(config.unread_inputs(ENDINGS)) == []
    assert PredictionsConfig().input_files(ENDINGS) == []


def test_inputs_must_be_there(folder: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        PredictionsConfig(inputs=(str(folder / "b.png"), str(folder / "d.png")))

    [problem] = caught.value.problems
    assert problem.path == "PredictionsConfig.inputs[1]"
    assert problem.message == f"there is no file or folder '{folder / 'd.png'}'"


def test_a_pattern_is_told_that_folders_can_be_named(folder: Path) -> None:
    with pytest.raises(ConfigError, match="; a folder stands for all files in it that the task can read"):
        PredictionsConfig(inputs=(str(folder / "*.png"),))


@pytest.mark.parametrize("others", [("c.jpg",), ("b.png", "./c.jpg"), ("b.png", ".")])
def test_each_file_is_named_once(others: tuple[str, ...], folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    found = list(PredictionsConfig(inputs=("c.jpg", *others)).unread_inputs(ENDINGS))

    again, first = ("b.png", "b.png") if others[-1] == "." else ("c.jpg", "c.jpg")
    message = f"expected each file once, found '{again}' again, which is named by '{first}' before"
    assert found == [(("inputs", len(others)), message)]


def test_a_file_without_a_byte_is_refused(folder: Path) -> None:
    (folder / "zero.png").touch()
    message = f"there is nothing in the file '{folder / 'zero.png'}': it has no bytes"
    for named in (folder / "zero.png", folder):
        config = PredictionsConfig(inputs=(str(named),))
        assert list(config.unread_inputs(ENDINGS)) == [(("inputs", 0), message)]


def test_no_inputs_are_null_and_not_an_empty_list() -> None:
    with pytest.raises(ConfigError, match=r"inputs: expected a list that is not empty, .*, or null, found the list"):
        PredictionsConfig(inputs=())


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
