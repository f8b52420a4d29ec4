"""The tree that chosen options make is the one that Hydra makes of them."""

import json
import random
from typing import Any

import pytest
from omegaconf import OmegaConf

from app.choices import check_choice
from app.composing.assembly import assembled
from app.composing.with_hydra import composed_by_hydra
from app.schemas.config_store import node
from app.schemas.problems import ConfigError
from app.schemas.registry import groups, options
from app.schemas.run import DEFAULT_OPTIONS
from app.tasks import import_task_configs

import_task_configs()

Choices = dict[str, object]
SEVERAL = [name for name in DEFAULT_OPTIONS if groups[name].several]


def by_hydra(chosen: Choices) -> dict[str, Any]:
    tree: Any = OmegaConf.to_container(composed_by_hydra(chosen), resolve=False)
    del tree["hydra"]
    return dict(tree)


def at_the_root(tree: dict[str, Any]) -> dict[str, Any]:
    """The tree less the module's own losses, which Hydra's defaults list does not know of."""
    return {**tree, "joint_loss": {**tree["joint_loss"], "losses": {}}}


def written(tree: object) -> str:
    """A text that tells true from 1 and 1 from 1.0; the order of a part's fields does not matter."""
    return json.dumps(tree, sort_keys=True)


def random_choices(seed: int) -> Choices:
    draw = random.Random(seed)
    chosen: Choices = {}
    for name in draw.sample([*DEFAULT_OPTIONS], draw.randint(1, len(DEFAULT_OPTIONS))):
        names = list(options[name])
        if groups[name].several:
            chosen[name] = draw.sample(names, draw.randint(0, min(5, len(names))))
        else:
            chosen[name] = draw.choice([*names, *([None] if check_choice(name, None) is None else [])])
    return chosen


@pytest.mark.parametrize("seed", range(40))
def test_any_choices_make_the_tree_that_hydra_makes(seed: int) -> None:
    chosen = random_choices(seed)
    ours, hydras = at_the_root(assembled(chosen)), by_hydra(chosen)
    assert written(ours) == written(hydras)
    assert list(ours) == list(hydras)
    assert [list(ours[name]) for name in SEVERAL] == [list(hydras[name]) for name in SEVERAL]


@pytest.mark.parametrize("group", groups)
def test_every_option_starts_as_hydra_zen_makes_it(group: str) -> None:
    for option in options[group].values():
        made = OmegaConf.to_container(node(option.schema, **option.preset), resolve=False)
        assert written(option.tree) == written(made), option.name


def test_the_losses_are_the_modules_own_until_some_are_chosen() -> None:
    assert list(assembled({})["joint_loss"]["losses"]) == ["cross_entropy"]
    assert list(assembled({"loss": ["mse", "l1"]})["joint_loss"]["losses"]) == ["mse", "l1"]
    assert assembled({"loss": None})["joint_loss"]["losses"] == {}


def test_a_part_of_a_part_takes_the_place_of_the_one_before() -> None:
    tree = assembled({"module": "parts", "backbone": "conv"})
    assert tree["module"]["model_config"]["backbone"] == options["backbone"]["conv"].tree


def test_what_is_made_may_be_changed() -> None:
    before = assembled({})
    before["optimizer_spec"]["lr"] = 9
    before["callbacks"].clear()
    before["seed_params"]["seed"] = 9
    assert assembled({})["optimizer_spec"]["lr"] != 9
    assert assembled({})["callbacks"]
    assert assembled({})["seed_params"]["seed"] != 9


def test_a_task_without_a_default_module_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(options["task"], "nowhere", options["task"]["digits"])
    with pytest.raises(ConfigError, match="module: no option 'nowhere/default', which is chosen by default; options: "):
        assembled({"task": "nowhere"})
