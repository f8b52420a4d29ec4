"""Optimization by the module itself: bit for bit Lightning's for one optimizer, and kept apart for several."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback, EMAWeightAveraging
from lightning.pytorch.plugins import MixedPrecision
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, Subset, TensorDataset

from app.builders.optimizers import build_optimizers
from app.schemas.optimization import NamedOptimizerSpec
from app.schemas.optimizers import AdamWSpec, OptimizerSpec, SGDSpec
from app.schemas.problems import ConfigError
from app.schemas.schedulers import (
    CosineAnnealingLRSpec,
    OneCycleLRSpec,
    ReduceLROnPlateauSpec,
    SchedulerSpec,
    StepLRSpec,
)
from app.tasks.shared.manual_optimization import ManualOptimization

pytestmark = [
    # Lightning asks torch in a way that torch has deprecated.
    pytest.mark.filterwarnings("ignore:`isinstance.treespec, LeafSpec.` is deprecated:FutureWarning"),
    # Workers would cost more than these few points.
    pytest.mark.filterwarnings("ignore:The '.*_dataloader' does not have many workers"),
]

BATCHES = 7


class TwoParts(LightningModule):
    """A body and a head, with a loss of both and one of the body, trained by Lightning or by hand."""

    dropout = 0.2

    def __init__(
        self,
        optimizer_spec: OptimizerSpec,
        scheduler_spec: SchedulerSpec | None = None,
        optimizers: Mapping[str, NamedOptimizerSpec] | None = None,
        *,
        manual: bool = True,
        **settings: Any,
    ) -> None:
        super().__init__()
        torch.manual_seed(0)
        body = nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Dropout(self.dropout))
        self.model = nn.ModuleDict({"body": body, "head": nn.Linear(8, 2)})
        self.specs = (optimizer_spec, scheduler_spec, optimizers or {})
        self.automatic_optimization = not manual
        self.by_hand = ManualOptimization(scheduler_spec, optimizers or {}, **settings) if manual else None

    def training_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
        loss, terms = self.losses(batch)
        if self.by_hand is None:
            return loss
        return self.by_hand.step(self, loss, terms, batch_idx)

    def losses(self, batch: list[Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        features = self.model["body"](batch[0])
        terms = {
            "right": functional.cross_entropy(self.model["head"](features), batch[1]),
            "small": 0.1 * features.square().mean(),
        }
        return terms["right"] + terms["small"], terms

    def validation_step(self, batch: list[Tensor]) -> None:
        self.log("val/loss", self.losses(batch)[0])

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        if self.by_hand is not None:
            self.by_hand.clip(self, optimizer)

    def on_train_epoch_end(self) -> None:
        if self.by_hand is not None:
            self.by_hand.end_epoch(self)

    def on_fit_end(self) -> None:
        if self.by_hand is not None:
            self.by_hand.finish(self.trainer)

    def configure_optimizers(self) -> Any:
        if self.by_hand is not None:
            self.by_hand.start(self.trainer)
        return build_optimizers(
            *self.specs,
            self.model,
            run_steps=lambda: self.trainer.estimated_stepping_batches,
            manual=not self.automatic_optimization,
        )

    def train_dataloader(self) -> DataLoader[Any]:
        return DataLoader(self.points(), batch_size=4)

    def val_dataloader(self) -> DataLoader[Any]:
        return DataLoader(self.points(), batch_size=14)

    def points(self) -> TensorDataset:
        inputs = torch.randn(4 * BATCHES, 3, generator=torch.Generator().manual_seed(1))
        return TensorDataset(inputs, (inputs.sum(dim=1) > 0).long())


class WithoutDropout(TwoParts):
    """Draws no random numbers in a step, so that the data loaders' draws do not matter."""

    dropout = 0.0


class History(Callback):
    """Writes down what happened, by name and step."""

    def __init__(self) -> None:
        self.rates: list[tuple[int, int, list[float]]] = []
        self.hooks: list[str] = []
        self.losses: list[float] = []
        self.norms: list[float] = []

    @property
    def everything(self) -> tuple[list[Any], ...]:
        return self.rates, self.hooks, self.losses, self.norms

    def on_train_batch_start(self, trainer: Trainer, *_: Any) -> None:
        rates = [group["lr"] for optimizer in trainer.optimizers for group in optimizer.param_groups]
        logged_at = trainer.fit_loop.epoch_loop._batches_that_stepped
        self.rates.append((trainer.global_step, logged_at, rates))
        self.hooks.append("batch")

    def on_train_batch_end(self, *arguments: Any) -> None:
        outputs = arguments[2]
        self.losses.append(float(outputs["loss"]))

    def on_before_zero_grad(self, *_: Any) -> None:
        self.hooks.append("zero_grad")

    def on_before_backward(self, *_: Any) -> None:
        self.hooks.append("backward")

    def on_after_backward(self, *_: Any) -> None:
        self.hooks.append("after_backward")

    def on_before_optimizer_step(self, *arguments: Any) -> None:
        pl_module = arguments[1]
        self.hooks.append("step")
        gradients = [parameter.grad for parameter in pl_module.parameters() if parameter.grad is not None]
        self.norms.append(float(torch.nn.utils.get_total_norm(gradients)))


def fit(module: TwoParts, folder: Path, *callbacks: Callback, **settings: Any) -> Trainer:
    usual: dict[str, Any] = {"max_epochs": 3, "accelerator": "cpu", "logger": False, "enable_checkpointing": False}
    trainer = Trainer(
        **usual | settings,
        callbacks=list(callbacks),
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=folder,
    )
    torch.manual_seed(2)
    trainer.fit(module)
    return trainer


def same(one: Any, other: Any) -> bool:
    """Whether two states are equal to the last bit."""
    if isinstance(one, Tensor):
        return one.dtype == other.dtype and torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


OPTIMIZERS = {"sgd": SGDSpec(lr=0.3, momentum=0.9, nesterov=True), "adamw": AdamWSpec(lr=0.02)}
SCHEDULERS: dict[str, SchedulerSpec | None] = {
    "none": None,
    "step": CosineAnnealingLRSpec(T_max=20, interval="step"),
    "every_second_step": StepLRSpec(step_size=2, gamma=0.7, interval="step", frequency=2),
    "cycle": OneCycleLRSpec(max_lr=0.5),
    "epoch": StepLRSpec(step_size=1, gamma=0.5),
    "every_second_epoch": StepLRSpec(step_size=1, gamma=0.5, frequency=2),
    "plateau": ReduceLROnPlateauSpec(monitor="val/loss", patience=0, threshold=0.5),
}
CLIPS: dict[str, dict[str, Any]] = {
    "whole": {},
    "norm": {"gradient_clip_val": 0.05},
    "value": {"gradient_clip_val": 0.01, "gradient_clip_algorithm": "value"},
}
CASES = [
    *((accumulate, clip, precision, "step", "sgd") for accumulate in (1, 3) for clip in CLIPS for precision in
      ("32-true", "bf16-mixed", "64-true")),
    *((accumulate, "norm", "32-true", scheduler, optimizer) for accumulate in (1, 3) for scheduler in SCHEDULERS
      for optimizer in OPTIMIZERS),
]  # fmt: skip


@pytest.mark.parametrize(("accumulate", "clip", "precision", "scheduler", "optimizer"), CASES)
def test_one_optimizer_is_stepped_exactly_as_lightning_does(
    accumulate: int, clip: str, precision: str, scheduler: str, optimizer: str, tmp_path: Path
) -> None:
    limits = {"accumulate_grad_batches": accumulate, **CLIPS[clip]}
    specs = OPTIMIZERS[optimizer], SCHEDULERS[scheduler]
    expected, found = History(), History()
    theirs = TwoParts(*specs, manual=False)
    ours = TwoParts(*specs, **limits)

    their_trainer = fit(theirs, tmp_path, expected, precision=precision, **limits)
    our_trainer = fit(ours, tmp_path, found, precision=precision)

    assert same(ours.state_dict(), theirs.state_dict())
    assert same(our_trainer.optimizers[0].state_dict(), their_trainer.optimizers[0].state_dict())
    assert same(
        *([each.scheduler.state_dict() for each in one.lr_scheduler_configs] for one in (our_trainer, their_trainer))
    )
    assert our_trainer.global_step == their_trainer.global_step == 3 * -(-BATCHES // accumulate)
    assert found.everything == expected.everything
    assert not same(ours.state_dict(), TwoParts(*specs).state_dict()), "it has learned something"
    if scheduler != "none":
        assert len({rates[0] for *_, rates in found.rates}) > 1, "the rate has changed"


def test_sixteen_bits_are_scaled_exactly_as_lightning_does(tmp_path: Path) -> None:
    """A first scale far too large makes the first steps be left out; it grows again later."""
    limits: dict[str, Any] = {"accumulate_grad_batches": 2, "gradient_clip_val": 0.05}
    theirs, ours = TwoParts(OPTIMIZERS["sgd"], manual=False), TwoParts(OPTIMIZERS["sgd"], **limits)
    scales = []
    for module, settings in ((theirs, limits), (ours, {})):
        scaler = torch.amp.GradScaler("cpu", init_scale=2.0**20, growth_interval=3)
        fit(module, tmp_path, plugins=[MixedPrecision("16-mixed", "cpu", scaler)], **settings)
        scales.append(scaler.state_dict())
    assert same(*scales)
    assert scales[0]["scale"] != 2.0**20
    assert same(ours.state_dict(), theirs.state_dict())


def test_gradients_of_an_unfinished_window_outlive_a_validation(tmp_path: Path) -> None:
    theirs = TwoParts(OPTIMIZERS["sgd"], manual=False)
    ours = TwoParts(OPTIMIZERS["sgd"], accumulate_grad_batches=3)
    fit(theirs, tmp_path, accumulate_grad_batches=3, val_check_interval=2)
    trainer = fit(ours, tmp_path, val_check_interval=2)
    assert same(ours.state_dict(), theirs.state_dict())
    assert trainer.accumulate_grad_batches == 1, "the trainer takes another fit"


def test_the_steps_of_the_main_optimizer_end_the_run(tmp_path: Path) -> None:
    for accumulate in (1, 3):
        theirs = TwoParts(OPTIMIZERS["sgd"], SCHEDULERS["step"], manual=False)
        ours = TwoParts(OPTIMIZERS["sgd"], SCHEDULERS["step"], accumulate_grad_batches=accumulate)
        fit(theirs, tmp_path, accumulate_grad_batches=accumulate, max_steps=5)
        assert fit(ours, tmp_path, max_steps=5).global_step == 5
        assert same(ours.state_dict(), theirs.state_dict())


def test_weights_are_averaged_after_the_same_steps(tmp_path: Path) -> None:
    theirs, ours = TwoParts(OPTIMIZERS["sgd"], manual=False), TwoParts(OPTIMIZERS["sgd"], accumulate_grad_batches=2)
    fit(theirs, tmp_path, EMAWeightAveraging(decay=0.9), accumulate_grad_batches=2)
    fit(ours, tmp_path, EMAWeightAveraging(decay=0.9))
    plain = TwoParts(OPTIMIZERS["sgd"], accumulate_grad_batches=2)
    fit(plain, tmp_path)
    assert same(ours.state_dict(), theirs.state_dict())
    assert not same(ours.state_dict(), plain.state_dict())


HEAD = NamedOptimizerSpec(parameters=(".head",), optimizer_spec=AdamWSpec(lr=0.01))
"""Trains the head, with the losses of all."""


def by_hand(module: TwoParts, epochs: int, accumulate: int, losses: Mapping[str, tuple[str, ...]], every: int) -> None:
    """The same training written out: SGD for the body, AdamW for the head at every n-th step."""
    body = torch.optim.SGD(module.model["body"].parameters(), lr=0.3, momentum=0.9)
    head = torch.optim.AdamW(module.model["head"].parameters(), lr=0.01)
    steps = 0
    for _ in range(epochs):
        for place, batch in enumerate(module.train_dataloader()):
            if place % accumulate == 0:
                body.zero_grad()
                head.zero_grad()
            _, terms = module.losses(batch)
            for part, tags in losses.items():
                own = list(module.model[part].parameters())
                total = terms[tags[0]] if len(tags) == 1 else terms[tags[0]] + terms[tags[1]]
                gradients = torch.autograd.grad(total / accumulate, own, retain_graph=True, allow_unused=True)
                for parameter, gradient in zip(own, gradients, strict=True):
                    if gradient is not None:
                        parameter.grad = gradient if parameter.grad is None else parameter.grad + gradient
            if (place + 1) % accumulate == 0 or place + 1 == BATCHES:
                steps += 1
                body.step()
                if steps % every == 0:
                    head.step()


@pytest.mark.parametrize("accumulate", [1, 3])
@pytest.mark.parametrize("every", [1, 2])
@pytest.mark.parametrize("claimed", [None, ("right",)])
def test_two_optimizers_train_as_if_written_out(
    accumulate: int, every: int, claimed: tuple[str, ...] | None, tmp_path: Path
) -> None:
    head = NamedOptimizerSpec(
        parameters=(".head",), optimizer_spec=AdamWSpec(lr=0.01), losses=claimed, every_n_steps=every
    )
    module, reference = (
        WithoutDropout(SGDSpec(lr=0.3, momentum=0.9), None, {"head": head}, accumulate_grad_batches=accumulate)
        for _ in range(2)
    )
    trainer = fit(module, tmp_path)
    both = ("right", "small")
    losses = {"body": ("small",), "head": claimed} if claimed else {"body": both, "head": both}
    by_hand(reference, 3, accumulate, losses, every)

    assert trainer.global_step == 3 * -(-BATCHES // accumulate)
    for name, value in module.state_dict().items():
        torch.testing.assert_close(value, reference.state_dict()[name], rtol=0, atol=0, msg=name)


def test_a_loss_of_one_optimizer_leaves_no_trace_in_the_parameters_of_another(tmp_path: Path) -> None:
    body = NamedOptimizerSpec(parameters=(".body",), optimizer_spec=SGDSpec(lr=0.1), losses=("small",))

    class Gradients(Callback):
        seen: dict[str, Tensor]

        def on_train_batch_end(self, *arguments: Any) -> None:
            pl_module = arguments[1]
            self.seen = {name: each.grad for name, each in pl_module.named_parameters() if each.grad is not None}

    module = TwoParts(SGDSpec(lr=0.1), None, {"body": body})
    seen = Gradients()
    fit(module, tmp_path, seen, max_steps=1)
    reference = TwoParts(SGDSpec(lr=0.1))
    torch.manual_seed(2)
    _, terms = reference.losses(next(iter(reference.train_dataloader())))
    of_body = torch.autograd.grad(terms["small"], reference.get_parameter("model.body.0.weight"), retain_graph=True)[0]
    of_head = torch.autograd.grad(terms["right"], reference.get_parameter("model.head.weight"))[0]
    assert torch.equal(seen.seen["model.body.0.weight"], of_body)
    assert torch.equal(seen.seen["model.head.weight"], of_head)


def test_each_optimizer_is_clipped_on_its_own(tmp_path: Path) -> None:
    norms: list[float] = []

    class Norms(Callback):
        def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
            for optimizer in trainer.optimizers:
                gradients = [each.grad for group in optimizer.param_groups for each in group["params"]]
                norms.append(float(torch.nn.utils.get_total_norm(gradients)))

    fit(TwoParts(SGDSpec(lr=0.1), None, {"head": HEAD}, gradient_clip_val=1e-3), tmp_path, Norms())
    assert len(norms) == 2 * 3 * BATCHES
    assert norms == pytest.approx([1e-3] * len(norms), rel=1e-3)


def test_each_optimizer_has_its_own_schedule(tmp_path: Path) -> None:
    body = NamedOptimizerSpec(
        parameters=(".body.0",),
        optimizer_spec=SGDSpec(lr=1.0),
        scheduler_spec=StepLRSpec(step_size=1, gamma=0.5, interval="step"),
        every_n_steps=3,
    )
    head = NamedOptimizerSpec(
        parameters=(".head",),
        optimizer_spec=SGDSpec(lr=1.0),
        scheduler_spec=ReduceLROnPlateauSpec(monitor="val/loss", patience=0, threshold=10.0),
    )
    history = History()
    module = TwoParts(
        SGDSpec(lr=1.0), StepLRSpec(step_size=1, gamma=0.1), {"head": head, "body": body}, accumulate_grad_batches=2
    )
    fit(module, tmp_path, history)
    main, of_head, of_body = zip(*(rates for *_, rates in history.rates), strict=True)
    assert main == pytest.approx([1.0] * BATCHES + [0.1] * BATCHES + [0.01] * BATCHES)
    assert of_head == pytest.approx([1.0] * BATCHES + [0.1] * BATCHES + [0.01] * BATCHES)
    steps = [step for step, *_ in history.rates]
    assert steps[-1] == 11
    assert of_body == pytest.approx([0.5 ** (step // 3) for step in steps])


def test_a_missing_metric_is_an_error_unless_the_scheduler_may_wait(tmp_path: Path) -> None:
    plateau = ReduceLROnPlateauSpec(monitor="val/loss_of_head")
    with pytest.raises(ConfigError) as caught:
        fit(TwoParts(SGDSpec(lr=0.1), plateau), tmp_path)
    assert str(caught.value) == (
        "scheduler_spec.monitor: 'val/loss_of_head' has not been logged when the epoch ended; logged: val/loss"
    )
    head = NamedOptimizerSpec(
        parameters=(".head",),
        optimizer_spec=SGDSpec(lr=0.1),
        scheduler_spec=ReduceLROnPlateauSpec(monitor="val/loss_of_head", strict=False),
    )
    waits = "optimizers.head.scheduler_spec waits: 'val/loss_of_head' has not been logged"
    with pytest.warns(RuntimeWarning, match=waits):
        fit(TwoParts(SGDSpec(lr=0.1), None, {"head": head}), tmp_path)


def test_every_optimizer_is_unscaled_by_the_scale_of_its_gradients(tmp_path: Path) -> None:
    """A scale that grows at every step, by a power of two, changes nothing."""
    head = NamedOptimizerSpec(parameters=(".head",), optimizer_spec=SGDSpec(lr=0.1), losses=("right",))
    weights = []
    for interval in (1, 1000):
        module = TwoParts(SGDSpec(lr=0.1), None, {"head": head}, gradient_clip_val=0.5)
        scaler = torch.amp.GradScaler("cpu", init_scale=16.0, growth_interval=interval)
        fit(module, tmp_path, plugins=[MixedPrecision("16-mixed", "cpu", scaler)], max_epochs=1)
        assert scaler.get_scale() == (16.0 * 2**BATCHES if interval == 1 else 16.0)
        weights.append(module.state_dict())
    for name, value in weights[0].items():
        torch.testing.assert_close(value, weights[1][name], rtol=1e-3, atol=1e-3, msg=name)


def test_frozen_parameters_are_left_alone(tmp_path: Path) -> None:
    module = TwoParts(SGDSpec(lr=0.1, weight_decay=0.5), None, {"head": HEAD})
    weights = [module.get_parameter("model.head.weight"), module.get_parameter("model.body.0.weight")]
    before = [weight.requires_grad_(False).clone() for weight in weights]
    fit(module, tmp_path)
    assert same(before, weights)


class Spread(WithoutDropout):
    """Two processes read between them the batches that one reads."""

    def __init__(self, *specs: Any, **settings: Any) -> None:
        super().__init__(*specs, **settings)
        self.model["body"] = nn.Sequential(nn.Linear(3, 8), nn.Tanh())

    def train_dataloader(self) -> DataLoader[Any]:
        points, processes = self.points(), self.trainer.world_size
        own = range(self.trainer.global_rank, len(points), processes)
        return DataLoader(Subset(points, own), batch_size=4 // processes)


@pytest.mark.slow
def test_processes_agree_on_the_gradients_of_each_optimizer(tmp_path: Path) -> None:
    weights = []
    for devices, strategy in ((1, "auto"), (2, "ddp_spawn")):
        head = NamedOptimizerSpec(
            parameters=(".head",), optimizer_spec=AdamWSpec(lr=0.01), losses=("right",), every_n_steps=2
        )
        torch.manual_seed(0)
        module = Spread(SGDSpec(lr=0.3, momentum=0.9), None, {"head": head}, accumulate_grad_batches=2)
        limits = {"limit_val_batches": 0, "use_distributed_sampler": False, "max_epochs": 2}
        fit(module, tmp_path, devices=devices, strategy=strategy, **limits)
        weights.append(module.state_dict())
    for name, value in weights[0].items():
        torch.testing.assert_close(value, weights[1][name], rtol=1e-5, atol=1e-6, msg=name)
