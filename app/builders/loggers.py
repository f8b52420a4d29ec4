"""From the loggers' configs to Lightning loggers, and their end: each is closed with its job.

The loggers here differ from Lightning's in what one directory per run and several runs in one process need.
"""

import csv
import json
import logging
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from lightning.fabric.loggers.logger import rank_zero_experiment
from lightning.pytorch.loggers import CSVLogger, Logger, MLFlowLogger, TensorBoardLogger, WandbLogger
from lightning.pytorch.loggers.csv_logs import ExperimentWriter
from pydantic import SecretStr

from app.builders.targets import keyword_arguments, live_class
from app.schemas.loggers import (
    CSVLoggerConfig,
    LoggerConfig,
    MLFlowLoggerConfig,
    TensorBoardLoggerConfig,
    WandbLoggerConfig,
    has_wandb_key,
)

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient
    from wandb import Run
    from wandb.sdk.lib import RunDisabled

log = logging.getLogger(__name__)

_TOKEN_VARIABLE = "MLFLOW_TRACKING_TOKEN"


def build_loggers(
    configs: Mapping[str, LoggerConfig], *, run_directory: Path, run_config: Mapping[str, Any]
) -> list[Logger]:
    """The loggers, in the order in which they were chosen.

    `run_config` is the run's whole config as plain containers, its secrets masked. Weights & Biases and MLflow, which
    compare runs, store it; the others write beside the config that the run directory holds anyway. Apart from MLflow,
    which opens its database at once, nothing is created on disk before the first value is logged.
    """
    return [
        live_class(config)(**_arguments(config, run_directory.resolve(), run_config)) for config in configs.values()
    ]


def close_loggers(loggers: Sequence[Logger], *, failed: bool) -> None:
    """Write what is waiting, and mark the run as finished or failed where its logger knows such a mark.

    To be called once at the end of every job, whatever became of it: loggers hold connections and change the
    environment, which the next job in this process must not find. A logger that cannot be closed is reported in the
    log instead of raised, so that the others are closed too and a job's own error is the one that is seen.
    """
    for logger in loggers:
        try:
            _close(logger, failed=failed)
        except Exception:
            log.exception("%s could not be closed", type(logger).__name__)


class RunCSVLogger(CSVLogger):
    """Writes `metrics.csv` into the run directory itself, and keeps the rows of a run that is resumed there."""

    @property
    @rank_zero_experiment
    def experiment(self) -> ExperimentWriter:
        """The writer of the file."""
        writer = self._experiment or _RunDirectoryWriter(log_dir=self.log_dir)
        assert isinstance(writer, ExperimentWriter)
        self._experiment = writer
        return writer


class _RunDirectoryWriter(ExperimentWriter):
    def _check_log_dir_exists(self) -> None:
        # Lightning's writer deletes the file of an earlier run here, and warns that the directory is not empty.
        path = Path(self.metrics_file_path)
        if path.is_file():
            with path.open(newline="") as file:
                self.metrics_keys = next(csv.reader(file), [])


class RunWandbLogger(WandbLogger):
    """Records every run by itself, and nothing of the command line.

    Weights & Biases has one current run in a process, which Lightning's logger would go on with in the next job; and
    it stores the command line, on which a secret may stand.
    """

    def __init__(self, *, api_key: SecretStr | None = None, base_url: str | None = None, **arguments: Any) -> None:
        import wandb

        settings: dict[str, Any] = {"reinit": "create_new"}
        if api_key is not None:
            settings["api_key"] = api_key.get_secret_value()
        if base_url is not None:
            settings["base_url"] = base_url
        super().__init__(settings=wandb.Settings(**settings), **arguments)

    @property
    @rank_zero_experiment
    def experiment(self) -> "Run | RunDisabled":
        """The run at Weights & Biases, begun when it is first needed."""
        if self._experiment is None:
            # It falls back to a temporary directory when this one does not exist.
            Path(self.save_dir or ".").mkdir(parents=True, exist_ok=True)
            with _command_line_hidden():
                self._experiment = super().experiment
        return self._experiment

    def close(self, *, failed: bool) -> None:
        """End the run, when it was begun."""
        if self._experiment is not None:
            self._experiment.finish(exit_code=1 if failed else 0)


class RunMLFlowLogger(MLFlowLogger):
    """Stores the run's config with the run, below `config/`."""

    def __init__(
        self, *, tracking_token: SecretStr | None = None, run_config: Mapping[str, Any] | None = None, **arguments: Any
    ) -> None:
        self._run_config = run_config
        self._token_before = os.environ.get(_TOKEN_VARIABLE)
        self._has_token = tracking_token is not None
        if tracking_token is not None:
            # MLflow takes a token from nowhere else, and looks at it with every request.
            os.environ[_TOKEN_VARIABLE] = tracking_token.get_secret_value()
        try:
            super().__init__(**arguments)
        except BaseException:
            self.close()
            raise

    @property
    @rank_zero_experiment
    def experiment(self) -> "MlflowClient":
        """The client, with the run begun when it is first needed."""
        is_new = not self._initialized and self._run_id is None
        client: MlflowClient = super().experiment
        if is_new and self._run_config is not None:
            self.log_hyperparams({"config": dict(self._run_config)})
        return client

    def close(self) -> None:
        """Put the environment back as it was."""
        if self._has_token:
            self._has_token = False
            if self._token_before is None:
                del os.environ[_TOKEN_VARIABLE]
            else:
                os.environ[_TOKEN_VARIABLE] = self._token_before


def _close(logger: Logger, *, failed: bool) -> None:
    # TensorBoard's logger would begin its files now if nothing was logged before.
    if not isinstance(logger, TensorBoardLogger) or logger._experiment is not None:
        logger.finalize("failed" if failed else "success")
    if isinstance(logger, RunWandbLogger):
        logger.close(failed=failed)
    if isinstance(logger, RunMLFlowLogger):
        logger.close()


def _arguments(config: LoggerConfig, run_directory: Path, run_config: Mapping[str, Any]) -> dict[str, Any]:
    arguments = keyword_arguments(config)
    # Trackers write JSON, whose keys are texts.
    stored = json.loads(json.dumps(run_config))
    match config:
        case CSVLoggerConfig():
            return arguments | {"save_dir": run_directory, "name": "", "version": ""}
        case TensorBoardLoggerConfig():
            return arguments | {"save_dir": run_directory, "name": "tensorboard", "version": ""}
        case WandbLoggerConfig():
            stored.pop("_target_", None)
            return arguments | {
                "save_dir": run_directory,
                "name": config.name or run_directory.name,
                "mode": _wandb_mode(config),
                "tags": list(config.tags),
                "config": stored,
            }
        case MLFlowLoggerConfig():
            uri = config.tracking_uri or os.environ.get("MLFLOW_TRACKING_URI")
            if uri is None:
                run_directory.parent.mkdir(parents=True, exist_ok=True)
                uri = f"sqlite:///{run_directory.parent / 'mlflow.db'}"
            return arguments | {
                "run_name": config.run_name or (run_directory.name if config.run_id is None else None),
                "tracking_uri": uri,
                "tags": config.tags and dict(config.tags),  # Lightning adds the run's name to it
                "artifact_location": config.artifact_location or _beside(uri),
                "run_config": stored,
            }
    raise AssertionError(f"{type(config).__name__} has no builder")


def _wandb_mode(config: WandbLoggerConfig) -> Literal["online", "offline", "disabled"]:
    """The mode to begin in: never one in which Weights & Biases would ask for a key."""
    if config.mode is not None:
        return config.mode
    wanted = os.environ.get("WANDB_MODE", "online")
    if wanted == "disabled":
        return "disabled"
    if wanted != "online":
        return "offline"
    if has_wandb_key(config):
        return "online"
    log.warning(
        "Weights & Biases has no key and records offline; to send runs, type `wandb login` or set WANDB_API_KEY"
    )
    return "offline"


def _beside(uri: str) -> str | None:
    """Where the files of runs in an SQLite database go; MLflow would take the working directory."""
    path = uri.removeprefix("sqlite:///")
    return None if path == uri else (Path(path).resolve().parent / "mlartifacts").as_uri()


@contextmanager
def _command_line_hidden() -> Iterator[None]:
    before = sys.argv
    sys.argv = before[:1]
    try:
        yield
    finally:
        sys.argv = before
