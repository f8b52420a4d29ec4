"""What all remarks have in common: they speak of fields that are there, and say nothing of defaults but that."""

from typing import Any

import pytest

from app.compose import load_config
from app.schemas.codes import Code
from app.schemas.problems import Path
from app.schemas.registry import options
from app.schemas.rules import remarks
from tests.choosing import UNINSTALLED, choosing

OPTIONS = [(group, name) for group, named in options.items() for name in named if name not in UNINSTALLED]


def value_at(config: Any, path: Path) -> object:
    """What stands at a path; fails when nothing does."""
    for part in path:
        entry = isinstance(config, dict) or isinstance(part, int)
        config = config[part] if entry else getattr(config, str(part))
    return config


@pytest.mark.parametrize(("group", "name"), OPTIONS)
def test_of_an_option_as_it_is_nothing_is_said_but_which_of_its_fields_have_no_effect(group: str, name: str) -> None:
    config = load_config(choosing(group, name))
    found = list(remarks(config))
    assert {fault.code for fault in found} == {Code.UNUSED}
    for fault in found:
        value_at(config, fault.path)
