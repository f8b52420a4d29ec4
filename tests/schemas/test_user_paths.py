import pickle
from pathlib import Path

import pytest

from app.compose import load_config
from app.schemas.problems import ConfigError
from app.schemas.user_paths import UnknownHomeError, user_path


def test_a_path_may_start_in_the_users_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))

    assert user_path("~/cells/train") == tmp_path / "cells" / "train"
    assert user_path("cells/~") == Path("cells/~")


def test_a_home_that_is_not_there_is_named() -> None:
    with pytest.raises(UnknownHomeError) as caught:
        user_path("~nobody-here/cells")

    message = "there is no home folder '~nobody-here' on this machine; './~nobody-here/cells' would be one called so"
    assert str(caught.value) == f"~nobody-here/cells: {message}"
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


@pytest.mark.parametrize(
    ("field", "others"),
    [
        ("datamodule.data_dir", ["task=mnist"]),
        ("datamodule.data_dir", ["task=tabular"]),
        ("task.table.file", ["task=tabular", "table=csv_binary", "task.table.target=ill"]),
        ("task.folder", ["task=segmentation", "task.test_fingerprint=null"]),
        ("task.folder", ["task=detection", "task.test_fingerprint=null"]),
        ("callbacks.checkpoint.dirpath", []),
        ("load_checkpoint.base_ckpt_path", []),
        ("load_checkpoint.overridden_name2ckpt_path.head", []),
        ("resume_path", []),
        ("checkpoint", []),
        ("model", []),
    ],
)
def test_the_gate_knows_that_a_home_is_not_there(field: str, others: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config([*others, f"{field}='~nobody-here/cells.pt2'"])

    [problem] = caught.value.problems
    assert (problem.path, problem.source) == (field, f"{field}='~nobody-here/cells.pt2'")
    assert problem.message == str(UnknownHomeError("~nobody-here/cells.pt2"))


@pytest.mark.parametrize("field", ["checkpoint", "resume_path", "load_checkpoint.base_ckpt_path"])
def test_a_home_in_an_address_is_looked_for_too(field: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config([f"{field}='file://~nobody-here/a.ckpt'"])

    [problem] = caught.value.problems
    assert (problem.path, "there is no home folder '~nobody-here'" in problem.message) == (field, True)


def test_the_gate_does_not_look_for_what_a_path_leads_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "gone"))

    config = load_config(["task=mnist", "datamodule.data_dir='~/cells'", "callbacks.checkpoint.dirpath='~/kept'"])

    assert getattr(config.datamodule, "data_dir", None) == "~/cells"
    assert not list(tmp_path.iterdir())
