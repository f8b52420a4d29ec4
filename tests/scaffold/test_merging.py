"""Additions to a file that is there: nothing else in it changes, and nothing gets a second meaning."""

from pathlib import Path

import pytest

from app.scaffold.merging import merged
from app.schemas.problems import AppError

THERE = '''"""Models."""

import math
import torch.nn as nn  # as ever

WIDTH = 3


def helper():
    return math.pi * WIDTH   # kept as it is
'''
ADDED = '''"""What is added."""

from math import prod

from torch import Tensor, nn


class Added(nn.Module):
    size = prod((1, 2))
'''


def test_definitions_come_last_and_imports_behind_imports(tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text(THERE)

    text = merged(tmp_path / "model.py", ADDED)

    before, after = THERE.split("\nWIDTH")
    assert text == (
        f"{before}from math import prod\nfrom torch import Tensor\n\nWIDTH{after}"
        "\n\nclass Added(nn.Module):\n    size = prod((1, 2))\n"
    )
    compile(text, "model.py", "exec")


@pytest.mark.parametrize(
    ("there", "name"),
    [
        ("class Added:\n    pass\n", "Added"),
        ("from elsewhere import Added\n", "Added"),
        ("from elsewhere import prod\n", "prod"),
        ("prod: int = 3\n", "prod"),
        ("def Tensor() -> None: ...\n", "Tensor"),
    ],
)
def test_a_name_that_is_taken_is_refused(there: str, name: str, tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text(there)

    with pytest.raises(AppError, match=rf"model\.py has a name {name} already; choose another one, or rename it there"):
        merged(tmp_path / "model.py", ADDED)


def test_what_is_no_python_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text("import math\n\ndef broken(:\n")

    with pytest.raises(AppError, match=r"model\.py:3: invalid syntax, so that nothing can be added"):
        merged(tmp_path / "model.py", ADDED)


def test_a_file_without_imports_gets_them_behind_its_docstring(tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text('"""Nothing yet."""')

    text = merged(tmp_path / "model.py", ADDED)

    assert text.startswith('"""Nothing yet."""\nfrom math import prod\n')
    compile(text, "model.py", "exec")
