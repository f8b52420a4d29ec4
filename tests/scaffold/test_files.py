"""Several files are written or none, in a checkout and nowhere else."""

import ast
import errno
from pathlib import Path

import pytest

from app.completion import complete
from app.scaffold import layout
from app.scaffold.command import answer
from app.scaffold.files import written
from app.scaffold.filling import filled, names_of_task
from app.scaffold.kinds import KINDS
from app.scaffold.names import checked_task_name
from app.scaffold.new_module import new_module
from app.scaffold.new_task import new_task
from app.schemas.problems import AppError, ConfigError


def test_everything_is_taken_back_when_one_file_cannot_be_written(tmp_path: Path) -> None:
    there = tmp_path / "there.py"
    there.write_text("before")
    new = {tmp_path / "made" / "one.py": "1", there / "two.py": "2"}

    with pytest.raises(AppError, match=r"cannot write .*there"), written(new, {there: "after"}):
        raise AssertionError("two.py cannot be written")

    assert [file.name for file in tmp_path.rglob("*")] == ["there.py"]
    assert there.read_text() == "before"


def test_a_full_disk_is_told_with_the_file_that_did_not_fit(tmp_path: Path) -> None:
    full = tmp_path / "full.py"
    full.symlink_to("/dev/full")

    with (
        pytest.raises(AppError, match=r"^cannot write .*full\.py: No space left on device$"),
        written({tmp_path / "made" / "one.py": "1"}, {full: "after"}),
    ):
        raise AssertionError("there is no space")

    assert not (tmp_path / "made").exists()


def test_a_folder_in_a_files_place_is_told_like_what_cannot_be_written(tmp_path: Path) -> None:
    folder = tmp_path / "there.py"
    (folder / "inside").mkdir(parents=True)

    with (
        pytest.raises(AppError, match=r"^cannot write .*there\.py: Is a directory$"),
        written({tmp_path / "made" / "one.py": "1"}, {folder: "after"}),
    ):
        raise AssertionError("there.py is a folder")

    assert sorted(file.name for file in tmp_path.rglob("*")) == ["inside", "there.py"]


def test_a_file_whose_text_cannot_be_kept_is_not_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there = tmp_path / "there.py"
    there.write_text("before")

    def refuse(file: Path) -> bytes:
        raise PermissionError(errno.EACCES, "Permission denied", str(file))  # which nobody tells an administrator

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with (
        pytest.raises(AppError, match=r"^cannot write .*there\.py: Permission denied$"),
        written({tmp_path / "made" / "one.py": "1"}, {there: "after"}),
    ):
        raise AssertionError("there.py cannot be read")

    assert [file.name for file in tmp_path.rglob("*")] == ["there.py"]
    assert there.read_text() == "before"


def test_everything_is_taken_back_when_it_turns_out_to_be_wrong(tmp_path: Path) -> None:
    there, touched = tmp_path / "there.py", tmp_path / "made" / "touched.json"
    there.write_text("before")

    def write_and_stop() -> None:
        with written({tmp_path / "made/one.py": "1"}, {there: "after"}, [touched]):
            assert there.read_text() == "after"
            touched.write_text("{}")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_and_stop()

    assert [file.name for file in tmp_path.rglob("*")] == ["there.py"]
    assert there.read_text() == "before"


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    there = tmp_path / "there.py"
    there.write_text("before")

    with (
        pytest.raises(AppError, match=r"there\.py is there already, and nothing is overwritten"),
        written({there: ""}, {}),
    ):
        raise AssertionError("it is there")

    assert there.read_text() == "before"


def test_an_installed_package_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.scaffold.files.ROOT", tmp_path / "site-packages")

    with pytest.raises(AppError, match=r"site-packages/app is an installed package; app new writes into a checkout"):
        new_task("wine_colours")


def test_a_name_is_taken_by_modules_of_the_task_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.scaffold.files.ROOT", tmp_path)  # so that nothing is written after the names are judged

    with pytest.raises(ConfigError, match="'wide_mlp' is taken"):
        new_module("fashion_mnist/wide_mlp")
    with pytest.raises(AppError, match="is an installed package"):
        new_module("mnist/wide_mlp")


@pytest.mark.parametrize(
    ("task", "instead"),
    [
        ("segmentation", "SegmentationModuleConfig in app/tasks/segmentation/config.py"),
        ("detection", "DetectorModuleConfig in app/tasks/detection/config.py and its DetectorModule in "),
        ("multi_head", "PartsHeadsModuleConfig in app/tasks/multi_head/config.py and its PartsHeadsModule in "),
        ("retrieval", "PairwiseModuleConfig in app/tasks/retrieval/config.py and its PairwiseModule in "),
    ],
)
def test_a_task_that_a_score_of_the_whole_sample_does_not_suit_takes_no_new_module(
    task: str, instead: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.scaffold.files.ROOT", tmp_path)  # so that nothing is written where this fails

    with pytest.raises(ConfigError) as caught:
        new_module(f"{task}/mine")

    [problem] = caught.value.problems
    assert problem.message.startswith(
        "a new module scores each sample as a whole, which this task's losses and metrics"
    )
    assert f"; copy its {instead}" in problem.message


@pytest.mark.parametrize("name", ["torch", "hydra", "yaml", "app", "tests"])
def test_a_task_is_called_like_no_package(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.scaffold.files.ROOT", tmp_path)

    with pytest.raises(ConfigError, match=f"'{name}' is a package that Python finds already"):
        new_task(name)


def test_a_folder_without_code_is_no_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "wines").mkdir()
    monkeypatch.syspath_prepend(tmp_path)

    assert checked_task_name("wines") == "wines"


def test_a_task_is_not_called_like_its_first_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.scaffold.files.ROOT", tmp_path)

    with pytest.raises(ConfigError, match="'default' is what the first module and datamodule of every task are called"):
        new_task("default")


@pytest.mark.parametrize("name", ["Bad-Name", "bad-name", "1st", "a__b", "on"])
def test_one_rule_holds_for_the_names_of_all_that_is_new(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.scaffold.files.ROOT", tmp_path)

    for what in (["task", name], ["module", f"digits/{name}"], ["experiment", f"digits/{name}"]):
        with pytest.raises(ConfigError, match=f"'{name}' (cannot be a name|is a word that stands for something else)"):
            answer(what)


def test_without_ruff_the_text_is_python_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layout, "find_ruff", lambda: None)

    text = filled("new_task/config.py", names_of_task("wine_colours"), Path("config.py"))

    names = [node.name for node in ast.parse(text).body if isinstance(node, ast.ClassDef)]
    assert names == ["WineColoursTaskConfig", "NetworkConfig", "NetworkModuleConfig", "WineColoursDataModuleConfig"]
    assert "new_task" not in text.casefold().replace("_", "").replace("newtask", "new_task")


def test_what_may_follow_is_offered() -> None:
    assert complete("app new ") == ["task", "module", "experiment", "schema"]
    assert complete("app new task ") == complete("app new schema ") == []
    assert complete("app new module dig") == complete("app new experiment dig") == ["digits/"]
    assert complete("app new experiment digits/x module=digits/c") == ["module=digits/cnn"]
    assert complete("app new schema --g") == ["--group"]
    assert complete("app new schema package.Loss --group ") == [*KINDS]
    assert complete("app new schema package.Loss --group=lo") == ["--group=loss", "--group=logger"]


def test_help_names_all_that_can_be_new() -> None:
    said = answer.__globals__["__doc__"]
    for what in ("task NAME", "module TASK/NAME", "experiment TASK/NAME", "schema package.Class"):
        assert f"app new {what}" in said
