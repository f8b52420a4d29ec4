from typing import Any

import pytest

from app.schemas.checkpoint import LoadCheckpointConfig
from app.schemas.model_paths import is_within
from app.schemas.problems import ConfigError
from app.schemas.validation import check

BASE: dict[str, Any] = {"base_ckpt_path": "a.ckpt"}


def problems(**values: Any) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        check({"strict": False, **values}, LoadCheckpointConfig)
    return [f"{problem.path}: {problem.message}" for problem in caught.value.problems]


def test_what_is_left_out_is_not_strict() -> None:
    assert problems(base_ckpt_path="a.ckpt", exclude_keys=["head"], strict=True) == [
        "strict: true allows nothing to be left out, as exclude_keys does; expected false"
    ]


def test_all_of_it_can_be_written_as_the_requirement_does() -> None:
    config = check(
        {
            "base_ckpt_path": "./task/checkpoint/path.ckpt",
            "overridden_name2ckpt_path": {"head": "./head2.ckpt", "head.linear.2": "./head3.ckpt"},
            "exclude_keys": ["head.linear.3"],
            "strict": False,
        },
        LoadCheckpointConfig,
    )
    assert config.exclude_keys == ("head.linear.3",)
    assert not config.strict
    assert LoadCheckpointConfig(**BASE).strict


def test_a_single_key_is_refused_with_what_would_be_right() -> None:
    expected = "exclude_keys: expected a list, each a text that is not empty, found 'head.linear.3'"
    assert problems(**BASE, exclude_keys="head.linear.3") == [f"{expected}; write it in brackets: [head.linear.3]"]


def test_something_must_be_loaded() -> None:
    expected = ["base_ckpt_path: expected a file, or files for single parts in overridden_name2ckpt_path"]
    assert problems() == problems(exclude_keys=["head"]) == expected
    assert LoadCheckpointConfig(overridden_name2ckpt_path={"head": "a.ckpt"}).base_ckpt_path is None


@pytest.mark.parametrize("name", ["", ".", "head.", "..head", "a..b", " head", "head "])
def test_names_are_paths_in_the_model(name: str) -> None:
    assert len(problems(**BASE, overridden_name2ckpt_path={name: "b.ckpt"})) == 1
    assert len(problems(**BASE, exclude_keys=[name])) == 1
    assert len(problems(**BASE, renamed_prefixes={name: "head"})) == 1


def test_a_prefix_can_be_dropped() -> None:
    assert LoadCheckpointConfig(**BASE, renamed_prefixes={"net": ""}).renamed_prefixes == {"net": ""}


def test_what_would_have_no_effect_is_refused() -> None:
    assert problems(**BASE, exclude_keys=["head", "head.linear"]) == [
        "exclude_keys[1]: 'head.linear' is excluded already, by 'head'"
    ]
    assert problems(**BASE, exclude_keys=["head"], overridden_name2ckpt_path={".head.linear": "b.ckpt"}) == [
        "overridden_name2ckpt_path[.head.linear]: has no effect: exclude_keys leaves out 'head'"
    ]


@pytest.mark.parametrize(
    ("name", "part", "expected"),
    [
        ("head.linear.3", "head.linear.3", True),
        ("head.linear.30", "head.linear.3", False),
        ("head.linear.3", "head", True),
        ("header.linear", "head", False),
        ("head", "head.linear", False),
        ("head.linear", ".head", True),
    ],
)
def test_parts_are_compared_by_whole_words(name: str, part: str, expected: bool) -> None:
    assert is_within(name, part) is expected
