import csv
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning import LightningModule
from lightning.pytorch.loggers import Logger
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from app.builders.loggers import RunMLFlowLogger, RunWandbLogger, build_loggers, close_loggers
from app.builders.targets import live_class
from app.builders.trainer import build_trainer
from app.schemas.loggers import (
    CSVLoggerConfig,
    LoggerConfig,
    MLFlowLoggerConfig,
    TensorBoardLoggerConfig,
    WandbLoggerConfig,
)
from app.schemas.registry import options
from app.schemas.trainer import TrainerConfig

SECRET = "0123456789abcdef0123456789abcdef01234567"
RUN_CONFIG: dict[str, Any] = {
    "_target_": "app.schemas.run.RunConfig",
    "optimizer_spec": {"lr": 0.1, "betas": [0.9, 0.999]},
    "callbacks": {"accumulation": {"scheduling": {0: 1}}},
}

pytestmark = [
    # Lightning asks torch in a way that torch has deprecated.
    pytest.mark.filterwarnings("ignore:`isinstance.treespec, LeafSpec.` is deprecated:FutureWarning"),
    # Workers would cost more than these four points.
    pytest.mark.filterwarnings("ignore:The '.*_dataloader' does not have many workers"),
]


# The protocol buffers of tensorboard use what the protobuf library has deprecated.
_TENSORBOARD = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning:google.*", "ignore::DeprecationWarning:tensorboard.*"
)

# mlflow uses what sqlalchemy, pydantic and others have deprecated.
_MLFLOW = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::ResourceWarning")


class Line(LightningModule):
    """Fits a line to four points: two steps of training, whose loss is the number of the step."""

    def __init__(self, *, fails: bool = False, lr: float = 0.01) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.fails = fails
        self.lr = lr
        self.model = torch.nn.Linear(1, 1)

    def training_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
        self.log("train/loss", float(batch_idx + 1))
        if self.fails and batch_idx == 1:
            raise RuntimeError("no more")
        return self._loss(batch)

    def test_step(self, batch: list[Tensor]) -> None:
        self.log("test/loss", 4.0 + len(batch) / 2)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=self.lr)

    def train_dataloader(self) -> DataLoader[Any]:
        return DataLoader(TensorDataset(torch.arange(4.0).unsqueeze(1), torch.arange(4.0).unsqueeze(1)), batch_size=2)

    def test_dataloader(self) -> DataLoader[Any]:
        return self.train_dataloader()

    def _loss(self, batch: list[Tensor]) -> Tensor:
        return torch.nn.functional.mse_loss(self.model(batch[0]), batch[1])


@pytest.fixture(autouse=True)
def _nothing_of_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No login, no setting and no folder of the person who runs the tests."""
    for name in list(os.environ):
        if name.startswith(("WANDB_", "MLFLOW_")) or name == "NETRC":
            monkeypatch.delenv(name)
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    for name in ("WANDB_CACHE_DIR", "WANDB_DATA_DIR", "WANDB_CONFIG_DIR"):
        monkeypatch.setenv(name, str(home / name))
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    monkeypatch.setenv("WANDB_SILENT", "true")


@pytest.fixture
def run_directory(tmp_path: Path) -> Path:
    path = tmp_path / "runs" / "first"
    path.mkdir(parents=True)
    (path / "config.yaml").write_text("something that is there before\n")
    return path


def one(config: LoggerConfig, run_directory: Path) -> Logger:
    (logger,) = build_loggers({"it": config}, run_directory=run_directory, run_config=RUN_CONFIG)
    return logger


def run(config: LoggerConfig, run_directory: Path, *, fails: bool = False, test: bool = False) -> Logger:
    """A job from beginning to end: build, train, perhaps test, close."""
    logger = one(config, run_directory)
    trainer = build_trainer(
        TrainerConfig(max_epochs=1, accelerator="cpu", log_every_n_steps=1),
        callbacks=[],
        loggers=[logger],
        run_directory=run_directory,
    )
    module = Line(fails=fails)
    try:
        with pytest.raises(RuntimeError, match="no more") if fails else nullcontext():
            trainer.fit(module)
        if test:
            trainer.test(module, verbose=False)
    finally:
        close_loggers([logger], failed=fails)
    return logger


def content(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@_MLFLOW
@pytest.mark.parametrize("name", options["logger"])
def test_every_option_makes_the_logger_it_names(name: str, run_directory: Path) -> None:
    config = options["logger"][name].schema()
    logger = one(config, run_directory)
    assert type(logger) is live_class(config)
    close_loggers([logger], failed=False)


@pytest.mark.parametrize("name", ["csv", "tensorboard", "wandb"])
def test_building_and_closing_alone_creates_nothing_on_disk(name: str, tmp_path: Path) -> None:
    before = content(tmp_path)
    logger = one(options["logger"][name].schema(), tmp_path / "run")
    close_loggers([logger], failed=False)
    assert content(tmp_path) == before
    assert not (tmp_path / "run").exists()


# CSV


def rows(run_directory: Path) -> list[dict[str, str]]:
    with (run_directory / "metrics.csv").open() as file:
        return list(csv.DictReader(file))


def test_csv_writes_metrics_into_the_run_directory(run_directory: Path) -> None:
    run(CSVLoggerConfig(), run_directory, test=True)
    assert [row["train/loss"] for row in rows(run_directory)] == ["1.0", "2.0", ""]
    assert rows(run_directory)[-1]["test/loss"] == "5.0"
    assert (run_directory / "config.yaml").read_text() == "something that is there before\n"


def test_a_resumed_run_keeps_the_rows_it_had(run_directory: Path) -> None:
    run(CSVLoggerConfig(), run_directory)
    run(CSVLoggerConfig(), run_directory, test=True)
    assert [row["train/loss"] for row in rows(run_directory)] == ["1.0", "2.0", "1.0", "2.0", ""]
    assert [row["test/loss"] for row in rows(run_directory)] == ["", "", "", "", "5.0"]


def test_a_failed_run_keeps_what_was_logged(run_directory: Path) -> None:
    run(CSVLoggerConfig(), run_directory, fails=True)
    assert [row["train/loss"] for row in rows(run_directory)] == ["1.0"]


def test_a_prefix_stands_before_every_metric(run_directory: Path) -> None:
    run(CSVLoggerConfig(prefix="a"), run_directory)
    assert "a-train/loss" in rows(run_directory)[0]


# TensorBoard


def scalars(folder: Path, tag: str) -> list[tuple[int, float]]:
    from tensorboard.backend.event_processing import event_accumulator  # type: ignore[import-untyped]  # no stubs

    events = event_accumulator.EventAccumulator(str(folder))
    events.Reload()
    return [(event.step, event.value) for event in events.Scalars(tag)]


@_TENSORBOARD
def test_tensorboard_writes_events_into_the_run_directory(run_directory: Path) -> None:
    run(TensorBoardLoggerConfig(filename_suffix=".mine"), run_directory)
    assert scalars(run_directory / "tensorboard", "train/loss") == [(0, 1.0), (1, 2.0)]
    events = [path.name for path in (run_directory / "tensorboard").iterdir() if "tfevents" in path.name]
    assert all(name.endswith(".mine") for name in events)
    assert events


@_TENSORBOARD
def test_two_runs_of_tensorboard_do_not_mix(run_directory: Path) -> None:
    run(TensorBoardLoggerConfig(), run_directory)
    second = run_directory.with_name("second")
    run(TensorBoardLoggerConfig(), second, fails=True)
    assert scalars(run_directory / "tensorboard", "train/loss") == [(0, 1.0), (1, 2.0)]
    assert scalars(second / "tensorboard", "train/loss") == [(0, 1.0)]


# Weights & Biases


def records(run_directory: Path, kind: str) -> list[dict[str, Any]]:
    """The records of a kind in a run's offline file, as Weights & Biases' own reader shows them."""
    (path,) = (run_directory / "wandb").glob("offline-run-*/*.wandb")
    command = [sys.executable, "-m", "wandb", "leet", "inspect", "--json", str(path)]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return [record[kind] for record in map(json.loads, shown.splitlines()) if record["type"] == kind]


def history(run_directory: Path, name: str) -> list[float]:
    return [row["item"][name] for row in records(run_directory, "history") if name in row["item"]]


def test_wandb_without_a_key_records_offline_and_says_so(run_directory: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="app"):
        run(WandbLoggerConfig(project="digits", tags=("a",), group="seeds", notes="why"), run_directory)
    assert [record.message for record in caplog.records if record.name.startswith("app")] == [
        "Weights & Biases has no key and records offline; to send runs, type `wandb login` or set WANDB_API_KEY"
    ]
    assert history(run_directory, "train/loss") == [1.0, 2.0]
    begun = records(run_directory, "run")[0]
    assert {name: begun[name] for name in ("project", "display_name", "run_group", "notes", "tags")} == {
        "project": "digits",
        "display_name": "first",
        "run_group": "seeds",
        "notes": "why",
        "tags": ["a"],
    }
    config = begun["config"]["update"]
    assert config["optimizer_spec"] == {"lr": 0.1, "betas": [0.9, 0.999]}
    assert config["callbacks"] == {"accumulation": {"scheduling": {"0": 1}}}
    assert "_target_" not in config


def test_wandb_marks_a_failed_run(run_directory: Path) -> None:
    run(WandbLoggerConfig(mode="offline"), run_directory, fails=True)
    second = run_directory.with_name("second")
    run(WandbLoggerConfig(mode="offline"), second)
    assert records(run_directory, "exit") == [{"exit_code": 1}]
    assert records(second, "exit") == [{"exit_code": 0}]


def test_two_runs_of_wandb_do_not_mix_even_when_the_first_was_not_closed(run_directory: Path) -> None:
    first = one(WandbLoggerConfig(mode="offline"), run_directory)
    first.log_metrics({"train/loss": 9.0}, step=0)
    second = run_directory.with_name("second")
    run(WandbLoggerConfig(mode="offline"), second)
    first.log_metrics({"train/loss": 8.0}, step=1)
    close_loggers([first], failed=False)
    assert history(run_directory, "train/loss") == [9.0, 8.0]
    assert history(second, "train/loss") == [1.0, 2.0]


@pytest.mark.parametrize(
    ("mode", "variable", "key", "wanted"),
    [
        (None, None, None, "offline"),
        (None, None, SECRET, "online"),
        (None, "online", None, "offline"),
        (None, "dryrun", SECRET, "offline"),
        (None, "disabled", SECRET, "disabled"),
        ("disabled", "online", None, "disabled"),
        ("offline", "online", SECRET, "offline"),
        ("online", "offline", SECRET, "online"),
    ],
)
def test_wandb_never_begins_in_a_mode_that_asks_for_a_key(
    mode: Any, variable: str | None, key: Any, wanted: str, run_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if variable is not None:
        monkeypatch.setenv("WANDB_MODE", variable)
    logger = one(WandbLoggerConfig(mode=mode, api_key=key), run_directory)
    assert isinstance(logger, RunWandbLogger)
    assert logger._wandb_init["mode"] == wanted
    assert os.environ.get("WANDB_MODE") == variable


WANDB_JOB = """
import sys
from pathlib import Path
from app.builders.loggers import build_loggers, close_loggers
from app.schemas.loggers import WandbLoggerConfig
key = sys.argv[1].partition("=")[2]
run_directory = Path(sys.argv[2])
loggers = build_loggers(
    {"wandb": WandbLoggerConfig(api_key=key, mode="offline")},
    run_directory=run_directory,
    run_config={"logger": {"wandb": {"api_key": "********"}}},
)
loggers[0].log_metrics({"a": 1.0})
close_loggers(loggers, failed=False)
assert len(sys.argv) == 3
"""


@pytest.mark.slow
def test_a_key_on_the_command_line_is_in_no_file(run_directory: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WANDB_JOB, f"logger.wandb.api_key={SECRET}", str(run_directory)],
        capture_output=True,
        text=True,
        check=True,
    )
    files = content(run_directory) | content(Path(os.environ["HOME"]))
    assert any(path.suffix == ".wandb" for path in files)
    assert [path for path, text in files.items() if SECRET.encode() in text] == []
    assert SECRET not in done.stdout + done.stderr


# MLflow


def mlflow_runs(uri: str, experiment: str = "lightning_logs") -> list[Any]:
    from mlflow.tracking import MlflowClient

    client = MlflowClient(uri)
    found = client.get_experiment_by_name(experiment)
    assert found is not None
    return sorted(client.search_runs([found.experiment_id]), key=lambda run: int(run.info.start_time))


def losses(uri: str, run_id: str) -> list[float]:
    from mlflow.tracking import MlflowClient

    return [metric.value for metric in MlflowClient(uri).get_metric_history(run_id, "train/loss")]


@_MLFLOW
@pytest.mark.slow
def test_mlflow_keeps_the_runs_of_one_folder_in_one_database(
    run_directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path / "home")
    run(MLFlowLoggerConfig(tags={"kind": "test"}), run_directory)
    run(MLFlowLoggerConfig(), run_directory.with_name("second"), fails=True)
    uri = f"sqlite:///{run_directory.parent / 'mlflow.db'}"
    first, second = mlflow_runs(uri)
    assert (first.info.run_name, second.info.run_name) == ("first", "second")
    assert (first.info.status, second.info.status) == ("FINISHED", "FAILED")
    assert (losses(uri, first.info.run_id), losses(uri, second.info.run_id)) == ([1.0, 2.0], [1.0])
    assert first.data.params["config/optimizer_spec/lr"] == "0.1"
    assert first.data.params["lr"] == "0.01"
    assert first.data.tags["kind"] == "test"
    assert first.info.artifact_uri.startswith((run_directory.parent / "mlartifacts").as_uri())
    assert not (tmp_path / "home" / "mlruns").exists()


@pytest.fixture(scope="session")
def mlflow_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real server on a free port of this machine, with a database of its own."""
    folder = tmp_path_factory.mktemp("mlflow_server")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = os.environ | {"MLFLOW_DISABLE_TELEMETRY": "true", "HOME": str(folder)}
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", f"sqlite:///{folder / 'mlflow.db'}", "--artifacts-destination", str(folder)]
    with (folder / "log").open("w") as log:
        server = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log, start_new_session=True)
    try:
        deadline = time.monotonic() + 120
        while True:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2):
                    break
            except OSError:
                assert server.poll() is None, (folder / "log").read_text()
                assert time.monotonic() < deadline, (folder / "log").read_text()
                time.sleep(0.2)
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        try:
            server.wait(timeout=20)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait()


@_MLFLOW
@pytest.mark.slow
def test_mlflow_sends_runs_to_a_server(mlflow_server: str, run_directory: Path) -> None:
    def config(name: str) -> MLFlowLoggerConfig:
        return MLFlowLoggerConfig(tracking_uri=mlflow_server, experiment_name="digits", run_name=name)

    run(config("sound"), run_directory)
    run(config("broken"), run_directory.with_name("second"), fails=True)
    first, second = mlflow_runs(mlflow_server, "digits")
    assert (first.info.run_name, first.info.status) == ("sound", "FINISHED")
    assert (second.info.run_name, second.info.status) == ("broken", "FAILED")
    assert losses(mlflow_server, first.info.run_id) == [1.0, 2.0]
    assert losses(mlflow_server, second.info.run_id) == [1.0]
    assert first.data.params["config/optimizer_spec/betas"] == "[0.9, 0.999]"
    assert not (run_directory.parent / "mlflow.db").exists()


@_MLFLOW
@pytest.mark.slow
def test_a_run_of_mlflow_is_gone_on_with_by_its_id(mlflow_server: str, run_directory: Path) -> None:
    logger = run(MLFlowLoggerConfig(tracking_uri=mlflow_server, experiment_name="resumed"), run_directory)
    assert isinstance(logger, RunMLFlowLogger)
    again = MLFlowLoggerConfig(tracking_uri=mlflow_server, run_id=logger.run_id)
    (resumed,) = build_loggers({"it": again}, run_directory=run_directory, run_config={"other": 1})
    resumed.log_metrics({"train/loss": 3.0}, step=2)
    close_loggers([resumed], failed=True)
    (only,) = mlflow_runs(mlflow_server, "resumed")
    assert losses(mlflow_server, only.info.run_id) == [1.0, 2.0, 3.0]
    assert only.info.status == "FAILED"


@_MLFLOW
def test_a_token_of_mlflow_is_known_while_the_run_lasts(run_directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = MLFlowLoggerConfig(tracking_uri="http://127.0.0.1:9", tracking_token=SECRET)  # type: ignore[arg-type]  # a text becomes a secret
    logger = one(config, run_directory)
    assert os.environ["MLFLOW_TRACKING_TOKEN"] == SECRET
    close_loggers([logger], failed=True)
    assert "MLFLOW_TRACKING_TOKEN" not in os.environ
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "before")
    logger = one(config, run_directory)
    assert os.environ["MLFLOW_TRACKING_TOKEN"] == SECRET
    close_loggers([logger], failed=False)
    assert os.environ["MLFLOW_TRACKING_TOKEN"] == "before"


# All of them


class _Unreachable(RunWandbLogger):
    def finalize(self, status: str) -> None:
        raise OSError(f"no server for {status}")


def test_a_logger_that_cannot_be_closed_does_not_keep_the_others_open(
    run_directory: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sound = one(CSVLoggerConfig(), run_directory)
    sound.log_metrics({"a": 1.0}, step=0)
    close_loggers([_Unreachable(mode="disabled"), sound], failed=False)
    assert [row["a"] for row in rows(run_directory)] == ["1.0"]
    assert [record.message for record in caplog.records] == ["_Unreachable could not be closed"]


def test_loggers_keep_their_order(run_directory: Path) -> None:
    configs: Mapping[str, LoggerConfig] = {"b": CSVLoggerConfig(), "a": TensorBoardLoggerConfig()}
    loggers = build_loggers(configs, run_directory=run_directory, run_config=RUN_CONFIG)
    assert [type(logger) for logger in loggers] == [live_class(config) for config in configs.values()]
