"""Overrides, one by one, before anything is composed."""

from typing import Any

import pytest

from app.composing.overrides import read_overrides
from app.tasks import import_task_configs


@pytest.fixture(autouse=True)
def _prepared() -> None:
    import_task_configs()


@pytest.mark.parametrize(
    ("text", "kind", "path", "value"),
    [
        ("optimizer_spec.lr=1e-3", "value", ("optimizer_spec", "lr"), 1e-3),
        ("optimizer_spec.betas=[0.9,0.99]", "value", ("optimizer_spec", "betas"), [0.9, 0.99]),
        ("optimizer_spec.betas.1=0.5", "value", ("optimizer_spec", "betas", "1"), 0.5),
        ("a.b='x y'", "value", ("a", "b"), "x y"),
        ("a={b: {c: 'd'}, 4: 2}", "value", ("a",), {"b": {"c": "d"}, 4: 2}),
        ("a=${b.c}", "value", ("a",), "${b.c}"),
        ("a=", "value", ("a",), ""),
        ("a=null", "value", ("a",), None),
        ("optimizer_spec=sgd", "choice", ("optimizer_spec",), "sgd"),
        ("callbacks=checkpoint", "choice", ("callbacks",), ["checkpoint"]),
        ("callbacks=null", "choice", ("callbacks",), []),
        ("scheduler_spec=null", "choice", ("scheduler_spec",), None),
        ("scheduler_spec=[]", "choice", ("scheduler_spec",), None),
        ("experiment=null", "experiment", ("experiment",), None),
        ("hydra.run.dir=x", "hydra", ("hydra", "run", "dir"), "x"),
        ("hydra/launcher=basic", "hydra", ("hydra/launcher",), "basic"),
    ],
)
def test_what_an_override_says(text: str, kind: str, path: tuple[str, ...], value: Any) -> None:
    (override,), problems = read_overrides([text])

    assert not problems
    assert (override.kind, override.path, override.value, override.typed) == (kind, path, value, text)


@pytest.mark.parametrize(
    ("text", "for_hydra"),
    [
        ("+optimizer_spec.lr=1", "optimizer_spec.lr=1"),
        ("++optimizer_spec.lr=1", "optimizer_spec.lr=1"),
        ("callbacks=checkpoint", "callbacks=[checkpoint]"),
        ("scheduler_spec=null", "scheduler_spec=[]"),
        ("experiment=null", "experiment=[]"),
    ],
)
def test_hydra_reads_it_without_plus_and_with_lists_where_it_wants_them(text: str, for_hydra: str) -> None:
    (override,), _ = read_overrides([text])
    assert (override.text, override.typed) == (for_hydra, text)


@pytest.mark.parametrize(
    "text",
    [
        *("foo", "", "=1", "a b=1", ".a=1", "a.=1", "a..b=1", "a[0]=1", "a:b=1", "é=1", "$a=1", "a=b=c", "a={", "a=[1"),
        *("~a", "~a=1", "optimizer_spec@x=adam", "a={null: 1}", "a={true: 1}", "a={b: {1.5: 1}}", "a={_target_: b}"),
        *("a=[{_partial_: true}]", "_target_=x", "a=1,2", "a=range(1,3)", "a=glob(*)", "optimizer_spec={lr: 1}"),
        *(
            "hydra=x",
            "hydra.run.dir=3",
            "hydra.verbose=3",
            "hydra/launcher=none",
            "hydra.output_subdir=x",
            "trainer/x=y",
        ),
        *("a=" + "[" * 30 + "]" * 30, "a=" + "x" * 20_000, "a" + ".a" * 30 + "=1", "a=" + "${" * 40),
    ],
)
def test_what_cannot_be_read_is_one_problem_with_the_text_as_source(text: str) -> None:
    read, (problem,) = read_overrides([text])

    assert not read
    assert problem.source == (text if len(text) <= 200 else f"{text[:199]}…")


def test_a_sweep_may_give_several_values() -> None:
    assert (
        read_overrides(["optimizer_spec.lr=1,2", "optimizer_spec=adam,sgd", "scheduler_spec=[],step"], sweep=True)[1]
        == []
    )


def test_hydra_cannot_sweep_over_null_for_a_group() -> None:
    _, (problem,) = read_overrides(["scheduler_spec=null,step"], sweep=True)
    assert problem.message == "in a sweep, none is written as an empty list: []"
