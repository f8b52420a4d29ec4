import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import fsspec  # type: ignore[import-untyped]  # it ships no types
import pytest
import torch
from torch import Tensor, nn

from app.checkpoints.merging import MergeError, load_into, merge
from app.checkpoints.opening import CheckpointError
from app.checkpoints.weights import load_weights
from app.schemas.checkpoint import LoadCheckpointConfig
from app.schemas.problems import ConfigError
from tests.checkpoints.lightning_parts import Net, trained

BASE = {f"{part}.linear.{key}": 1 for part, keys in (("backbone", "12"), ("head", "123")) for key in keys}
HEAD = {"linear.1": 3, "linear.2": 5, "linear.3": 7}


class Part(nn.Module):
    def __init__(self, keys: str) -> None:
        super().__init__()
        self.linear = nn.ParameterDict({key: nn.Parameter(torch.tensor(0.0)) for key in keys})


class Model(nn.Module):
    """The model of the requirement: five weights, all of them 0."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = Part("12")
        self.head = Part("123")


def values(model: nn.Module) -> list[int]:
    return [int(value) for value in model.state_dict().values()]


def tensors(weights: Mapping[str, float]) -> dict[str, Tensor]:
    return {name: torch.tensor(float(value)) for name, value in weights.items()}


def prefixed(prefix: str, weights: Mapping[str, float]) -> dict[str, float]:
    return {prefix + name: value for name, value in weights.items()}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    torch.save(tensors(BASE), "base.ckpt")
    torch.save(tensors(HEAD), "head2.ckpt")
    torch.save(tensors({"linear.2": 10}), "head3.ckpt")
    return tmp_path


def loaded(load: LoadCheckpointConfig) -> list[int]:
    model = Model()
    load_into(model, load)
    return values(model)


def test_the_model_has_the_names_of_the_requirement() -> None:
    assert list(Model().state_dict()) == list(BASE)
    assert values(Model()) == [0, 0, 0, 0, 0]


# The five examples of the requirement, in its order.


def test_a_part_comes_from_its_own_file_and_the_rest_from_the_base() -> None:
    load = LoadCheckpointConfig(base_ckpt_path="base.ckpt", overridden_name2ckpt_path={"head": "head2.ckpt"})
    assert loaded(load) == [1, 1, 3, 5, 7]


@pytest.mark.parametrize("order", [("head", "head.linear.2"), ("head.linear.2", "head")])
def test_a_deeper_name_goes_before_the_ones_around_it(order: tuple[str, str]) -> None:
    files = {"head": "head2.ckpt", "head.linear.2": "head3.ckpt"}
    load = LoadCheckpointConfig(
        base_ckpt_path="base.ckpt", overridden_name2ckpt_path={name: files[name] for name in order}
    )
    assert loaded(load) == [1, 1, 3, 10, 7]


def test_an_excluded_name_keeps_its_initial_value() -> None:
    load = LoadCheckpointConfig(
        base_ckpt_path="base.ckpt",
        overridden_name2ckpt_path={"head": "head2.ckpt", "head.linear.2": "head3.ckpt"},
        exclude_keys=("head.linear.3",),
        strict=False,
    )
    assert loaded(load) == [1, 1, 3, 10, 0]


def test_a_part_s_file_may_hold_absolute_names() -> None:
    torch.save(tensors(prefixed("head.", HEAD)), "head2.ckpt")
    torch.save(tensors({"head.linear.2": 10}), "head3.ckpt")
    base, head2, head3 = "base.ckpt", {"head": "head2.ckpt"}, {"head.linear.2": "head3.ckpt"}
    assert loaded(LoadCheckpointConfig(base_ckpt_path=base, overridden_name2ckpt_path=head2)) == [1, 1, 3, 5, 7]
    both = LoadCheckpointConfig(base_ckpt_path=base, overridden_name2ckpt_path=head2 | head3)
    assert loaded(both) == [1, 1, 3, 10, 7]
    without = LoadCheckpointConfig(
        base_ckpt_path=base, overridden_name2ckpt_path=head2 | head3, exclude_keys=("head.linear.3",), strict=False
    )
    assert loaded(without) == [1, 1, 3, 10, 0]


@pytest.mark.parametrize(
    ("load", "says"),
    [
        ({"base_ckpt_path": None}, "no file has backbone.linear.1, backbone.linear.2"),
        ({"base_ckpt_path": "more.ckpt"}, "more.ckpt has more than the model: head.linear.4"),
        ({"base_ckpt_path": "shape.ckpt"}, "backbone.linear.1 has the shape (), in shape.ckpt (2)"),
    ],
)
def test_strict_refuses_every_mismatch_and_changes_nothing(load: dict[str, Any], says: str) -> None:
    torch.save(tensors(BASE | {"head.linear.4": 1}), "more.ckpt")
    torch.save(tensors(BASE) | {"backbone.linear.1": torch.ones(2)}, "shape.ckpt")
    config = {"base_ckpt_path": "base.ckpt", "overridden_name2ckpt_path": {"head": "head2.ckpt"}}
    model = Model()
    with pytest.raises(MergeError) as caught:
        load_into(model, LoadCheckpointConfig(**(config | load)))
    assert says in str(caught.value)
    assert values(model) == [0, 0, 0, 0, 0]


# What else must hold.


def test_what_an_address_logs_in_with_is_nowhere_in_the_result() -> None:
    address = "memory://user:hunter2@host/more.ckpt"
    with fsspec.open(address, "wb") as file:
        torch.save(tensors(BASE | {"head.linear.4": 1}), file)
    merged = merge(Model(), LoadCheckpointConfig(base_ckpt_path=address))
    shown = [merged.summary(), *merged.faults(), *merged.unexpected, *(str(entry.file) for entry in merged.entries)]
    assert "memory://********@host/more.ckpt" in shown
    assert "hunter2" not in str(shown)


def test_names_are_compared_by_whole_words() -> None:
    class Wide(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = nn.ParameterDict({key: nn.Parameter(torch.tensor(0.0)) for key in ("3", "30")})

    torch.save(tensors({"head.3": 1, "head.30": 2}), "wide.ckpt")
    torch.save(tensors({"head.3": 8, "head.30": 9}), "other.ckpt")
    model = Wide()
    load_into(model, LoadCheckpointConfig(base_ckpt_path="wide.ckpt", exclude_keys=("head.3",), strict=False))
    assert values(model) == [0, 2]
    load_into(
        model,
        LoadCheckpointConfig(base_ckpt_path="wide.ckpt", overridden_name2ckpt_path={"head.3": "other.ckpt"}),
    )
    assert values(model) == [8, 2]


@pytest.mark.parametrize(
    "content",
    [
        torch.tensor(10.0),
        {"2": torch.tensor(10.0)},
        {"linear.2": torch.tensor(10.0)},
        {"head.linear.2": torch.tensor(10.0)},
        {"head.linear.2": torch.tensor(10.0), "backbone.linear.1": torch.tensor(99.0)},
        {"state_dict": {"model.head.linear.2": torch.tensor(10.0), "train_metrics.count": torch.tensor(4)}},
    ],
)
def test_a_single_weight_can_come_from_a_file_that_calls_it_anything_sensible(content: object) -> None:
    torch.save(content, "leaf.ckpt")
    load = LoadCheckpointConfig(
        base_ckpt_path="base.ckpt", overridden_name2ckpt_path={"head": "head2.ckpt", ".head.linear.2": "leaf.ckpt"}
    )
    assert loaded(load) == [1, 1, 3, 10, 7]


@pytest.mark.parametrize("wrapper", ["", "model.", "module.", "_orig_mod.", "module.model.", "model._orig_mod."])
@pytest.mark.parametrize("nested", [False, True])
def test_wrappers_around_a_whole_model_are_seen_through(wrapper: str, nested: bool) -> None:
    weights = tensors(prefixed(wrapper, BASE))
    torch.save({"state_dict": weights, "epoch": 3} if nested else weights, "wrapped.ckpt")
    assert loaded(LoadCheckpointConfig(base_ckpt_path="wrapped.ckpt")) == [1, 1, 1, 1, 1]


def test_a_part_that_is_called_like_a_wrapper_is_not_taken_for_one() -> None:
    outer = nn.ModuleDict({"model": Part("12"), "module": Part("1")})
    torch.save(tensors({"model.linear.1": 1, "model.linear.2": 2, "module.linear.1": 3}), "outer.ckpt")
    load_into(outer, LoadCheckpointConfig(base_ckpt_path="outer.ckpt"))
    assert values(outer) == [1, 2, 3]


def test_names_that_can_be_read_in_two_ways_are_refused() -> None:
    outer = nn.ModuleDict({"model": Part("1"), "linear": nn.ParameterDict({"1": nn.Parameter(torch.tensor(0.0))})})
    torch.save(tensors({"model.linear.1": 1}), "either.ckpt")
    with pytest.raises(CheckpointError, match=r"can be read in several ways: .*renamed_prefixes"):
        merge(outer, LoadCheckpointConfig(base_ckpt_path="either.ckpt", strict=False))
    for said, expected in (("model", [1, 0]), ("", [0, 1])):
        load = LoadCheckpointConfig(base_ckpt_path="either.ckpt", strict=False, renamed_prefixes={"model": said})
        load_into(outer, load)
        assert values(outer) == expected
        for value in outer.parameters():
            value.data.zero_()


def test_a_whole_model_s_file_can_give_one_part() -> None:
    torch.save(tensors(dict.fromkeys(BASE, 4)), "other.ckpt")
    load = LoadCheckpointConfig(base_ckpt_path="base.ckpt", overridden_name2ckpt_path={"head": "other.ckpt"})
    assert loaded(load) == [1, 1, 4, 4, 4]


def test_a_wrong_shape_is_refused_even_without_strict_as_torch_does() -> None:
    torch.save(tensors(BASE) | {"head.linear.1": torch.ones(2)}, "shape.ckpt")
    load = LoadCheckpointConfig(base_ckpt_path="shape.ckpt", strict=False)
    with pytest.raises(MergeError, match=r"head\.linear\.1 has the shape \(\), in shape\.ckpt \(2\)"):
        load_into(Model(), load)
    with pytest.raises(RuntimeError, match="size mismatch"):
        Model().load_state_dict(torch.load("shape.ckpt"), strict=False)
    excluded = LoadCheckpointConfig(base_ckpt_path="shape.ckpt", strict=False, exclude_keys=("head.linear.1",))
    assert loaded(excluded) == [1, 1, 0, 1, 1]


def test_without_strict_what_no_file_has_keeps_its_initial_value() -> None:
    load = LoadCheckpointConfig(overridden_name2ckpt_path={"head": "head2.ckpt"}, strict=False)
    assert loaded(load) == [0, 0, 3, 5, 7]


def test_a_file_of_which_nothing_is_the_model_s_is_refused_even_without_strict() -> None:
    torch.save(tensors({"encoder.weight": 1}), "foreign.ckpt")
    with pytest.raises(MergeError, match=r"nothing in foreign\.ckpt is called as in the model"):
        load_into(Model(), LoadCheckpointConfig(base_ckpt_path="foreign.ckpt", strict=False))


def test_prefixes_can_be_renamed_and_dropped() -> None:
    weights = {name.replace("backbone", "net.encoder").replace("head", "net.top"): 2 for name in BASE}
    torch.save(tensors(weights), "renamed.ckpt")
    load = LoadCheckpointConfig(
        base_ckpt_path="renamed.ckpt", renamed_prefixes={"net": "", "net.encoder": "backbone", "net.top": "head"}
    )
    assert loaded(load) == [2, 2, 2, 2, 2]


def test_prefixes_are_renamed_within_a_wrapper_and_beside_metrics() -> None:
    weights = {f"model.{name.replace('backbone', 'encoder')}": 2 for name in BASE} | {"train_metrics.count": 9}
    torch.save({"state_dict": tensors(weights)}, "lightning.ckpt")
    (suggestion,) = merge(Model(), LoadCheckpointConfig(base_ckpt_path="lightning.ckpt")).suggestions
    assert suggestion.endswith("""'load_checkpoint.renamed_prefixes.encoder="backbone"'""")
    load = LoadCheckpointConfig(base_ckpt_path="lightning.ckpt", renamed_prefixes={"encoder": "backbone"})
    assert loaded(load) == [2, 2, 2, 2, 2]


@pytest.mark.parametrize(
    ("weights", "typed"),
    [
        (prefixed("net.", BASE), """'load_checkpoint.renamed_prefixes.net=""'"""),
        (prefixed("my.net.", BASE), """'load_checkpoint.renamed_prefixes={my.net: ""}'"""),
        (prefixed("classifier.", HEAD), """'load_checkpoint.renamed_prefixes.classifier="head"'"""),
        (HEAD, """'load_checkpoint.overridden_name2ckpt_path.head="other.ckpt"'"""),
    ],
)
def test_one_change_of_prefix_that_would_help_is_suggested_as_one_types_it(
    weights: dict[str, float], typed: str
) -> None:
    torch.save(tensors(weights), "other.ckpt")
    merged = merge(Model(), LoadCheckpointConfig(base_ckpt_path="other.ckpt"))
    assert not merged.loads
    assert [suggestion.endswith(typed) for suggestion in merged.suggestions] == [True]


def test_nothing_is_suggested_for_what_fits_nowhere() -> None:
    torch.save({"net.weight": torch.ones(3, 3)}, "other.ckpt")
    assert merge(Model(), LoadCheckpointConfig(base_ckpt_path="other.ckpt")).suggestions == ()


@pytest.mark.parametrize(
    ("load", "path", "message"),
    [
        (
            {"overridden_name2ckpt_path": {"haed": "head2.ckpt"}},
            "load_checkpoint.overridden_name2ckpt_path.haed",
            "the model has no 'haed'; did you mean 'head'?",
        ),
        (
            {"exclude_keys": ("head.linaer.3",)},
            "load_checkpoint.exclude_keys[0]",
            "neither the model nor a file has 'head.linaer.3'; did you mean 'head.linear.3'?",
        ),
        (
            {"renamed_prefixes": {"bakcbone": "head"}},
            "load_checkpoint.renamed_prefixes.bakcbone",
            "no name in the files begins with 'bakcbone'; did you mean 'backbone'?",
        ),
    ],
)
def test_a_name_that_nothing_bears_is_a_problem_of_the_config(load: dict[str, Any], path: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        merge(Model(), LoadCheckpointConfig(base_ckpt_path="base.ckpt", strict=False, **load))
    assert [(problem.path, problem.message) for problem in caught.value.problems] == [(path, message)]


def test_the_log_says_in_one_line_what_came_from_where(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    loaded(LoadCheckpointConfig(base_ckpt_path="base.ckpt", overridden_name2ckpt_path={"head": "head2.ckpt"}))
    assert caplog.messages == ["load_checkpoint puts in 5 of 5 weights: 2 from base.ckpt, 3 from head2.ckpt"]


def test_the_weights_of_a_lightning_checkpoint_reach_the_model_bit_by_bit(folder: Path) -> None:
    net, file = trained(folder)
    fresh = Net()
    assert not torch.equal(fresh.model.weight, net.model.weight)
    load_into(fresh.model, LoadCheckpointConfig(base_ckpt_path=str(file)))
    assert torch.equal(fresh.model.weight, net.model.weight)
    assert torch.equal(fresh.model.bias, net.model.bias)


def test_a_module_takes_all_of_its_own_checkpoint(folder: Path) -> None:
    net, file = trained(folder)
    fresh = Net()
    load_weights(fresh, str(file))
    assert all(torch.equal(fresh.state_dict()[name], value) for name, value in net.state_dict().items())
    with pytest.raises(CheckpointError, match=r"another model than Net: 'model\.weight' and 'model\.bias' differ"):
        load_weights(Net(width=7), str(file))


def test_tied_weights_and_buffers_are_loaded() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2), nn.Linear(2, 2))
    model[2].weight = model[0].weight
    torch.save({name: value + 1 for name, value in model.state_dict().items()}, "tied.ckpt")
    expected = torch.load("tied.ckpt")
    load_into(model, LoadCheckpointConfig(base_ckpt_path="tied.ckpt"))
    assert all(torch.equal(model.state_dict()[name], value) for name, value in expected.items())


def test_a_parameter_that_is_not_made_yet_takes_any_shape() -> None:
    torch.save(nn.Linear(3, 2).state_dict(), "linear.ckpt")
    lazy = nn.LazyLinear(2)
    load_into(lazy, LoadCheckpointConfig(base_ckpt_path="linear.ckpt"))
    assert lazy.weight.shape == (2, 3)


@pytest.mark.parametrize("content", [{}, [], {"epoch": 1}, {"state_dict": {}}, "text", {"state_dict": {"a": 1}}])
def test_a_file_without_weights_is_an_error_that_names_it(content: object) -> None:
    torch.save(content, "empty.ckpt")
    with pytest.raises(CheckpointError, match=r"^empty\.ckpt: (holds no weights|expected weights)"):
        merge(Model(), LoadCheckpointConfig(base_ckpt_path="empty.ckpt"))
