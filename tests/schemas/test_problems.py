"""Problems as data and as text."""

import pytest

from app.schemas.problems import ConfigError, Problem, did_you_mean, dotted, nearest, one_of, show

NAMES = ["lr", "weight_decay", "cosine_annealing", "cosine_annealing_warm_restarts", "checkpoint", "adam", "adamw"]


def test_a_problem_reads_as_where_what_and_from_where() -> None:
    problem = Problem(path="a.b", message="is wrong", source="file.yaml:1:2")

    assert str(problem) == "a.b: is wrong   file.yaml:1:2"
    assert str(Problem(path="", message="is wrong")) == "is wrong"
    assert problem.under("c").path == "c.a.b"
    assert str(ConfigError([problem, problem])) == f"{problem}\n{problem}"


@pytest.mark.parametrize(
    ("word", "name"),
    [
        ("wieght_decay", "weight_decay"),
        ("weight-decay", "weight_decay"),
        ("WeightDecay", "weight_decay"),
        ("learning_rate", "lr"),
        ("cosine", "cosine_annealing"),
        ("check", "checkpoint"),
        ("ADAM", "adam"),
        ("adamww", "adamw"),
        ("zzz", None),
        ("", None),
        ("x_y", None),
    ],
)
def test_the_nearest_name_is_the_one_that_was_probably_meant(word: str, name: str | None) -> None:
    assert nearest(word, NAMES) == name
    assert did_you_mean(word, NAMES) == (f"; did you mean '{name}'?" if name else "")


def test_of_equally_close_names_the_first_is_meant() -> None:
    assert nearest("epochs", ["max_epochs", "min_epochs"]) == "max_epochs"
    assert nearest("epochs", ["min_epochs", "max_epochs"]) == "min_epochs"


def test_paths_are_written_as_users_write_them() -> None:
    assert dotted(("a", 1, "b.c", "d-e", "f")) == "a[1][b.c][d-e].f"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        (True, "true"),
        (1.5, "1.5"),
        ("a", "'a'"),
        ([1, "a"], "the list [1, 'a']"),
        ((1,), "the list [1]"),
        ({"a": 1}, "a mapping"),
        ({}, "an empty mapping"),
        ("x" * 100, "'" + "x" * 58 + "…"),
    ],
)
def test_values_are_shown_shortly(value: object, text: str) -> None:
    assert show(value) == text


def test_choices_are_listed_in_their_order() -> None:
    assert one_of(["b"]) == "'b'"
    assert one_of(["b", "a", "c"]) == "'b', 'a' or 'c'"
