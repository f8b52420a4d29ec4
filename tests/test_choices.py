import pytest

from app.choices import check_choice


@pytest.mark.parametrize(("group", "name"), [("callbacks", "early_stopping"), ("logger", "csv")])
def test_an_option_is_chosen_once(group: str, name: str) -> None:
    assert check_choice(group, [name, name]) == f"names '{name}' 2 times; expected each option once"
    assert check_choice(group, [name]) is None
