"""Every option is found by group and name, and stands in Hydra's store as its schema."""

import pytest
from hydra.core.config_store import ConfigStore
from omegaconf import OmegaConf

from app.composing.with_hydra import register_all
from app.schemas.annotations import field_types
from app.schemas.config_store import node
from app.schemas.optimizers import AdamWSpec, OptimizerSpec
from app.schemas.registry import group_of, groups, has_own_id, option_at, option_of, options, register
from app.schemas.schema import import_path, is_abstract, is_schema
from app.schemas.trainer import TrainerConfig


@pytest.fixture(autouse=True)
def _prepared() -> None:
    register_all()


def test_every_option_is_a_schema_of_its_group() -> None:
    assert sum(map(len, options.values())) > 60
    for group, named in options.items():
        for name, option in named.items():
            assert is_schema(option.schema)
            assert issubclass(option.schema, groups[group].base)
            assert not is_abstract(option.schema)
            assert (option.group, option.name) == (groups[group], name)


def test_hydra_finds_every_option_where_it_is_chosen() -> None:
    for group, named in options.items():
        for name, option in named.items():
            stored = ConfigStore.instance().load(f"{group}/{name}.yaml")
            mount = groups[group].mount
            assert stored.package == (f"{mount}.{name}" if groups[group].several else mount)
            assert stored.node["_target_"] == import_path(option.schema)
            assert set(stored.node) == {"_target_", *field_types(option.schema)}


def test_a_node_names_schemas_only_and_never_a_live_class() -> None:
    def targets(tree: object) -> list[str]:
        if isinstance(tree, dict):
            own = [tree["_target_"]] if "_target_" in tree else []
            return own + [found for item in tree.values() for found in targets(item)]
        return [found for item in tree for found in targets(item)] if isinstance(tree, list) else []

    for named in options.values():
        for option in named.values():
            found = targets(OmegaConf.to_container(node(option.schema, **option.preset), resolve=False))
            assert found
            assert all(option_at(target) is not None for target in found)


def test_options_of_one_schema_have_one_target() -> None:
    """A config is an object of the schema, and leads to the live class by that alone."""
    with pytest.raises(AssertionError) as refused:
        register("optimizer_spec", "another", target="torch.optim.SGD")(AdamWSpec)
    assert str(refused.value) == (
        "optimizer_spec=another has the schema of optimizer_spec=adamw, but another target, and a config of it could"
        " not say which; give it one of its own: class <Name>(AdamWSpec)"
    )
    assert "another" not in options["optimizer_spec"]


def test_options_are_found_by_object_and_by_path() -> None:
    assert option_of(AdamWSpec()) is options["optimizer_spec"]["adamw"]
    assert option_at(import_path(AdamWSpec)) is options["optimizer_spec"]["adamw"]
    assert option_at("os.system") is None
    assert option_at(["unhashable"]) is None
    assert group_of(OptimizerSpec) is groups["optimizer_spec"]
    assert group_of(AdamWSpec) is None


def test_an_id_is_a_field_of_the_schemas_that_have_one() -> None:
    assert has_own_id(options["logger"]["wandb"].schema)
    assert not has_own_id(AdamWSpec)


def test_presets_change_defaults_for_one_option_alone() -> None:
    assert node(TrainerConfig, max_epochs=7)["max_epochs"] == 7
    assert node(TrainerConfig)["max_epochs"] == TrainerConfig().max_epochs


def test_an_option_is_registered_once_and_for_its_own_group() -> None:
    with pytest.raises(AssertionError, match="optimizer_spec=adamw is registered twice"):
        register("optimizer_spec", "adamw", target="torch.optim.AdamW")(AdamWSpec)
    with pytest.raises(AssertionError, match="AdamWSpec must derive from SchedulerSpec"):
        register("scheduler_spec", "new", target="torch.optim.AdamW")(AdamWSpec)
