"""Interpolations are resolved by looking values up, never by calling what a config names."""

from typing import Any

import pytest

from app.schemas.interpolation_grammar import evaluate
from app.schemas.resolution import _TEXT, LARGEST_TREE, REFERENCE, UNRESOLVED, resolve


def resolved(tree: dict[str, Any]) -> dict[str, Any]:
    found, faults = resolve(tree)
    assert not faults
    return found


def only_fault(tree: dict[str, Any]) -> tuple[tuple[str | int, ...], str]:
    _, faults = resolve(tree)
    (fault,) = faults
    return fault.path, fault.message


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("${a.number}", 3),
        ("${a.list}", [1, 2.5]),
        ("${a.list.1}", 2.5),
        ("${a.list[0]}", 1),
        ("${a}", {"number": 3, "list": [1, 2.5], "text": "t", "none": None, "chain": 3}),
        ("${.text}", "t"),
        ("${..b}", "top"),
        ("${a.none}", None),
        ("${a.chain}", 3),
        ("${a.${a.name}}", 3),
        ("<${b}-${a.number}>", "<top-3>"),
        ("\\${b}", "${b}"),
        ("${oc.env:GATE_TEST}", "0.5"),
        ("${oc.env:GATE_TEST_NOT_SET,${b}}", "top"),
        ("${oc.env:GATE_TEST_NOT_SET,null}", None),
        ("${oc.decode:${oc.env:GATE_TEST}}", 0.5),
        ("$b {b} ${", None),
    ],
)
def test_an_interpolation_stands_for_its_value(text: str, value: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATE_TEST", "0.5")
    a: dict[str, Any] = {
        "number": 3,
        "list": [1, 2.5],
        "text": "t",
        "none": None,
        "chain": "${.number}",
    }
    if text == "${a.${a.name}}":
        a["name"] = "number"
    tree = {"a": {**a, "at": text} if text.startswith("${.") else a, "b": "top", "at": text}
    if text.startswith("${."):
        assert resolved({**tree, "at": None})["a"]["at"] == value
    elif text.endswith("${"):
        assert only_fault(tree)[1].startswith(f"'{text}' is no interpolation; there is")
    else:
        assert resolved(tree)["at"] == value


@pytest.mark.parametrize(
    "reference",
    ["b", "a", "a.number", ".b", "..b", "...b", "a.list.1", "a.b_c", "null", "true.x", "a.1.2", "A.0x", "inf"],
)
def test_a_plain_reference_is_read_as_the_grammar_reads_it(reference: str) -> None:
    text = f"${{{reference}}}"
    plain = REFERENCE.fullmatch(text)
    assert plain is not None
    assert evaluate(text, _TEXT, lambda followed: f"at {followed}", lambda *_: None) == f"at {plain[1]}"


def test_the_tree_that_was_given_is_left_as_it_is() -> None:
    tree = {"a": "${b}", "b": {"c": [1]}}
    found = resolved(tree)

    assert tree == {"a": "${b}", "b": {"c": [1]}}
    assert found == {"a": {"c": [1]}, "b": {"c": [1]}}


@pytest.mark.parametrize(
    ("tree", "path", "message"),
    [
        ({"a": "${a}"}, ("a",), "interpolates itself"),
        ({"a": {"b": "${a}"}}, ("a", "b"), "interpolates a, which it is part of"),
        ({"a": "${b}", "b": "${a}"}, ("b",), "interpolates in a circle: a → b → a"),
        ({"a": {"x": "${b}"}, "b": {"y": "${a}"}}, ("b", "y"), "interpolates in a circle: a.x → b.y → a"),
        ({"a": "${bc}", "bcd": 1}, ("a",), "'${bc}' interpolates something that does not exist; did you mean 'bcd'?"),
        ({"a": [{"x": "${.y}"}]}, ("a", 0, "x"), "'${.y}' interpolates something that does not exist"),
        ({"a": "${b.c}", "b": 1}, ("a",), "'${b.c}' interpolates something that does not exist"),
        ({"a": "${b.5}", "b": [1]}, ("a",), "'${b.5}' interpolates something that does not exist"),
        ({"a": "${...b}"}, ("a",), "'${...b}' leads out of the config: 3 dots, 1 levels deep"),
        ({"a": "${oc.env:GATE_NOT_SET}"}, ("a",), "the environment has no variable GATE_NOT_SET"),
    ],
)
def test_the_fault_is_noted_where_it_stands(tree: dict[str, Any], path: tuple[str | int, ...], message: str) -> None:
    assert only_fault(tree) == (path, message)


@pytest.mark.parametrize(
    "call",
    [
        *("oc.create:[1]", "oc.select:b", "oc.dict.keys:c", "oc.dict.values:c", "oc.deprecated:b", "now:%Y"),
        *("hydra:run.dir", "run_name:", "eval:1", "oc.env:", "oc.env:a,b,c", "oc.decode:"),
    ],
)
def test_no_other_resolver_is_called(call: str) -> None:
    path, message = only_fault({"a": f"${{{call}}}", "b": 1, "c": {"d": 1}})
    assert path == ("a",)
    assert message.startswith(f"no resolver {call.partition(':')[0]} with ")


def test_what_the_environment_holds_is_data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATE_TEST", "${oc.env:HOME}")

    assert resolved({"a": "${oc.env:GATE_TEST}"}) == {"a": "${oc.env:HOME}"}
    assert "cannot be decoded" in only_fault({"a": "${oc.decode:${oc.env:GATE_TEST}}"})[1]


def test_one_fault_leaves_the_rest_resolved_and_is_noted_once() -> None:
    found, faults = resolve({"a": "${nothing}", "b": "${a}", "c": "${b} ${d}", "d": 1, "e": "${d}"})

    assert [fault.path for fault in faults] == [("a",)]
    assert found == {"a": UNRESOLVED, "b": UNRESOLVED, "c": UNRESOLVED, "d": 1, "e": 1}


@pytest.mark.parametrize("value", ["x" * 50, ["x" * 50], {"k": "x" * 50}])
def test_doublings_are_stopped_before_they_are_made(value: object) -> None:
    tree: dict[str, Any] = {"v0": value}
    tree.update({f"v{n}": [f"${{v{n - 1}}}"] * 100 for n in range(1, 8)})
    found, faults = resolve(tree)

    assert any(fault.message == "its interpolations grow beyond any real config" for fault in faults)
    assert characters(found) < 2 * LARGEST_TREE


def test_a_long_chain_is_stopped() -> None:
    tree = {f"v{n}": f"${{v{n + 1}}}" for n in range(500)} | {"v500": 1}
    _, faults = resolve(tree)

    assert {fault.message for fault in faults} == {"more than 10 interpolations lead on from one to the next"}


@pytest.mark.parametrize("text", ["${a}" * 500, "${oc.decode:" * 20 + "}" * 20, "x" * 2000 + "${b}"])
def test_a_text_too_long_or_deep_is_not_parsed(text: str) -> None:
    assert "too long or too deep" in only_fault({"a": text, "b": 1})[1]


def characters(node: object) -> int:
    """How large a tree is when every part of it is written out."""
    if isinstance(node, dict | list):
        return sum(map(characters, node.values() if isinstance(node, dict) else node))
    return len(str(node))
