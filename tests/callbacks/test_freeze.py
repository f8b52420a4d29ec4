"""Parts that are frozen in some epochs do not move in them, and do in the others."""

import itertools
import logging
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from torch import Tensor, nn

from app.callbacks.freeze import Freeze
from app.schemas.callbacks import FrozenEpochs
from app.schemas.optimization import NamedOptimizerSpec
from app.schemas.optimizers import SGDSpec
from app.schemas.problems import ConfigError
from tests.tasks.shared.test_manual_optimization import TwoParts, fit, pytestmark, same

__all__ = ["pytestmark"]

MOVING = SGDSpec(lr=0.1, momentum=0.9, weight_decay=0.1)


class Epochs(Callback):
    """The state at the start of each epoch, and at the end of the last."""

    def __init__(self) -> None:
        self.states: list[dict[str, Tensor]] = []

    def on_train_epoch_start(self, *arguments: Any) -> None:
        self.states.append({name: value.clone() for name, value in arguments[1].state_dict().items()})

    def on_train_end(self, *arguments: Any) -> None:
        self.on_train_epoch_start(*arguments)

    def moved(self, part: str) -> list[bool]:
        """Whether a part changed in each epoch."""
        own = [{name: value for name, value in state.items() if name.startswith(part)} for state in self.states]
        return [not same(before, after) for before, after in itertools.pairwise(own)]


def epochs_of(freeze: Freeze, module: TwoParts, folder: Path, **settings: Any) -> Epochs:
    epochs = Epochs()
    fit(module, folder, freeze, epochs, **settings)
    return epochs


@pytest.mark.parametrize("manual", [True, False])
def test_a_part_is_frozen_in_its_epochs_alone(manual: bool, tmp_path: Path) -> None:
    freeze = Freeze({".body": FrozenEpochs(until=2), "head.bias": FrozenEpochs(first=3)})
    epochs = epochs_of(freeze, TwoParts(MOVING, manual=manual), tmp_path, max_epochs=4)
    assert epochs.moved("model.body") == [False, False, True, True]
    assert epochs.moved("model.head.weight") == [True] * 4
    assert epochs.moved("model.head.bias") == [True, True, True, False]


@pytest.mark.parametrize("manual", [True, False])
def test_running_statistics_are_kept_with_the_weights_unless_they_shall_follow_the_data(
    manual: bool, tmp_path: Path
) -> None:
    parts = {".body": FrozenEpochs(until=1)}
    kept = epochs_of(Freeze(parts), TwoParts(MOVING, manual=manual), tmp_path)
    following = epochs_of(Freeze(parts, norm_statistics=False), TwoParts(MOVING, manual=manual), tmp_path)
    assert kept.moved("model.body.1.running_mean") == [False, True, True]
    assert following.moved("model.body.1.running_mean") == [True, True, True]
    assert following.moved("model.body.1.weight") == [False, True, True]


def test_a_further_optimizers_part_can_be_frozen(tmp_path: Path) -> None:
    for losses in (None, ("right",)):
        head = NamedOptimizerSpec(parameters=(".head",), optimizer_spec=MOVING, losses=losses)
        module = TwoParts(MOVING, None, {"head": head}, accumulate_grad_batches=3)
        epochs = epochs_of(Freeze({".head": FrozenEpochs(first=1, until=2)}), module, tmp_path)
        assert epochs.moved("model.head") == [True, False, True]
        assert epochs.moved("model.body") == [True, True, True]


def test_a_resumed_run_goes_on_with_the_same_parts_frozen(tmp_path: Path) -> None:
    parts = {".body": FrozenEpochs(first=1, until=3)}
    whole = epochs_of(Freeze(parts), TwoParts(MOVING), tmp_path, max_epochs=4)
    trainer = fit(TwoParts(MOVING), tmp_path, Freeze(parts), max_epochs=2)
    trainer.save_checkpoint(tmp_path / "half.ckpt")
    module, rest = TwoParts(MOVING), Epochs()
    resumed = Trainer(
        max_epochs=4,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[Freeze(parts), rest],
    )
    resumed.fit(module, ckpt_path=tmp_path / "half.ckpt", weights_only=True)
    assert rest.moved("model.body") == [False, True]
    assert whole.moved("model.body") == [True, False, False, True]


def test_what_is_frozen_throughout_is_left_out_of_a_filtered_optimizer(tmp_path: Path) -> None:
    spec = SGDSpec(lr=0.1, filter_requires_grad=True)
    trainer = fit(TwoParts(spec), tmp_path, Freeze({".body": FrozenEpochs()}))
    (group,) = trainer.optimizers[0].param_groups
    assert group["param_names"] == ["head.weight", "head.bias"]


def problems_of(freeze: Freeze, module: TwoParts, folder: Path) -> list[tuple[str, str]]:
    with pytest.raises(ConfigError) as caught:
        fit(module, folder, freeze)
    return [(problem.path, problem.message) for problem in caught.value.problems]


def test_every_path_that_names_nothing_is_refused(tmp_path: Path) -> None:
    freeze = Freeze({".bdoy": FrozenEpochs(until=1), ".body.2": FrozenEpochs(until=1)})
    assert problems_of(freeze, TwoParts(MOVING), tmp_path) == [
        ("callbacks.freeze.parts[.bdoy]", "names no submodule or parameter of ModuleDict; did you mean '.body'?"),
        ("callbacks.freeze.parts[.body.2]", "names a Tanh, which has no parameters"),
    ]


def test_an_epoch_without_anything_to_train_is_refused(tmp_path: Path) -> None:
    freeze = Freeze({".body": FrozenEpochs(first=1), ".head": FrozenEpochs(until=2)})
    found = "leaves nothing to train in epoch 1: all of ModuleDict is frozen"
    assert problems_of(freeze, TwoParts(MOVING), tmp_path) == [("callbacks.freeze.parts", found)]
    in_turns = Freeze({".body": FrozenEpochs(first=1), ".head": FrozenEpochs(until=1)})
    assert epochs_of(in_turns, TwoParts(MOVING), tmp_path).moved("model.head") == [False, True, True]


def test_a_part_that_no_optimizer_could_train_later_is_refused(tmp_path: Path) -> None:
    module = TwoParts(SGDSpec(lr=0.1, filter_requires_grad=True))
    body = module.model["body"]
    assert isinstance(body, nn.Module)
    body.requires_grad_(False)
    ((path, message),) = problems_of(Freeze({".body": FrozenEpochs(until=1)}), module, tmp_path)
    assert path == "callbacks.freeze.parts[.body]"
    assert message == (
        "shall be trained at times, but no optimizer has 'body.0.weight', 'body.0.bias', 'body.1.weight' and 1 more;"
        " set filter_requires_grad of its optimizer to false"
    )


def test_freezing_nothing_is_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "app.callbacks.freeze"):
        fit(TwoParts(MOVING), tmp_path, Freeze(), max_epochs=1)
    assert caplog.messages == ["callbacks.freeze.parts is empty: nothing is frozen"]


def test_momentum_stands_still_while_a_part_is_frozen(tmp_path: Path) -> None:
    momenta: list[Tensor] = []

    class Momenta(Callback):
        def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
            state = trainer.optimizers[0].state[pl_module.get_parameter("model.head.weight")]
            momenta.append(state["momentum_buffer"].clone())

    fit(TwoParts(MOVING), tmp_path, Freeze({".head": FrozenEpochs(first=1, until=2)}), Momenta())
    assert [torch.equal(*pair) for pair in itertools.pairwise(momenta)] == [True, False]
