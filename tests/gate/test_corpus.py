"""Every field of every option, wrong in every way that applies to it, is refused; what is right passes."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from app.compose import load_config
from app.schemas.problems import ConfigError, Problem
from app.schemas.registry import groups, options
from tests.choosing import UNINSTALLED, choosing
from tests.gate.conftest import Write
from tests.gate.corpus import Wrong, batches, corpus, in_yaml, likeness, misspelt, typed

CORPUS = corpus()


def problems_of(overrides: list[str]) -> tuple[Problem, ...]:
    with pytest.raises(ConfigError) as caught:
        load_config(overrides)
    return caught.value.problems


def found_at(wrong: Wrong, source: str, problems: tuple[Problem, ...]) -> Problem:
    """The problem at the setting's path and with its source."""
    masked = f"{source.partition('=')[0]}=********"  # as a secret is shown
    here = [problem for problem in problems if problem.source in (source, masked)]
    fitting = [problem for problem in here if problem.path == wrong.where or problem.path.startswith(f"{wrong.where}[")]
    inside = [problem for problem in here if problem.path.startswith(f"{wrong.where}.")]
    found = [*fitting, *inside]
    assert found, f"{wrong.kind}: nothing about {wrong.where} from {source}, but {here}"
    return found[0]


def check(wrong: Wrong, problem: Problem) -> None:
    assert problem.message
    assert str(problem).startswith(f"{wrong.where}")
    if wrong.meant is not None:
        word, alike = wrong.path[-1], likeness(wrong.path[-1], wrong.meant)
        near = [name for name in wrong.names if name == wrong.meant or likeness(word, name) >= alike]
        assert any(f"did you mean '{name}'" in problem.message for name in near), problem


def test_the_corpus_is_large_and_of_every_kind() -> None:
    kinds = Counter(wrong.kind for _, wrongs in CORPUS for wrong in wrongs)

    assert kinds.total() > 3000
    assert kinds.keys() >= {
        *("misspelt key", "unknown key with '+'", "unknown key with '++'", "reserved key", "missing", "null", "NaN"),
        *("infinity", "text", "boolean", "too small", "too large", "wrong choice", "list too short", "list too long"),
        *("list for scalar", "scalar for list", "scalar for mapping", "mapping for scalar", "number for boolean"),
        *("fraction for whole number", "interpolation to nothing", "interpolation in a circle"),
    }


@pytest.mark.parametrize("layer", range(len(CORPUS)))
def test_every_wrong_setting_on_the_command_line_is_refused(layer: int) -> None:
    choices, wrongs = CORPUS[layer]
    for batch in batches(wrongs):
        problems = problems_of([*choices, *(wrong.override for wrong in batch)])
        for wrong in batch:
            check(wrong, found_at(wrong, wrong.override, problems))


@pytest.mark.parametrize("layer", range(len(CORPUS)))
def test_every_wrong_setting_in_an_experiment_is_refused(experiment: Write, layer: int) -> None:
    choices, wrongs = CORPUS[layer]
    task = choices[0].removeprefix("task=")
    for batch in batches([wrong for wrong in wrongs if not wrong.prefix]):
        text, places = written([choice.split("=", 1) for choice in choices], batch)
        problems = problems_of([experiment(text, task=task)])
        for wrong in batch:
            check(wrong, found_at(wrong, f"{task}/experiments/x.yaml:{places[wrong.path]}", problems))


def written(choices: list[list[str]], batch: list[Wrong]) -> tuple[str, dict[tuple[str, ...], str]]:
    """An experiment of these settings, and the line and column of each."""
    lines = ["defaults:", *(f"  - override /{group}: {option}" for group, option in choices)]
    places: dict[tuple[str, ...], str] = {}
    open_path: tuple[str, ...] = ()
    for wrong in sorted(batch, key=lambda wrong: wrong.path):
        for depth, part in enumerate(wrong.path):
            if open_path[: depth + 1] != wrong.path[: depth + 1]:
                value = f" {in_yaml(wrong.value)}" if depth == len(wrong.path) - 1 else ""
                lines.append(f"{'  ' * depth}{part}:{value}")
                column = 2 * depth + 1
                if wrong.kind.startswith("element: "):  # the last one in the list, and the place is its own
                    column += len(f"{part}: {in_yaml(wrong.value)}") - len(f"{in_yaml(wrong.value[-1])}]")
                places[wrong.path[: depth + 1]] = f"{len(lines)}:{column}"
        open_path = wrong.path
    return "\n".join(lines) + "\n", places


def test_every_misspelt_option_is_refused_with_the_nearest_one() -> None:
    wrongs = {
        f"{group}={misspelt(name, list(named))}": (group, name) for group, named in options.items() for name in named
    }
    problems = {problem.source: problem for problem in problems_of(list(wrongs))}

    assert len(wrongs) > 60
    for override, (group, name) in wrongs.items():
        assert problems[override].path == group
        word = override.partition("=")[2]
        near = [other for other in options[group] if likeness(word, other) >= likeness(word, name)]
        assert any(f"did you mean '{other}'" in problems[override].message for other in near), problems[override]


def test_every_misspelt_option_in_a_defaults_list_is_refused(experiment: Write) -> None:
    for group, named in options.items():
        for name in list(named)[:3]:
            (problem,) = problems_of([experiment(f"defaults:\n  - override /{group}: {misspelt(name, list(named))}\n")])
            assert (problem.path, problem.source) == ("defaults[0]", "digits/experiments/x.yaml:2:5")
            assert f"no option '{misspelt(name, list(named))}'; did you mean '" in problem.message


def test_every_misspelt_group_is_refused_with_the_nearest_one(experiment: Write) -> None:
    for group in groups:
        wrong = misspelt(group, list(groups))
        (problem,) = problems_of([f"{wrong}=x"])
        assert (problem.path, problem.source) == (wrong, f"{wrong}=x")
        assert f"did you mean '{group}'" in problem.message
        (problem,) = problems_of([experiment(f"defaults:\n  - override /{wrong}: x\n")])
        assert f"did you mean '{group}'" in problem.message


@pytest.mark.parametrize(
    ("group", "name"),
    [(group, name) for group, named in options.items() for name in named if name not in UNINSTALLED],
)
def test_every_option_passes_with_what_it_needs(group: str, name: str) -> None:
    load_config(choosing(group, name))


RIGHT = [
    "trainer: {max_epochs: 1}",
    "trainer: {max_epochs: -1, max_steps: 10}",
    "trainer: {max_time: '00:00:05:00'}",
    "trainer: {devices: 1}",
    "trainer: {devices: 'auto'}",
    "trainer: {deterministic: true}",
    "trainer: {deterministic: 'warn'}",
    "trainer: {precision: 'bf16-mixed'}",
    "trainer: {limit_train_batches: 0.5}",
    "trainer: {limit_train_batches: 3}",
    "trainer: {gradient_clip_val: 1}",
    "trainer: {gradient_clip_val: 0.5, gradient_clip_algorithm: value}",
    "trainer: {min_epochs: 1, max_epochs: 1}",
    "optimizer_spec: {lr: 1}",
    "optimizer_spec: {lr: 5e-5}",
    "optimizer_spec: {lr: 1.0e-08}",
    "optimizer_spec: {betas: [0.0, 0.5]}",
    "optimizer_spec: {betas: [0, 0]}",
    "optimizer_spec: {weight_decay: 0}",
    "optimizer_spec: {amsgrad: true}",
    "optimizer_spec: {foreach: null}",
    "optimizer_spec: {params: {head: {lr: 0.1}}}",
    "optimizer_spec: {params: {head: {lr: 0.1}, body: {lr: 0.2, weight_decay: 0.0}}}",
    "optimizer_spec: {filter_requires_grad: true}",
    "optimizer_spec: {lr: '${optimizer_spec.eps}'}",
    "optimizer_spec: {lr: '${.eps}'}",
    "joint_loss: {losses: {cross_entropy: {label_smoothing: 0.1}}}",
    "joint_loss: {losses: {cross_entropy: {label_smoothing: 0.5, weight: 2}}}",
    "joint_loss: {normalize_weights: false}",
    "metrics: {top3: {id: accuracy, top_k: 3}}",
    "module: {model_config: {channels: [4]}}",
    "module: {model_config: {channels: [4, 8, 16], dropout: 0.0}}",
    "module: {model_config: {channels: ['${datamodule.dataloader.batch_size}']}}",
    "datamodule: {train_val_split: [0.5, 0.5]}",
    "datamodule: {train_fraction: 1}",
    "datamodule: {dataloader: {batch_size: 1}}",
    "datamodule: {dataloader: {num_workers: 2, persistent_workers: true, prefetch_factor: 4}}",
    "datamodule: {augmentations: {random_affine: {max_rotation: 180}, noise: {id: gaussian_noise, deviation: 0.5}}}",
    "datamodule: {split_seed: 4294967295}",
    "callbacks: {checkpoint: {save_top_k: -1}}",
    "callbacks: {checkpoint: {monitor: 'val/accuracy', mode: max}}",
    "task: {monitor: 'val/f1', mode: max}",
    "seed_params: {seed: 0, workers: false}",
    "seed_params: {seed: 7}",
    "run_directory: {root: 'elsewhere'}",
    "run_directory: {root: '${oc.env:HOME}/runs'}",
    "load_checkpoint: {base_ckpt_path: 'some.ckpt'}",
    "checkpoint: null",
]
"""Experiments on one line: of each, the same values are also typed and must give the same config."""


def test_a_hundred_right_configs_are_tried() -> None:
    assert len(RIGHT) + sum(map(len, options.values())) > 100


@pytest.mark.parametrize("text", RIGHT)
def test_right_values_pass_and_mean_the_same_in_yaml_and_when_typed(experiment: Write, text: str) -> None:
    written = load_config([experiment(text)])

    assert load_config(list(overrides_of(yaml.safe_load(text)))) == written


def overrides_of(tree: dict[str, Any], path: tuple[str, ...] = ()) -> Iterator[str]:
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from overrides_of(value, (*path, key))
        else:
            yield f"{'.'.join((*path, key))}={typed(float(value) if value == '5e-5' else value)}"
