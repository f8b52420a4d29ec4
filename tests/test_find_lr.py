"""The search for a learning rate: what it varies, what it writes down, and what it suggests."""

import csv
import itertools
import math
from pathlib import Path

import pytest

from app import load_config
from app.compose import compose
from app.find_lr import PLOT, TABLE, RangeTest, RisingRates, find_lr, range_test
from app.schemas.optimization import NamedOptimizerSpec
from app.schemas.optimizers import AdamWSpec, ParamFactors, ParamGroupSpec, ParamwiseConfig, SGDSpec
from app.schemas.problems import AppError, ConfigError
from app.schemas.schedulers import StepLRSpec
from tests.tasks.shared.test_manual_optimization import BATCHES, History, TwoParts, fit, pytestmark

__all__ = ["pytestmark"]

MLP = ["module=mlp", "trainer.accelerator=cpu", "callbacks=[checkpoint]"]
HEAD = (
    "optimizers={head: {parameters: [.head], optimizer_spec: {id: sgd, lr: 0.05}, scheduler_spec: {id: exponential}}}"
)


def test_it_says_what_to_type_and_leaves_a_table_and_a_plot(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = find_lr(compose([*MLP, "find_lr.steps=40"]), str(tmp_path / "run"))

    assert 1e-5 < found < 1e-1
    with (tmp_path / "run" / TABLE).open() as stream:
        rows = list(csv.DictReader(stream))
    rates = [float(row["lr"]) for row in rows]
    assert rates[0] == 1e-6
    assert [after / before for before, after in itertools.pairwise(rates)] == pytest.approx(
        [1e6 ** (1 / 39)] * (len(rates) - 1)
    )
    losses = [float(row["loss"]) for row in rows]
    assert min(losses) < 0.8 * losses[0]
    assert (tmp_path / "run" / PLOT).read_bytes().startswith(b"\x89PNG")
    record = {"config.yaml", "overrides.yaml", "sources.yaml", "environment.yaml"}
    assert {path.name for path in (tmp_path / "run").iterdir()} == {TABLE, PLOT, *record}
    override = capsys.readouterr().out.split("type\n")[1].splitlines()[0].strip()
    assert load_config([*MLP, override]).optimizer_spec.lr == found


@pytest.mark.parametrize("optimizer", [None, "head"])
def test_one_of_several_optimizers_is_varied(optimizer: str | None, tmp_path: Path) -> None:
    search = ["find_lr.steps=20", f"find_lr.optimizer={optimizer or 'null'}"]
    config = load_config([*MLP, HEAD, *search, "trainer.accumulate_grad_batches=2", "trainer.gradient_clip_val=1"])
    test = range_test(config, tmp_path / "run")
    where = "optimizer_spec.lr" if optimizer is None else "optimizers.head.optimizer_spec.lr"
    assert test.override == where
    assert len(test.rates) == len(test.losses) == 20
    assert not (tmp_path / "run").exists()


def test_rates_of_their_own_and_other_optimizers_are_left_alone(tmp_path: Path) -> None:
    head = NamedOptimizerSpec(parameters=(".head",), optimizer_spec=AdamWSpec(lr=0.01))
    spec = SGDSpec(
        lr=0.1,
        params={".body.0": ParamGroupSpec(lr=0.3)},
        paramwise=ParamwiseConfig(custom={"*.bias": ParamFactors(lr=0.5)}),
    )
    rates = [0.001 * 2**step for step in range(3 * BATCHES)]
    history, rising = History(), RisingRates(spec, 0, "optimizer_spec.lr", rates)
    fit(TwoParts(spec, None, {"head": head}), tmp_path, rising, history, max_epochs=1)
    seen = [each for *_, each in history.rates]
    assert [each[0] for each in seen] == [0.3] * BATCHES
    assert [each[1] for each in seen] == [0.15] * BATCHES, "of the biases in .body.0"
    assert [each[2] for each in seen] == rates[:BATCHES]
    assert [each[3] for each in seen] == pytest.approx([rate / 2 for rate in rates[:BATCHES]])
    assert [each[4] for each in seen] == [0.01] * BATCHES


@pytest.mark.parametrize("manual", [True, False])
def test_an_accumulated_step_has_one_rate_and_the_mean_loss(manual: bool, tmp_path: Path) -> None:
    spec = SGDSpec(lr=1.0)
    limits = {"accumulate_grad_batches": 3}
    rising, history = RisingRates(spec, 0, "optimizer_spec.lr", [1e-9, 2e-9, 3e-9]), History()
    module = TwoParts(spec, manual=False)
    if manual:
        module = TwoParts(spec, accumulate_grad_batches=3)
    fit(module, tmp_path, rising, history, max_epochs=1, **{} if manual else limits)
    assert [rate for *_, (rate,) in history.rates] == [1e-9] * 3 + [2e-9] * 3 + [3e-9]
    whole = [3 * loss for loss in history.losses]
    assert rising.losses == pytest.approx([sum(whole[:3]) / 3, sum(whole[3:6]) / 3, whole[6]])


def test_a_search_that_diverges_ends_early(tmp_path: Path) -> None:
    search = ["find_lr.smallest=1e-3", "find_lr.largest=1e8", "find_lr.steps=60"]
    test = range_test(load_config([*MLP, "optimizer_spec=sgd", *search]), tmp_path)
    assert 5 < len(test.rates) < 60
    assert all(map(math.isfinite, test.losses))
    assert test.suggestion < 10


def test_schedulers_rest(tmp_path: Path) -> None:
    short = [*MLP, "find_lr.steps=10"]
    config = load_config([*short, "scheduler_spec=step", "scheduler_spec.interval=step", "scheduler_spec.step_size=1"])
    assert isinstance(config.scheduler_spec, StepLRSpec)
    plain = range_test(load_config(short), tmp_path)
    assert range_test(config, tmp_path) == plain


@pytest.mark.parametrize(
    ("losses", "message"),
    [
        ((1.0, 1.1, 1.2, 1.3, 1.4, 1.5), "the loss fell at no learning rate between 8e-3 and 3.3e1"),
        ((1.0, 0.9, 0.8), "only 3 steps gave a finite loss, too few to see a slope"),
        ((), "only 0 steps gave a finite loss, too few to see a slope"),
    ],
)
def test_what_cannot_be_found_is_said(losses: tuple[float, ...], message: str) -> None:
    rates = tuple(1e-3 * 8**step for step in range(len(losses)))
    with pytest.raises(AppError, match=message):
        RangeTest(rates=rates, losses=losses, override="optimizer_spec.lr").suggestion  # noqa: B018  # it raises


def test_the_steepest_fall_is_suggested() -> None:
    """Beyond the lowest point nothing counts, however steep."""
    losses = (3.0, 3.0, 3.0, 2.9, 2.0, 1.0, 0.9, 0.9, 0.9, 50.0, 0.0)
    rates = tuple(10.0 ** (place - 6) for place in range(len(losses)))
    test = RangeTest(rates=rates, losses=(*losses[:-1], 60.0), override="optimizer_spec.lr")
    assert test.suggestion in (1e-2, 1e-1)
    assert test.smoothed[0] == pytest.approx(3.0), "without a bias towards zero"


def test_the_noise_of_the_first_steps_is_no_fall() -> None:
    noise = (3.4, 2.0, 2.7, 2.7)
    losses = (*noise, *[2.7] * 8, 2.6, 2.3, 1.9, 1.5, 1.2, 1.1, 1.1, 1.1)
    rates = tuple(10.0 ** (place / 4 - 6) for place in range(len(losses)))

    assert 1e-3 < RangeTest(rates=rates, losses=losses, override="optimizer_spec.lr").suggestion < 1e-1


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("find_lr.largest=1e-7", "find_lr.largest: expected more than smallest=1e-06, found 1e-07"),
        ("find_lr.steps=2", "find_lr.steps: expected a whole number of at least 5, found 2"),
        ("find_lr.optimizer=haed", "find_lr.optimizer: no optimizer 'haed' in optimizers; did you mean 'head'?"),
    ],
)
def test_a_search_that_makes_no_sense_is_refused(override: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config([*MLP, HEAD, override])
    assert str(caught.value) == f"{message}   {override}"


def test_a_rate_that_nothing_follows_is_refused(tmp_path: Path) -> None:
    config = load_config([*MLP, "optimizer_spec.params={.: {lr: 0.1}}"])
    with pytest.raises(
        AppError, match=r"optimizer_spec\.lr has no effect: every part of the model has a learning rate"
    ):
        range_test(config, tmp_path)
