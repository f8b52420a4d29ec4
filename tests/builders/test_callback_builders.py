import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import (
    EarlyStopping,
    GradientAccumulationScheduler,
    RichProgressBar,
    SpikeDetection,
    StochasticWeightAveraging,
    ThroughputMonitor,
    TQDMProgressBar,
)
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from app.builders.callbacks import build_callbacks
from app.builders.loggers import RunCSVLogger
from app.builders.targets import live_class
from app.builders.trainer import build_trainer
from app.callbacks.checkpoint import RunCheckpoint
from app.schemas.callbacks import (
    CallbackConfig,
    CheckpointConfig,
    ConsoleOptions,
    EarlyStoppingConfig,
    GradientAccumulationConfig,
    ProgressBarConfig,
    ProgressBarTheme,
    SpikeDetectionConfig,
    StochasticWeightAveragingConfig,
    ThroughputConfig,
    TQDMProgressBarConfig,
)
from app.schemas.optimization import NamedOptimizerSpec
from app.schemas.optimizers import SGDSpec
from app.schemas.registry import Option, options
from app.schemas.schedulers import StepLRSpec
from app.schemas.trainer import TrainerConfig
from tests.tasks.shared.test_manual_optimization import TwoParts

SHORT: dict[str, Any] = {"max_epochs": 2, "accelerator": "cpu", "log_every_n_steps": 1}


class Line(LightningModule):
    """Fits a line to four points."""

    flops_per_batch = 8
    """For the throughput monitor, which warns where it is missing."""

    def __init__(self) -> None:
        super().__init__()
        self.model = torch.nn.Linear(1, 1)
        self.lr = 0.01
        self.batch_size = 2

    def training_step(self, batch: list[Tensor]) -> Tensor:
        loss = self._loss(batch)
        self.log("train/loss", loss)
        return loss

    def validation_step(self, batch: list[Tensor]) -> None:
        self.log("val/loss", self._loss(batch))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=self.lr)

    def train_dataloader(self) -> DataLoader[Any]:
        return self._points()

    def val_dataloader(self) -> DataLoader[Any]:
        return self._points()

    def _points(self) -> DataLoader[Any]:
        x = torch.arange(4.0).unsqueeze(1)
        return DataLoader(TensorDataset(x, 2 * x), batch_size=self.batch_size)

    def _loss(self, batch: list[Tensor]) -> Tensor:
        x, y = batch
        return torch.nn.functional.mse_loss(self.model(x), y)


def one(config: CallbackConfig, run_directory: Path) -> Any:
    (callback,) = build_callbacks({"it": config}, run_directory=run_directory)
    return callback


def fit(
    callbacks: Mapping[str, CallbackConfig], run_directory: Path, module: LightningModule | None = None, **trainer: Any
) -> Trainer:
    made = build_trainer(
        TrainerConfig(**SHORT | trainer),
        callbacks=build_callbacks(callbacks, run_directory=run_directory),
        loggers=[RunCSVLogger(run_directory, name="", version="")],
        run_directory=run_directory,
    )
    made.fit(module or Line())
    return made


def config_of(option: Option) -> CallbackConfig:
    preset: dict[str, Any] = dict(option.preset)
    if "monitor" in preset:
        preset |= {"monitor": "val/loss", "mode": "min"}
    if option.name == "device_stats":
        preset["cpu_stats"] = False
    if option.name == "spike_detection":
        preset["rtol"] = 1e9
    return cast(CallbackConfig, option.schema(**preset))


pytestmark = [
    # Lightning asks torch in a way that torch has deprecated.
    pytest.mark.filterwarnings("ignore:`isinstance.treespec, LeafSpec.` is deprecated:FutureWarning"),
    # Workers would cost more than these four points.
    pytest.mark.filterwarnings("ignore:The '.*_dataloader' does not have many workers"),
]


@pytest.mark.parametrize("option", options["callbacks"].values(), ids=options["callbacks"])
def test_every_option_trains(option: Option, tmp_path: Path) -> None:
    config = config_of(option)
    trainer = fit({option.name: config}, tmp_path)
    (callback,) = vars(trainer)["callbacks"]
    assert type(callback) is live_class(config)
    assert trainer.state.finished
    assert trainer.current_epoch == 2 or option.name == "lr_finder"


class TwoOptimizers(TwoParts):
    """Two optimizers, one with a scheduler, and what some callbacks ask a module for."""

    flops_per_batch = 8

    def __init__(self) -> None:
        head = NamedOptimizerSpec(
            parameters=(".head",),
            optimizer_spec=SGDSpec(lr=0.1),
            scheduler_spec=StepLRSpec(step_size=1, gamma=0.5, interval="step"),
            losses=("right",),
        )
        super().__init__(SGDSpec(lr=0.1), None, {"head": head}, accumulate_grad_batches=2)
        self.batch_size = 4


FOR_SEVERAL = {
    name: option
    for name, option in options["callbacks"].items()
    if cast(type[CallbackConfig], option.schema).several_optimizers
}


@pytest.mark.parametrize("option", FOR_SEVERAL.values(), ids=FOR_SEVERAL)
def test_every_option_that_says_so_works_with_several_optimizers(option: Option, tmp_path: Path) -> None:
    trainer = fit({option.name: config_of(option)}, tmp_path, module=TwoOptimizers())
    assert trainer.state.finished
    assert trainer.global_step == 2 * 4 or option.name == "batch_size_finder"


@pytest.mark.parametrize("option", options["callbacks"].values(), ids=options["callbacks"])
def test_building_creates_nothing_on_disk(option: Option, tmp_path: Path) -> None:
    one(config_of(option), tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


def test_callbacks_keep_their_order(tmp_path: Path) -> None:
    configs = {"stop": EarlyStoppingConfig(monitor="a", mode="min"), "checkpoint": CheckpointConfig()}
    built = build_callbacks(configs, run_directory=tmp_path)
    assert [type(callback) for callback in built] == [EarlyStopping, RunCheckpoint]


def test_checkpoints_go_into_the_run_directory(tmp_path: Path) -> None:
    fit({"checkpoint": CheckpointConfig(monitor="val/loss", mode="min")}, tmp_path)
    files = {path.name for path in (tmp_path / "checkpoints").iterdir()}
    assert files == {"epoch_001.ckpt", "epoch_001.ckpt.sha256", "last.ckpt", "last.ckpt.sha256"}


def test_a_metric_with_a_slash_makes_no_folder(tmp_path: Path) -> None:
    config = CheckpointConfig(monitor="val/loss", mode="min", filename="{epoch}-{val/loss:.0f}", save_last=False)
    fit({"checkpoint": config}, tmp_path, max_epochs=1)
    (file,) = (tmp_path / "checkpoints").glob("*.ckpt")
    assert file.name.startswith("0-")
    assert file.suffix == ".ckpt"


def test_a_folder_is_seen_from_the_run_directory(tmp_path: Path) -> None:
    assert one(CheckpointConfig(dirpath="best"), tmp_path).dirpath == str(tmp_path / "best")
    assert one(CheckpointConfig(dirpath="/data/best"), tmp_path).dirpath == "/data/best"
    spikes = one(SpikeDetectionConfig(), tmp_path)
    assert isinstance(spikes, SpikeDetection)
    assert spikes.exclude_batches_path == str(tmp_path / "skip_batches.json")


def test_a_failing_run_leaves_a_checkpoint_behind(tmp_path: Path) -> None:
    class Failing(Line):
        def on_train_epoch_end(self) -> None:
            raise RuntimeError("no more")

    callback = one(CheckpointConfig(save_on_exception=True, filename="failed"), tmp_path)
    trainer = build_trainer(TrainerConfig(accelerator="cpu"), callbacks=[callback], loggers=[], run_directory=tmp_path)
    with pytest.raises(RuntimeError, match="no more"):
        trainer.fit(Failing())
    assert (tmp_path / "checkpoints" / "failed.ckpt").is_file()


def test_texts_become_what_lightning_takes(tmp_path: Path) -> None:
    checkpoint = one(CheckpointConfig(train_time_interval="01:02:03:04"), tmp_path)
    assert checkpoint._train_time_interval.total_seconds() == ((24 + 2) * 60 + 3) * 60 + 4
    swa = one(StochasticWeightAveragingConfig(swa_lrs=(0.1, 0.2)), tmp_path)
    assert isinstance(swa, StochasticWeightAveraging)
    assert swa._swa_lrs == [0.1, 0.2]
    config = GradientAccumulationConfig(scheduling={4: 2})
    assert cast(GradientAccumulationScheduler, one(config, tmp_path)).scheduling == {0: 1, 4: 2}
    assert config.scheduling == {4: 2}
    throughput = one(ThroughputConfig(window_size=5), tmp_path)
    assert isinstance(throughput, ThroughputMonitor)
    assert throughput.batch_size_fn([torch.zeros(7, 3)]) == 7


def test_the_theme_and_the_console_reach_the_progress_bar(tmp_path: Path) -> None:
    config = ProgressBarConfig(
        theme=ProgressBarTheme(metrics_format=".5f"),
        console_kwargs=ConsoleOptions(width=100, force_terminal=True),
        refresh_rate=7,
    )
    bar = one(config, tmp_path)
    assert isinstance(bar, RichProgressBar)
    assert bar.theme.metrics_format == ".5f"
    assert bar._console_kwargs == {"stderr": False, "width": 100, "force_terminal": True}


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("config", "kind"), [(ProgressBarConfig(), RichProgressBar), (TQDMProgressBarConfig(), TQDMProgressBar)]
)
def test_nothing_is_drawn_where_it_could_not_be_drawn_over(
    config: CallbackConfig, kind: type, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("FORCE_COLOR", "TTY_COMPATIBLE", "NO_COLOR"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr("sys.stdout", _Terminal())
    assert one(config, tmp_path).is_enabled
    monkeypatch.setenv("TERM", "dumb")
    assert not one(config, tmp_path).is_enabled
    monkeypatch.setenv("TERM", "xterm")
    output = io.StringIO()
    monkeypatch.setattr("sys.stdout", output)
    assert type(one(config, tmp_path)) is kind
    assert not one(config, tmp_path).is_enabled
    fit({"bar": config}, tmp_path)
    assert output.getvalue() == ""


def test_early_stopping_ends_training(tmp_path: Path) -> None:
    config = EarlyStoppingConfig(monitor="val/loss", mode="min", min_delta=1e9, patience=1)
    assert fit({"stop": config}, tmp_path, max_epochs=50).current_epoch == 2
