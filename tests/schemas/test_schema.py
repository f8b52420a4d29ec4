"""A schema is checked when it is made and whenever it is changed."""

import copy
import dataclasses
import pickle
from collections.abc import Iterator
from dataclasses import field
from typing import Any, Literal

import pytest
from pydantic_core import ArgsKwargs

from app.schemas.annotations import field_types
from app.schemas.callbacks import CallbackConfig
from app.schemas.constraints import PositiveFloat, PositiveInt
from app.schemas.optimizers import AdamWSpec, OptimizerSpec
from app.schemas.problems import ConfigError
from app.schemas.registry import options
from app.schemas.rules import Finding, rule
from app.schemas.schema import _validator, is_abstract, is_schema, known_defaults, schema, schemas
from app.tasks import import_task_configs


@schema
class Inner:
    rate: PositiveFloat = 0.5


@schema
class Outer:
    low: PositiveInt = 1
    high: PositiveInt = 10
    sizes: tuple[PositiveInt, ...] = (1, 2)
    pair: tuple[float, float] = (0.0, 1.0)
    choice: Literal[1, 2, "all"] = 1
    flag: bool = False
    inner: Inner = field(default_factory=Inner)
    named: dict[str, Inner] = field(default_factory=dict)
    note: str | None = None

    @rule("low", "high")
    def in_order(self) -> Iterator[Finding]:
        """A lower bound lies below the upper one."""
        if self.low > self.high:
            yield "low", f"is above high, {self.high}"

    @rule("named")
    def names_are_short(self) -> Iterator[Finding]:
        """Long names are hard to read."""
        for name in self.named:
            if len(name) > 5:
                yield ("named", name), "is too long a name"


@schema
class Needy:
    must: int
    may: int = 0


def problems_of(**values: Any) -> dict[str, str]:
    with pytest.raises(ConfigError) as caught:
        Outer(**values)
    return {problem.path: problem.message for problem in caught.value.problems}


def test_all_problems_come_at_once_each_under_the_schemas_name() -> None:
    assert problems_of(low=0, pair=(1.0,), flag=1, lov=3) == {
        "Outer.low": "expected a whole number of at least 1, found 0",
        "Outer.pair": "expected a list of 2 values, each a number, found the list [1.0]",
        "Outer.flag": "expected true or false, found 1",
        "Outer.lov": "Outer has no such field; did you mean 'low'?",
    }


def test_only_the_wrong_element_of_a_list_is_named() -> None:
    assert problems_of(sizes=[1, 0, "a"]) == {
        "Outer.sizes[1]": "expected a whole number of at least 1, found 0",
        "Outer.sizes[2]": "expected a whole number of at least 1, found 'a'",
    }


@pytest.mark.parametrize("value", [True, 1.0, "1", 3, "al", None])
def test_a_literal_takes_values_of_its_own_type_only(value: object) -> None:
    (message,) = problems_of(choice=value).values()
    assert message.startswith("expected 1, 2 or 'all', found ")


@pytest.mark.parametrize(
    "values",
    [
        {"low": True},
        {"low": 1.0},
        {"low": "1"},
        {"pair": [True, 1.0]},
        {"flag": "true"},
        {"note": 3},
        {"pair": (float("nan"), 1.0)},
        {"inner": {"rate": 0.5}},
        {"low": 2**63},
    ],
)
def test_nothing_is_turned_into_another_type(values: dict[str, Any]) -> None:
    assert len(problems_of(**values)) == 1


def test_lists_become_tuples_and_a_number_stays_what_it_was() -> None:
    made = Outer(sizes=[3, 4], pair=[0, 1])  # type: ignore[arg-type]  # what YAML gives

    assert made.sizes == (3, 4)
    assert made.pair == (0.0, 1.0)


def test_rules_are_judged_with_paths_below_the_schema() -> None:
    assert problems_of(low=11) == {"Outer.low": "is above high, 10"}
    assert problems_of(named={"a.long.name": Inner()}) == {"Outer.named[a.long.name]": "is too long a name"}


def test_a_rule_is_passed_over_while_what_it_reads_is_wrong() -> None:
    assert list(problems_of(low=11, high="x")) == ["Outer.high"]


def test_an_assignment_is_checked() -> None:
    made = Outer()
    made.low = 3
    for name, value in {"low": "a", "choice": True, "sizes": (0,), "lov": 1, "inner": {}}.items():
        with pytest.raises(ConfigError):
            setattr(made, name, value)

    assert made == Outer(low=3)


def test_an_assignment_that_breaks_a_rule_changes_nothing() -> None:
    made = Outer(low=3)
    with pytest.raises(ConfigError, match=r"Outer\.low: is above high, 10"):
        made.low = 11
    with pytest.raises(ConfigError, match=r"Outer\.low: is above high, 2"):
        made.high = 2

    assert made == Outer(low=3)


def test_a_missing_value_is_asked_for() -> None:
    with pytest.raises(ConfigError, match=r"^Needy\.must: needs a value: a whole number$"):
        Needy()  # type: ignore[call-arg]
    assert Needy(must=1).may == 0


def test_positional_arguments_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"^Inner: takes its fields by name, found 0\.5$"):
        Inner(0.5)  # type: ignore[call-arg]


@pytest.mark.parametrize("base", [OptimizerSpec, CallbackConfig])
def test_the_base_of_a_group_cannot_be_made(base: type) -> None:
    with pytest.raises(ConfigError, match="is the base of a group's options; use one of them"):
        base()


def test_copies_are_equal_and_apart() -> None:
    made = Outer(named={"a": Inner(rate=0.25)}, sizes=(7,))
    for copied in (copy.deepcopy(made), pickle.loads(pickle.dumps(made))):
        assert copied == made
        copied.inner.rate = 0.125
        assert made.inner.rate == 0.5
        with pytest.raises(ConfigError):
            copied.low = 0


def test_replacing_a_field_is_checked_too() -> None:
    assert dataclasses.replace(Outer(), low=4) == Outer(low=4)
    with pytest.raises(ConfigError):
        dataclasses.replace(Outer(), low=0)


def test_defaults_are_not_shared() -> None:
    first, second = Outer(), Outer()
    first.inner.rate = 0.125

    assert second.inner.rate == 0.5


def test_schemas_are_told_from_other_classes() -> None:
    assert is_schema(AdamWSpec)
    assert not is_schema(dict)
    assert not is_schema(AdamWSpec())
    assert list(field_types(Inner)) == ["rate"]


def test_the_error_survives_pickling() -> None:
    with pytest.raises(ConfigError) as caught:
        Outer(low=0)

    assert pickle.loads(pickle.dumps(caught.value)).problems == caught.value.problems


def test_the_defaults_of_every_schema_are_right() -> None:
    """They are taken as they are, so that a part nobody has changed costs nothing to check."""
    import_task_configs()
    for named in options.values():
        assert named
    found = 0
    for cls in {path: cls for path, cls in schemas.items() if path.startswith("app.")}.values():
        fields: dict[str, Any] = {field.name: field for field in dataclasses.fields(cls)}
        defaults = dict(known_defaults(cls))
        if is_abstract(cls) or fields.keys() != defaults.keys():
            continue
        _validator(cls).validate_python(ArgsKwargs((), defaults), self_instance=object.__new__(cls))
        found += 1
    assert found > 120


def test_a_value_that_only_python_takes_for_the_default_is_refused() -> None:
    with pytest.raises(ConfigError):
        Outer(low=True)
    with pytest.raises(ConfigError):
        Outer(choice=1.0)  # type: ignore[arg-type]  # the point
    assert Outer(low=1, inner=Inner()) == Outer()
