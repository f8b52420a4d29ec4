"""YAML as it is read here: plain data, every value with its place, no surprises."""

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from app.composing.placed_yaml import REFUSED, Place, read_yaml


def plain(text: str) -> object:
    node, faults = read_yaml(text)
    assert not faults
    assert node is not None
    return node.plain()


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("5e-5", 5e-5),
        ("1e3", 1000.0),
        ("1.", 1.0),
        (".5", 0.5),
        ("-7", -7),
        ("+7", 7),
        ("0", 0),
        ("-.inf", float("-inf")),
        ("true", True),
        ("False", False),
        ("~", None),
        ("null", None),
        ("''", ""),
        ("'on'", "on"),
        ('"010"', "010"),
        ("y", "y"),
        ("2026-01-31", "2026-01-31"),
        ("1.2.3", "1.2.3"),
        ("val/loss", "val/loss"),
        ("${a.b}", "${a.b}"),
        ("???", "???"),
        ("|\n  a\n  b\n", "a\nb\n"),
        (">-\n  a\n  b\n", "a b"),
        ("[1, [2, {a: 3}]]", [1, [2, {"a": 3}]]),
        ("{4: 2, a: 1}", {4: 2, "a": 1}),
    ],
)
def test_scalars_are_what_they_look_like(text: str, value: object) -> None:
    assert plain(text) == value
    assert type(plain(text)) is type(value)


@pytest.mark.parametrize(
    "text",
    ["on", "OFF", "Yes", "no", "010", "-0777", "08", "1:30", "12:30:45", "0x1F", "0b1", "0o7", "1_000", "1_0.5", "="],
)
def test_what_yaml_1_1_turns_into_something_else_is_refused(text: str) -> None:
    node, faults = read_yaml(f"a: {text}")

    assert node is not None
    assert node.plain() == {"a": REFUSED}
    (fault,) = faults
    assert (fault.path, fault.place) == (("a",), Place(1, 4))
    assert fault.message.startswith(f"found {text}: ")


def test_every_value_has_its_place() -> None:
    node, _ = read_yaml('a:\n  b: [1, 22,\n    3]\n"c": {d: e}\n')

    assert node is not None
    key, inner = node.value["a"]
    assert key == Place(1, 1)
    key, items = inner.value["b"]
    assert (key, [item.place for item in items.value]) == (Place(2, 3), [Place(2, 7), Place(2, 10), Place(3, 5)])
    key, mapping = node.value["c"]
    assert (key, mapping.value["d"][0], mapping.value["d"][1].place) == (Place(4, 1), Place(4, 7), Place(4, 10))


def test_faults_in_one_text_are_all_found() -> None:
    _, faults = read_yaml("a: on\nb: {<<: 1, c: 1, c: 2}\n? [d]\n: 010\n")

    assert [fault.place for fault in faults] == [Place(1, 4), Place(2, 5), Place(2, 18), Place(4, 3), Place(3, 3)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("&a 1", "anchors and aliases are not read"),
        ("*a", "anchors and aliases are not read"),
        ("!!int '3'", "tags are not read"),
        ("!x 3", "tags are not read"),
        ("a: 1\n---\nb: 1", "holds more than one document"),
        ("[" * 21 + "]" * 21, "is more than 20 levels deep"),
        ("? " * 21, "is more than 20 levels deep"),
        ("a:\n\tb: 1", "found a tab; indent with spaces"),
        ("a: [", "is not YAML: "),
        ("a: \0", "is not YAML: "),
        ("a: \ud800", "is not YAML: "),
    ],
)
def test_after_some_faults_reading_stops(text: str, message: str) -> None:
    node, faults = read_yaml(text)

    assert node is None
    assert faults[-1].message.startswith(message)


def test_whole_numbers_of_any_length_are_read_in_no_time() -> None:
    assert plain("9" * 99) == int("9" * 99)
    assert isinstance(plain("9" * 90_000), float)


BLANKS = [" ", "  ", "\n", "\n  ", "\n    ", "\n- ", "\n  - ", ": ", ", ", "\t", "\r\n", "\ufeff", "\x85", "\u2028"]
PIECES = st.sampled_from(
    [
        *"a b1 é 1.5 - : ? , [ ] { } # & * ! | > ' \" % @ ` = ~ << --- ... ${x.y} trainer: lr: on 010".split(),
        *BLANKS,
        "\n# @package _global_\n",
        "\n  # it's: [!, |\n",
    ]
)


@settings(max_examples=1500, deadline=None, derandomize=True, database=None)
@given(st.lists(PIECES, max_size=14).map("".join), st.sampled_from(["", "\n"]))
def test_libyaml_and_pyyaml_read_the_same_in_the_same_places(text: str, end: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        quick = read_yaml(text + end)
        patch.delattr(yaml, "CSafeLoader")
        assert quick == read_yaml(text + end)


def test_ordinary_text_is_read_by_libyaml(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(yaml, "SafeLoader")
    assert plain("# @package _global_\n\n# Größe?\na: [1, {b: 2}]\nc:\n  - ${x.y}\n  - 'on'\n") == {
        "a": [1, {"b": 2}],
        "c": ["${x.y}", "on"],
    }
