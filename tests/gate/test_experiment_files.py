"""Experiment files that are not what they should be are refused at their line and column, before Hydra sees them."""

import os
from pathlib import Path

import pytest

from app.compose import compose, load_config
from app.schemas.problems import ConfigError, Problem
from tests.gate.conftest import Write

FILE = "digits/experiments/x.yaml"
WHOLE = "experiment=digits/x"

REFUSED: dict[str, tuple[str | bytes, str, str]] = {
    "nothing": ("", WHOLE, ":1:1"),
    "only a comment": ("# nothing\n", WHOLE, ":1:1"),
    "a scalar": ("3\n", WHOLE, ":1:1"),
    "a list": ("\n- a\n", WHOLE, ":2:1"),
    "a tab": ("trainer:\n\tmax_epochs: 3\n", WHOLE, ":2:1"),
    "bad indentation": ("trainer:\n  max_epochs: 1\n   min_epochs: 1\n", WHOLE, ":3:14"),
    "an open quote": ("trainer: {max_time: 'x}\n", WHOLE, ":2:1"),
    "a duplicate key": ("trainer:\n  max_epochs: 1\n  max_epochs: 2\n", "trainer.max_epochs", ":3:3"),
    "several documents": ("trainer: {}\n---\ntrainer: {}\n", WHOLE, ":3:1"),
    "a tag": ("trainer: !!python/object/apply:os.system [ls]\n", "trainer", ":1:10"),
    "an anchor": ("trainer: &t {max_epochs: 3}\n", "trainer", ":1:10"),
    "an alias": ("trainer: *t\n", "trainer", ":1:10"),
    "a merge key": ("trainer:\n  <<: {max_epochs: 3}\n", "trainer[<<]", ":2:3"),
    "anchors that explode": (
        "a: &a [x, x]\n" + "".join(f"b{n}: &b{n} [*a, *a]\n" for n in range(40)), "a", ":1:4",
    ),
    "a thousand levels of lists": ("a: " + "[" * 1000 + "]" * 1000, "a[0][0]", ":1:23"),
    "a thousand levels of keys": ("{" * 1000, WHOLE, ":1:21"),
    "a key that is no text": ("? [a]\n: 1\n", "[the list ['a']]", ":1:3"),
    "not UTF-8": (b"trainer: \xff\n", WHOLE, ""),
    "a control character": (b"trainer: \x07\n", WHOLE, ""),
    "another package": ("# a comment\n# @package trainer\nmax_epochs: 3\n", WHOLE, ":2:1"),
    "Hydra's settings": ("trainer: {}\nhydra: {run: {dir: x}}\n", "hydra", ":2:1"),
    "a class to call": ("trainer:\n  _target_: os.system\n", "trainer._target_", ":2:3"),
    "an unknown group": ("defaults:\n  - override /optimzer_spec: adam\n", "defaults[0]", ":2:5"),
    "an unknown option": ("defaults:\n  - override /optimizer_spec: adm\n", "defaults[0]", ":2:5"),
    "an unknown base": ("defaults:\n  - other\n", "defaults[0]", ":2:5"),
    "itself as base": ("defaults: [x]\n", "defaults[0]", ":1:12"),
    "a misspelt override": ("defaults:\n  - overide /task: x\n", "defaults[0]", ":2:5"),
    "override without slash": ("defaults:\n  - override optimizer_spec: adam\n", "defaults[0]", ":2:5"),
    "a choice without override": ("defaults:\n  - optimizer_spec: adam\n", "defaults[0]", ":2:5"),
    "a group of Hydra's": ("defaults:\n  - override /hydra/launcher: basic\n", "defaults[0]", ":2:5"),
    "a choice that is a text": ("defaults: ['override /task: digits']\n", "defaults[0]", ":1:12"),
    "a group chosen twice": (
        "defaults: [override /optimizer_spec: adam, override /optimizer_spec: sgd]\n", "defaults[1]", ":1:44",
    ),
    "_self_ first": ("defaults:\n  - _self_\n  - override /optimizer_spec: sgd\n", "defaults[0]", ":2:5"),
    "defaults that are no list": ("defaults: base\n", "defaults", ":1:11"),
    "null for an option": ("defaults: [override /optimizer_spec: null]\n", "defaults[0]", ":1:12"),
    "an experiment inside": ("experiment: digits/y\n", "experiment", ":1:1"),
    "null for a part": ("optimizer_spec:\n", "optimizer_spec", ":1:1"),
    "a scalar for a part": ("seed_params: {}\ntrainer: 3\n", "trainer", ":2:1"),
    "a list for a part": ("callbacks: [checkpoint]\n", "callbacks", ":1:1"),
    "a text for a part": ("task: digits\n", "task", ":1:1"),
    "a callback not chosen": ("callbacks:\n  early_stopping: {patience: 3}\n", "callbacks.early_stopping", ":2:3"),
    "a boolean by another name": ("trainer:\n  deterministic: yes\n", "trainer.deterministic", ":2:18"),
    "an octal number": ("trainer:\n  max_epochs: 010\n", "trainer.max_epochs", ":2:15"),
    "a number in base 60": ("trainer:\n  max_time: 1:30\n", "trainer.max_time", ":2:13"),
    "a number in base 16": ("trainer:\n  max_epochs: 0x10\n", "trainer.max_epochs", ":2:15"),
    "a surprise in a list": ("optimizer_spec:\n  betas: [0.5, 0_9]\n", "optimizer_spec.betas[1]", ":2:16"),
    "a surprise as key": ("optimizer_spec:\n  params: {on: {}}\n", "optimizer_spec.params", ":2:12"),
    "a boolean for a number": ("trainer:\n  max_epochs: true\n", "trainer.max_epochs", ":2:3"),
    "a number for a boolean": ("optimizer_spec:\n  amsgrad: 1\n", "optimizer_spec.amsgrad", ":2:3"),
    "a boolean in a literal": ("task:\n  input_shape: [true, 8, 8]\n", "task.input_shape[0]", ":2:17"),
    "interpolation to nothing": ("trainer: {max_epochs: '${nope}'}\n", "trainer.max_epochs", ":1:11"),
    "interpolation in a circle": (
        "trainer: {max_epochs: '${.max_steps}', max_steps: '${.max_epochs}'}\n", "trainer.max_steps", ":1:40",
    ),
    "interpolation of what it is in": ("trainer: {max_epochs: '${trainer}'}\n", "trainer.max_epochs", ":1:11"),
    "another resolver": ("trainer: {max_epochs: '${oc.create:[1]}'}\n", "trainer.max_epochs", ":1:11"),
}  # fmt: skip


def problems_of(*overrides: str) -> tuple[Problem, ...]:
    with pytest.raises(ConfigError) as caught:
        load_config(overrides)
    return caught.value.problems


@pytest.mark.parametrize("what", REFUSED)
def test_it_is_refused_at_its_place_and_nothing_else_is(experiment: Write, what: str) -> None:
    content, path, place = REFUSED[what]
    problems = problems_of(experiment(content))

    assert (problems[0].path, problems[0].source) == (path, f"{FILE}{place}")
    assert len(problems) <= 2, "one fault must not be reported as many"


def test_a_file_that_is_too_large_is_not_read(experiment: Write, folder: Path) -> None:
    chosen = experiment("trainer: {}")
    with (folder / "x.yaml").open("r+b") as file:
        file.truncate(50_000_000)

    (problem,) = problems_of(chosen)
    assert problem.message == "has 50,000,000 bytes; an experiment has at most 100,000"


def test_links_are_not_followed(folder: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside.yaml"
    outside.write_text("trainer: {max_epochs: 3}")
    (folder / "x.yaml").symlink_to(outside)

    (problem,) = problems_of("experiment=digits/x")
    assert problem.message == "is a link; an experiment is a plain file in its task's folder"


@pytest.mark.parametrize("name", ["../../x", "digits/../../x", "/etc/passwd", "digits/sub/x", "digits/.hidden"])
def test_only_files_in_the_folder_have_names(experiment: Write, folder: Path, name: str) -> None:
    experiment("trainer: {}")
    (folder / "sub").mkdir()
    for other in (folder / "sub" / "x.yaml", folder / ".hidden.yaml", folder.parent.parent / "x.yaml"):
        other.write_text("trainer: {}")

    (problem,) = problems_of(f"experiment={name}")
    assert problem.path == "experiment"
    assert problem.message.startswith(f"no experiment '{name}'")


def test_what_is_no_plain_file_is_no_experiment(folder: Path) -> None:
    os.mkfifo(folder / "x.yaml")
    (folder / "y.yaml").mkdir()

    (problem,) = problems_of("experiment=digits/x")
    assert problem.message == "no experiment 'digits/x'; there is none yet"


@pytest.mark.parametrize(
    "content",
    [
        b"trainer:\n  max_epochs: 3\n",
        b"\xef\xbb\xbftrainer:\r\n  max_epochs: 3\r\n",
        b'"trainer": {"max_epochs": 3}',
        b"# @package _global_\n--- # comment\ntrainer: # comment\n  max_epochs: 3\n...\n",
        b"? trainer\n: ? max_epochs\n  : 3\n",
        b"{trainer: {max_epochs: 3}}",
        b"trainer:\n      max_epochs:\n        3",
    ],
)
def test_unusual_but_right_yaml_is_read(experiment: Write, content: bytes) -> None:
    assert load_config([experiment(content)]) == load_config(["trainer.max_epochs=3"])


def test_one_broken_file_does_not_stop_the_others(experiment: Write) -> None:
    experiment("{{{", "broken")

    assert load_config([experiment("trainer: {max_epochs: 3}")]).trainer.max_epochs == 3
    assert load_config().trainer.max_epochs != 3


def test_an_experiment_builds_on_others_in_order(experiment: Write) -> None:
    experiment("trainer: {max_epochs: 2, min_epochs: 1}\ndefaults: [override /optimizer_spec: sgd]", "base")
    experiment("defaults: [base]\ntrainer: {max_epochs: 3}", "left")
    experiment("defaults: [base, override /optimizer_spec: adam]\noptimizer_spec: {lr: 0.5}", "right")

    config = load_config([experiment("defaults: [left, right, _self_]\nseed_params: {seed: 5}")])

    assert (config.trainer.max_epochs, config.trainer.min_epochs) == (3, 1)
    assert type(config.optimizer_spec).__name__ == "AdamSpec"
    assert (config.optimizer_spec.lr, config.seed_params.seed) == (0.5, 5)


def test_a_base_is_blamed_for_what_it_sets(experiment: Write) -> None:
    experiment("trainer: {max_epochs: many}", "base")

    (problem,) = problems_of(experiment("defaults: [base]"))
    assert problem.source == "digits/experiments/base.yaml:1:11"


def test_bases_in_a_circle_are_named(experiment: Write) -> None:
    experiment("defaults: [x]", "y")

    (problem,) = problems_of(experiment("defaults:\n  - y"))
    assert str(problem) == (
        "defaults: builds on itself: digits/x → digits/y → digits/x   digits/experiments/y.yaml:1:12"
    )


def test_what_is_typed_goes_over_what_is_written(experiment: Write) -> None:
    chosen = experiment("defaults: [override /optimizer_spec: sgd]\ntrainer: {max_epochs: 3, min_epochs: 2}")
    composed = compose(["trainer.max_epochs=4", chosen, "optimizer_spec=adam"])

    assert composed.config == load_config(["trainer.max_epochs=4", "trainer.min_epochs=2", "optimizer_spec=adam"])
    assert composed.sources.of(("trainer", "max_epochs")) == "trainer.max_epochs=4"
    assert composed.sources.of(("trainer", "min_epochs")) == f"{FILE}:2:26"
    assert composed.sources.of(("optimizer_spec", "lr")) == "optimizer_spec=adam"
    assert composed.sources.of(("seed_params", "seed")) is None


def test_a_value_for_an_option_that_was_replaced_is_refused_where_it_is_written(experiment: Write) -> None:
    chosen = experiment("defaults: [override /optimizer_spec: sgd]\noptimizer_spec: {momentum: 0.9}")

    (problem,) = problems_of(chosen, "optimizer_spec=adam")
    assert (problem.path, problem.source) == ("optimizer_spec.momentum", f"{FILE}:2:18")


def test_a_part_that_a_scalar_was_written_over_is_not_lost_behind_what_is_typed_inside_it(experiment: Write) -> None:
    parts = {"trainer": "max_epochs", "seed_params": "seed", "optimizer_spec": "lr"}
    for part, field in parts.items():
        problems = problems_of(experiment(f"{part}: 3"), f"{part}.{field}=1")
        assert f"{FILE}:1:1" in {problem.source for problem in problems}


def test_two_experiments_are_refused(experiment: Write) -> None:
    first, second = experiment("trainer: {}"), experiment("trainer: {}", "y")

    (problem,) = problems_of(first, second)
    assert problem.message.startswith("is given twice, first as digits/x")
    load_config([first, first])
