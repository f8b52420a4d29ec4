"""What is read of a class, and how schemas write it."""

import ast
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, Literal, Optional

import pytest
from torch import Tensor

from app.scaffold.new_schema import new_schema
from app.scaffold.signatures import NEEDED, Argument, arguments_of, first_sentence
from app.scaffold.written_types import written_type, written_value
from app.schemas.problems import AppError, ConfigError
from tests.scaffold.checkout import ROOT, run


def argument(
    annotation: object, default: object = NEEDED, said_type: str = "", choices: Iterable[str] = ()
) -> Argument:
    return Argument(
        name="it", annotation=annotation, default=default, said="", said_type=said_type, choices=tuple(choices)
    )


@pytest.mark.parametrize(
    ("annotation", "written"),
    [
        (float, "float"),
        (float | Tensor, "float"),
        (Optional[bool], "bool | None"),  # noqa: UP045  # as others write it
        (int | str | None, "int | str | None"),
        (tuple[float | Tensor, float | Tensor], "tuple[float, float]"),
        (Sequence[int], "tuple[int, ...]"),
        (Iterable[int | None], "tuple[int | None, ...]"),
        (Mapping[str, list[float]], "dict[str, tuple[float, ...]]"),
        (Literal["a", 1, None], 'Literal["a", 1, None]'),
        (str | PathLike[str] | Path, "str"),
        (Tensor | None, None),
        (Callable[[int], int], None),
        (Any, None),
        (list, None),
        (dict[int, Any], None),
        (tuple[int, Tensor], None),
    ],
)
def test_types_are_as_narrow_as_annotations(annotation: object, written: str | None) -> None:
    assert written_type(argument(annotation)) == written


def test_without_an_annotation_words_and_defaults_tell() -> None:
    assert written_type(argument(NEEDED, 3)) == "int"
    assert written_type(argument(NEEDED, 3, "float, optional")) == "float"
    assert written_type(argument(NEEDED, None, "int or None")) == "int | None"
    assert written_type(argument(NEEDED, None)) is None
    assert written_type(argument(NEEDED)) is None


def test_named_choices_narrow_a_text() -> None:
    assert written_type(argument(str, "sum", choices=("mean", "sum"))) == "Literal['mean', 'sum']"
    assert written_type(argument(str, "other", choices=("mean", "sum"))) == "str"


@pytest.mark.parametrize(
    ("value", "written"),
    [(1, "1"), (True, "True"), ("a", '"a"'), ((1, (2,)), "(1, (2,))"), ([0.5], "(0.5,)"), (Path("x"), '"x"')],
)
def test_plain_defaults_are_written(value: object, written: str) -> None:
    assert written_value(value) == written


@pytest.mark.parametrize("value", [object(), float("inf"), float("nan"), (1, object()), len, {1: 2}])
def test_other_defaults_are_not(value: object) -> None:
    assert written_value(value) is None


def test_a_base_is_looked_at_as_far_as_arguments_are_handed_on() -> None:
    class Base:
        def __init__(self, needed: int, rate: float = 0.5, *, name: str = "x") -> None: ...

    class HandsOn(Base):
        """Hands on.

        Args:
            size (int): The size of it in pixels. More follows here.
            rate: never said here
        """

        def __init__(self, size: int, **more: Any) -> None: ...

    class Closed(Base):
        def __init__(self, size: int = 1) -> None: ...

    found = {each.name: each for each in arguments_of(HandsOn)}
    assert [*found] == ["size", "rate", "name"]
    assert found["size"].said == "The size of it in pixels."
    assert found["rate"].default == 0.5
    assert [each.name for each in arguments_of(Closed)] == ["size"]


@pytest.mark.parametrize("style", ["Args:\n    rate (float): {}", ":param rate: {}\n:type rate: float", None])
def test_every_style_of_docstring_is_read(style: str | None) -> None:
    class Described:
        def __init__(self, rate: float = 0.5) -> None: ...

    numpy = "Parameters\n----------\nrate : float\n    {}"
    Described.__doc__ = f"Is described.\n\n{(style or numpy).format('How fast it falls off.')}"

    assert [each.said for each in arguments_of(Described)] == ["How fast it falls off."]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("the rate of :class:`~torch.optim.SGD` steps. It has more", "The rate of `torch.optim.SGD` steps."),
        ("weight decay of it (default: 0)", "Weight decay of it."),
        ("uses ``eps``,\n   e.g. 1e-8, for it.", "Uses `eps`, e.g. 1e-8, for it."),
        (r"the value :math:`\alpha` of it", ""),
        ("rate", ""),
        ("a \u201cquoted\u201d and so \u2013 called thing", "A 'quoted' and so - called thing."),
    ],
)
def test_a_description_is_its_first_sentence_in_plain_words(text: str, sentence: str) -> None:
    assert first_sentence(text) == sentence


@pytest.mark.parametrize(
    ("path", "message"),
    [
        (".foo.Bar", "expected package.Class"),
        ("foo..Bar", "expected package.Class"),
        ("", "expected package.Class"),
        ("Bar", "expected package.Class"),
        ("app.nowhere.Bar", "cannot be imported: ModuleNotFoundError: No module named 'app.nowhere'"),
        ("raises.Bar", "cannot be imported: ZeroDivisionError: division by zero"),
        ("leaves.Bar", "cannot be imported: SystemExit: 3"),
        ("lazily.Bar", "cannot be imported: RuntimeError: not today"),
        ("no_python.Bar", "cannot be imported: SyntaxError: "),
        ("builtins.dict", "does not say what it takes: "),
        ("builtins.int", "does not say what it takes: "),
        ("fractions.Fraction", "does not say what it takes: it has no __init__ of its own"),
    ],
)
def test_what_is_no_class_to_look_at_is_refused_by_name(
    path: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    for name, text in {
        "raises": "1 / 0",
        "leaves": "raise SystemExit(3)",
        "lazily": "def __getattr__(name):\n    raise RuntimeError('not today')",
        "no_python": "class",
    }.items():
        (tmp_path / f"{name}.py").write_text(text)

    with pytest.raises(ConfigError) as caught:
        new_schema(path, group="pooling")

    [problem] = caught.value.problems
    assert problem.message.startswith(message)
    assert problem.source == path


LOSSES = '''
from torch import nn

print("told by the module")


class Loss(nn.Module):
    """A loss with arguments of names that others have."""

    def __init__(self, l: float = 0.5, weight: float = 2.0, phases: str = "a", id: int = 3) -> None: ...

    def forward(self, input: object, target: object) -> None: ...


class Weighted(nn.Module):
    """A loss that needs what every loss has."""

    def __init__(self, weight: float) -> None: ...
'''


@pytest.fixture
def losses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module with losses, by name; it is another one in each test."""
    name = f"losses_of_{tmp_path.name}".replace("-", "_")
    (tmp_path / f"{name}.py").write_text(LOSSES)
    monkeypatch.syspath_prepend(tmp_path)
    return name


def test_a_schema_has_another_name_than_its_family(losses: str) -> None:
    text = new_schema(f"{losses}.Loss", group="loss")

    assert "from app.schemas.losses.loss import LossConfig\n" in text
    assert "class OwnLossConfig(LossConfig):" in text


def test_an_argument_that_is_called_like_a_field_of_every_option_is_left_out_with_the_reason(losses: str) -> None:
    text = new_schema(f"{losses}.Loss", group="loss")

    fields = [ast.unparse(node.target) for node in ast.walk(ast.parse(text)) if isinstance(node, ast.AnnAssign)]
    said = " ".join(text.replace("#", " ").split())
    assert fields == ["l"]
    for name in ("weight", "phases"):
        assert f"{name} (is the name of something else in every LossConfig)" in said
    assert "id (is the key by which options are chosen)" in said


def test_an_argument_that_is_needed_cannot_be_left_out(losses: str) -> None:
    with pytest.raises(
        AppError, match=r"Weighted needs 'weight', which is the name of something else in every LossCon"
    ):
        new_schema(f"{losses}.Weighted", group="loss")


def test_the_rate_of_an_optimizer_keeps_its_own_default() -> None:
    text = new_schema("torch.optim.Adadelta", name="mine")

    assert "    lr: PositiveFloat = 1.0\n" in text


def test_what_a_module_prints_is_no_part_of_the_schema(losses: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = new_schema(f"{losses}.Loss", group="loss")

    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == "told by the module\n"
    assert text.startswith('"""The schema of')


def test_a_name_that_looks_like_a_digit_passes_ruff(losses: str, tmp_path: Path) -> None:
    file = tmp_path / "schema.py"

    new_schema(f"{losses}.Loss", group="loss", file=str(file))

    done = run(
        ROOT, sys.executable, "-m", "ruff", "check", "--isolated", "--select", "E", "--line-length", "120", str(file)
    )
    assert done.returncode == 0, done.stdout
    assert "    l: float" in file.read_text()


@pytest.mark.parametrize("name", ["x.txt", "schema", ""])
def test_a_schema_is_written_into_a_file_of_python_alone(name: str, tmp_path: Path) -> None:
    file = tmp_path / name  # the folder itself, for none

    with pytest.raises(ConfigError, match=r"expected a file of Python, whose name ends in \.py"):
        new_schema("torch.optim.SGD", name="mine", file=str(file))

    assert list(tmp_path.iterdir()) == []
