import pytest

from app.choices import check_choice
from app.tasks import import_task_configs

import_task_configs()


@pytest.mark.parametrize(("group", "name"), [("callbacks", "early_stopping"), ("logger", "csv")])
def test_an_option_is_chosen_once(group: str, name: str) -> None:
    assert check_choice(group, [name, name]) == f"names '{name}' 2 times; expected each option once"
    assert check_choice(group, [name]) is None


@pytest.mark.parametrize(
    ("group", "name", "meant"),
    [
        ("module", "digits/cnm", "did you mean 'digits/cnn'? options for task digits: mlp, parts, digits/cnn"),
        ("module", "cnn", "did you mean 'digits/cnn' or 'mnist/cnn'?"),
        ("datamodule", "default", "did you mean '<task>/default'?"),
        ("datamodule", "pairs", "did you mean 'retrieval/pairs'?"),
        ("table", "wien", "did you mean 'wine'? options: breast_cancer, wine"),
    ],
)
def test_what_was_meant_is_said_of_options_of_tasks_too(group: str, name: str, meant: str) -> None:
    message = check_choice(group, name)
    assert message is not None
    assert message.startswith(f"no option '{name}'; {meant}")
