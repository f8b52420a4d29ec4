"""Where the metrics of a run go: a CSV file, TensorBoard, Weights & Biases, MLflow; any of them together.

Whether a logger's package is installed and whether Weights & Biases knows a key is looked up here, without importing
either: a run that could not log must not start.
"""

import netrc
import os
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Final, Literal
from urllib.parse import urlsplit

from pydantic import SecretStr

from app.schemas.annotations import field_types
from app.schemas.codes import Code
from app.schemas.constraints import NonEmptyText, NonNegativeInt, PositiveInt
from app.schemas.problems import missing_extra
from app.schemas.registry import group, register
from app.schemas.rules import Finding, remark, rule
from app.schemas.schema import schema
from app.schemas.user_paths import user_path

_NOT_IN_PROJECTS: Final = frozenset("/\\#?%:")
_MLFLOW_SCHEMES: Final = ("sqlite", "postgresql", "mysql", "mssql", "databricks", "databricks-uc", "uc")
_MLFLOW_PLACES: Final = ("databricks", "databricks-uc")


@group("logger", several=True)
@schema
class LoggerConfig:
    """Something that records metrics."""

    prefix: str = ""
    """Text put before every metric's name, with a dash between."""


@register("logger", "csv", target="app.builders.loggers.RunCSVLogger")
@schema
class CSVLoggerConfig(LoggerConfig):
    """Writes `metrics.csv` into the run directory; a resumed run adds to it."""

    flush_logs_every_n_steps: PositiveInt = 100
    """Steps after which the file is written even within an epoch."""


@register("logger", "tensorboard", target="lightning.pytorch.loggers.TensorBoardLogger")
@schema
class TensorBoardLoggerConfig(LoggerConfig):
    """Writes event files to `tensorboard` in the run directory; `tensorboard --logdir` shows any folder above."""

    log_graph: bool = False
    """Draw the model's graph too, which needs the module's `example_input_array`."""

    default_hp_metric: bool = True
    """Log a placeholder metric, without which TensorBoard lists no hyperparameters."""

    flush_secs: PositiveInt = 120
    """Seconds after which events are written even within an epoch."""

    max_queue: PositiveInt = 10
    """Events that wait in memory at most."""

    purge_step: NonNegativeInt | None = None
    """Hide what was logged from this step on before, when a run that crashed is continued."""

    filename_suffix: str = ""
    """Text at the end of the event files' names."""

    @rule("filename_suffix")
    def _the_suffix_is_part_of_a_name(self) -> Iterator[Finding]:
        if "/" in self.filename_suffix or "\\" in self.filename_suffix:
            yield (
                "filename_suffix",
                f"expected the end of a file's name, without slashes, found {self.filename_suffix!r}",
            )

    @rule(code=Code.ENVIRONMENT)
    def _package_is_installed(self) -> Iterator[Finding]:
        if find_spec("tensorboard") is None:
            yield (), missing_extra("TensorBoard", "tensorboard")


@register("logger", "wandb", target="app.builders.loggers.RunWandbLogger")
@schema
class WandbLoggerConfig(LoggerConfig):
    """Sends metrics to Weights & Biases; without a key it records offline, for `wandb sync` later."""

    project: NonEmptyText | None = None
    """Project the run belongs to; null takes WANDB_PROJECT, else `lightning_logs`."""

    name: NonEmptyText | None = None
    """Name of the run; null is the name of the run directory."""

    mode: Literal["online", "offline", "disabled"] | None = None
    """Send, record for later, or neither; null takes WANDB_MODE, and else sends when there is a key."""

    group: NonEmptyText | None = None
    """Runs of one group are shown together, such as the seeds of one experiment."""

    tags: tuple[NonEmptyText, ...] = ()
    """Words to find the run by."""

    notes: NonEmptyText | None = None
    """A longer description, as in a commit message."""

    job_type: NonEmptyText | None = None
    """Kind of run within a group, such as `train` or `test`."""

    entity: NonEmptyText | None = None
    """User or team the project belongs to; null is the key's own."""

    log_model: bool | Literal["all"] = False
    """Upload the best checkpoint at the end, or every one as it is saved."""

    checkpoint_name: NonEmptyText | None = None
    """Name of the uploaded checkpoints; null makes one of the run's id."""

    add_file_policy: Literal["mutable", "immutable"] = "mutable"
    """Whether a checkpoint may change while it is uploaded; `immutable` saves a copy."""

    id: NonEmptyText | None = None
    """Id of a run to go on with; null starts a new one."""

    save_code: bool | None = None
    """Upload the main script; null obeys the account's setting."""

    base_url: NonEmptyText | None = None
    """Address of an own server; null takes WANDB_BASE_URL, else the public one."""

    api_key: SecretStr | None = None
    """Key of the account; null takes WANDB_API_KEY, else the one that `wandb login` stored."""

    @rule(code=Code.ENVIRONMENT)
    def _package_is_installed(self) -> Iterator[Finding]:
        if find_spec("wandb") is None:
            yield (), "Weights & Biases needs the package wandb, which is not installed; type: pip install wandb"

    @rule("project")
    def _project_is_a_name(self) -> Iterator[Finding]:
        if set(self.project or "") & _NOT_IN_PROJECTS:
            allowed = "expected a name without any of / \\ # ? % :"
            yield "project", f"{allowed}, found {self.project!r}; a team goes into entity"
        elif self.project is not None and len(self.project) > 128:
            yield "project", f"expected at most 128 characters, found {len(self.project)}"

    @rule("mode", "api_key", "base_url", code=Code.ENVIRONMENT)
    def _online_has_a_key(self) -> Iterator[Finding]:
        if self.mode == "online" and not has_wandb_key(self):
            yield "mode", "'online' needs a key; type `wandb login` or set WANDB_API_KEY, or use 'offline'"

    @rule("mode", "log_model")
    def _checkpoints_are_uploaded_online(self) -> Iterator[Finding]:
        if self.log_model and self.mode in ("offline", "disabled"):
            yield "log_model", f"uploads checkpoints, which mode={self.mode} does not; set it to false"

    @rule("base_url")
    def _server_is_a_web_address(self) -> Iterator[Finding]:
        if self.base_url is not None and not is_web_address(self.base_url):
            yield "base_url", f"expected an address such as 'https://wandb.example.org', found {self.base_url!r}"

    @rule("api_key")
    def _key_is_not_empty(self) -> Iterator[Finding]:
        if self.api_key is not None and not self.api_key.get_secret_value().strip():
            yield "api_key", "is empty; set it to null to use WANDB_API_KEY or the key that `wandb login` stored"

    @remark(Code.UNUSED)
    def _something_is_sent(self) -> Iterator[Finding]:
        if self.mode == "disabled":
            names = [name for name in field_types(WandbLoggerConfig) if name != "mode"]
            yield from ((name, "has no effect with mode=disabled, which records nothing") for name in names)
        elif not self.log_model:
            names = ["checkpoint_name", "add_file_policy"]
            yield from ((name, "has no effect with log_model=false, which uploads no checkpoint") for name in names)


@register("logger", "mlflow", target="app.builders.loggers.RunMLFlowLogger")
@schema
class MLFlowLoggerConfig(LoggerConfig):
    """Sends metrics to an MLflow server, or into `mlflow.db` beside the run directories."""

    experiment_name: NonEmptyText = "lightning_logs"
    """MLflow's experiment, which gathers runs; it is made when it does not exist."""

    run_name: NonEmptyText | None = None
    """Name of the run; null is the name of the run directory."""

    tracking_uri: NonEmptyText | None = None
    """Server or database: 'http://host:5000', 'sqlite:////data/mlflow.db'; null takes MLFLOW_TRACKING_URI, else the
    file `mlflow.db` beside the run directory."""

    tags: dict[str, str] | None = None
    """Words to find the run by, with their values."""

    log_model: bool | Literal["all"] = False
    """Store the best checkpoint at the end, or every one as it is saved."""

    artifact_location: NonEmptyText | None = None
    """Where a new experiment keeps files; null lets the server choose, or is `mlartifacts` beside `mlflow.db`."""

    run_id: NonEmptyText | None = None
    """Id of a run to go on with; null starts a new one."""

    synchronous: bool | None = None
    """Wait until each value is stored; null is MLflow's own setting, which waits."""

    tracking_token: SecretStr | None = None
    """Token for the server; null takes MLFLOW_TRACKING_TOKEN."""

    @rule(code=Code.ENVIRONMENT)
    def _package_is_installed(self) -> Iterator[Finding]:
        if find_spec("mlflow") is None:
            yield (), missing_extra("MLflow", "mlflow")

    @rule("tracking_uri")
    def _runs_are_not_kept_in_files(self) -> Iterator[Finding]:
        if self.tracking_uri is None or self.tracking_uri in _MLFLOW_PLACES:
            return
        scheme = urlsplit(self.tracking_uri).scheme
        if scheme in ("", "file"):
            database = "sqlite:///" + self.tracking_uri.removeprefix("file:").rstrip("/") + "/mlflow.db"
            yield "tracking_uri", f"MLflow no longer keeps runs in a folder; use a database such as {database!r}"
        elif scheme in ("http", "https"):
            if not is_web_address(self.tracking_uri):
                yield "tracking_uri", f"expected an address such as 'http://host:5000', found {self.tracking_uri!r}"
        elif "://" not in self.tracking_uri or scheme.partition("+")[0] not in _MLFLOW_SCHEMES:
            wanted = "'http://host:5000', 'sqlite:////data/mlflow.db' or 'databricks'"
            known = "http, https, " + ", ".join(_MLFLOW_SCHEMES)
            yield "tracking_uri", f"expected an address such as {wanted}, found {self.tracking_uri!r}; known: {known}"

    @rule("tracking_token")
    def _token_is_not_empty(self) -> Iterator[Finding]:
        if self.tracking_token is not None and not self.tracking_token.get_secret_value().strip():
            yield "tracking_token", "is empty; set it to null to use MLFLOW_TRACKING_TOKEN"

    @rule("run_id", "run_name", "artifact_location", code=Code.UNUSED)
    def _a_run_that_exists_has_its_names(self) -> Iterator[Finding]:
        for name in ("run_name", "artifact_location"):
            if self.run_id is not None and getattr(self, name) is not None:
                yield name, f"has no effect with run_id={self.run_id}, a run that has its own; set it to null"


def is_web_address(text: str) -> bool:
    """Whether this is an http address with a host."""
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname)


def has_wandb_key(config: WandbLoggerConfig) -> bool:
    """Whether Weights & Biases can log in without asking: by the config, the environment or a stored login."""
    if config.api_key is not None or os.environ.get("WANDB_API_KEY") or os.environ.get("WANDB_IDENTITY_TOKEN_FILE"):
        return True
    address = config.base_url or os.environ.get("WANDB_BASE_URL") or "https://api.wandb.ai"
    host = urlsplit(address).hostname if is_web_address(address) else None
    return host is not None and any(_has_login(path, host) for path in _netrc_files())


def _netrc_files() -> list[Path]:
    if chosen := os.environ.get("NETRC"):
        return [user_path(chosen)]
    return [Path.home() / ".netrc", Path.home() / "_netrc"]


def _has_login(path: Path, host: str) -> bool:
    try:
        return host in netrc.netrc(path).hosts
    except (OSError, netrc.NetrcParseError):
        return False


OWN_DEFAULTS: Final[Mapping[type, Mapping[str, str]]] = {}
"""The fields whose default deliberately differs from the target's, with the reason."""

LEFT_OUT: Final[Mapping[type, Mapping[str, str]]] = {
    CSVLoggerConfig: {
        "save_dir": "the run directory",
        "name": "the run directory names the run",
        "version": "the run directory names the run",
    },
    TensorBoardLoggerConfig: {
        "save_dir": "the run directory",
        "name": "always `tensorboard`",
        "version": "the run directory names the run",
        "sub_dir": "the run directory names the run",
        "kwargs": "flush_secs, max_queue, purge_step and filename_suffix",
    },
    WandbLoggerConfig: {
        "save_dir": "the run directory",
        "dir": "the run directory",
        "version": "another name of id",
        "offline": "set through mode",
        "anonymous": "has no effect any more",
        "experiment": "a live object",
        "kwargs": "mode, group, tags, notes, job_type, entity, save_code, base_url and api_key",
    },
    MLFlowLoggerConfig: {"save_dir": "MLflow no longer keeps runs in a folder"},
}
"""The targets' arguments that are no fields, with the reason."""

EXTRA: Final[Mapping[type, Mapping[str, str]]] = {
    MLFlowLoggerConfig: {"tracking_token": "handed to MLflow through the environment while the run lasts"},
}
"""The fields that are no arguments of the target, with what the builder makes of them."""
