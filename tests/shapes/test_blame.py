"""Whose fault it is: which value of the config, and which line of the user's own code."""

import importlib.util
from pathlib import Path

import pytest

from app.compose import load_config
from app.schemas.codes import Code
from app.schemas.problems import ConfigError, Problem
from app.shapes.blame import problems_of

STEP = "the training step"


@pytest.mark.parametrize("folder", ["mine", "lib", "stdlib"])
def test_a_line_of_the_project_is_named_in_whatever_folder_it_stands(tmp_path: Path, folder: str) -> None:
    file = tmp_path / folder / "own.py"
    file.parent.mkdir()
    file.write_text("import json\n\n\ndef step():\n    json.loads(None)\n")
    spec = importlib.util.spec_from_file_location("own", file)
    assert spec is not None
    assert spec.loader is not None
    own = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(own)

    with pytest.raises(TypeError) as raised:
        own.step()
    (problem,) = problems_of(raised.value, STEP, load_config(["module=mlp"]), None)

    assert problem.message.startswith(f"{STEP} fails: TypeError: ")
    assert problem.message.endswith(" (own.py:5)")


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("optimizers.head.lr", Code.UNTRAINED),
        ("optimizers[my-head].lr", Code.UNTRAINED),
        ("optimizers_of_mine.lr", Code.STEP_FAILS),
        ("module.optimizers", Code.STEP_FAILS),
        ("", Code.STEP_FAILS),
    ],
)
def test_a_refused_value_is_about_training_by_the_field_it_stands_in(path: str, code: Code) -> None:
    refused = ConfigError([Problem(path=path, message="names nothing")])

    found = problems_of(refused, STEP, load_config(["module=mlp"]), None)

    assert found == [Problem(path=path, message="names nothing", code=code)]
