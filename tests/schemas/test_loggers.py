import inspect
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from app.builders.targets import live_class
from app.schemas.annotations import field_types
from app.schemas.codes import Code
from app.schemas.loggers import (
    EXTRA,
    LEFT_OUT,
    OWN_DEFAULTS,
    CSVLoggerConfig,
    MLFlowLoggerConfig,
    TensorBoardLoggerConfig,
    WandbLoggerConfig,
    has_wandb_key,
)
from app.schemas.plain import to_plain
from app.schemas.problems import ConfigError, dotted
from app.schemas.registry import options
from app.schemas.rules import remarks


@pytest.fixture(autouse=True)
def _no_login(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("WANDB_API_KEY", "WANDB_BASE_URL", "WANDB_IDENTITY_TOKEN_FILE", "NETRC"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))


def refused(schema: type, **values: Any) -> dict[str, str]:
    with pytest.raises(ConfigError) as caught:
        schema(**values)
    return {
        problem.path.removeprefix(schema.__name__).removeprefix("."): problem.message
        for problem in caught.value.problems
    }


BROKEN: list[tuple[type, dict[str, Any], str, str]] = [
    (
        WandbLoggerConfig,
        {"mode": "online"},
        "mode",
        "'online' needs a key; type `wandb login` or set WANDB_API_KEY, or use 'offline'",
    ),
    (
        WandbLoggerConfig,
        {"mode": "offline", "log_model": "all"},
        "log_model",
        "uploads checkpoints, which mode=offline does not; set it to false",
    ),
    (
        WandbLoggerConfig,
        {"base_url": "wandb.example.org"},
        "base_url",
        "expected an address such as 'https://wandb.example.org', found 'wandb.example.org'",
    ),
    (
        WandbLoggerConfig,
        {"api_key": " "},
        "api_key",
        "is empty; set it to null to use WANDB_API_KEY or the key that `wandb login` stored",
    ),
    (
        MLFlowLoggerConfig,
        {"tracking_uri": "file:/data/mlruns"},
        "tracking_uri",
        "MLflow no longer keeps runs in a folder; use a database such as 'sqlite:////data/mlruns/mlflow.db'",
    ),
    (
        MLFlowLoggerConfig,
        {"tracking_token": ""},
        "tracking_token",
        "is empty; set it to null to use MLFLOW_TRACKING_TOKEN",
    ),
    (
        MLFlowLoggerConfig,
        {"run_id": "abc", "run_name": "b"},
        "run_name",
        "has no effect with run_id=abc, a run that has its own; set it to null",
    ),
    (
        MLFlowLoggerConfig,
        {"tracking_uri": "htp://host:5000"},
        "tracking_uri",
        (
            "expected an address such as 'http://host:5000', 'sqlite:////data/mlflow.db' or 'databricks', "
            "found 'htp://host:5000'; known: http, https, "
            "sqlite, postgresql, mysql, mssql, databricks, databricks-uc, uc"
        ),
    ),
    (
        MLFlowLoggerConfig,
        {"tracking_uri": "http://"},
        "tracking_uri",
        "expected an address such as 'http://host:5000', found 'http://'",
    ),
    (
        WandbLoggerConfig,
        {"project": "team/digits"},
        "project",
        "expected a name without any of / \\ # ? % :, found 'team/digits'; a team goes into entity",
    ),
    (WandbLoggerConfig, {"project": "p" * 129}, "project", "expected at most 128 characters, found 129"),
    (
        TensorBoardLoggerConfig,
        {"filename_suffix": "a/b"},
        "filename_suffix",
        "expected the end of a file's name, without slashes, found 'a/b'",
    ),
    (TensorBoardLoggerConfig, {"flush_secs": 0}, "flush_secs", "expected a whole number of at least 1, found 0"),
    (
        WandbLoggerConfig,
        {"mode": "ofline"},
        "mode",
        "expected 'online', 'offline', 'disabled' or null, found 'ofline'; did you mean 'offline'?",
    ),
]

SOUND: list[tuple[type, dict[str, Any]]] = [
    (WandbLoggerConfig, {"mode": "online", "api_key": "k" * 40}),
    (WandbLoggerConfig, {"mode": "offline", "log_model": False}),
    (WandbLoggerConfig, {"log_model": "all", "tags": ["a", "b"]}),
    (WandbLoggerConfig, {"base_url": "http://localhost:8080"}),
    (MLFlowLoggerConfig, {"tracking_uri": "http://127.0.0.1:5000", "tracking_token": "t"}),
    (MLFlowLoggerConfig, {"tracking_uri": "sqlite:////data/mlflow.db", "tags": {"kind": "test"}}),
    (MLFlowLoggerConfig, {"tracking_uri": "postgresql+psycopg2://user@host/runs"}),
    (MLFlowLoggerConfig, {"tracking_uri": "databricks"}),
    (MLFlowLoggerConfig, {"run_id": "abc"}),
    (WandbLoggerConfig, {"project": "digits"}),
    (TensorBoardLoggerConfig, {"filename_suffix": ".v2"}),
    (CSVLoggerConfig, {"flush_logs_every_n_steps": 1}),
    (TensorBoardLoggerConfig, {"log_graph": True}),
]


@pytest.mark.parametrize(("schema", "values", "path", "message"), BROKEN)
def test_what_cannot_work_is_refused_with_its_field(
    schema: type, values: dict[str, Any], path: str, message: str
) -> None:
    assert refused(schema, **values) == {path: message}


@pytest.mark.parametrize(("schema", "values"), SOUND)
def test_what_can_work_is_accepted(schema: type, values: dict[str, Any]) -> None:
    schema(**values)


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        (
            TensorBoardLoggerConfig,
            "TensorBoard is not installed; type: pip install 'typed-lightning-app[tensorboard]'",
        ),
        (MLFlowLoggerConfig, "MLflow is not installed; type: pip install 'typed-lightning-app[mlflow]'"),
        (
            WandbLoggerConfig,
            "Weights & Biases needs the package wandb, which is not installed; type: pip install wandb",
        ),
    ],
)
def test_a_missing_package_is_named_before_anything_starts(
    schema: type, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.schemas.loggers.find_spec", lambda _: None)
    assert refused(schema) == {"": message}


def test_a_key_is_found_where_wandb_looks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert not has_wandb_key(WandbLoggerConfig())
    assert has_wandb_key(WandbLoggerConfig(api_key="k"))  # type: ignore[arg-type]  # a text becomes a secret

    login = tmp_path / ".netrc"
    login.write_text("machine api.wandb.ai\n  login user\n  password key\n")
    login.chmod(0o600)
    assert has_wandb_key(WandbLoggerConfig())
    assert not has_wandb_key(WandbLoggerConfig(base_url="https://wandb.example.org"))
    monkeypatch.setenv("WANDB_BASE_URL", "https://wandb.example.org")
    assert not has_wandb_key(WandbLoggerConfig())
    login.rename(tmp_path / "other")
    monkeypatch.delenv("WANDB_BASE_URL")
    assert not has_wandb_key(WandbLoggerConfig())
    monkeypatch.setenv("NETRC", str(tmp_path / "other"))
    assert has_wandb_key(WandbLoggerConfig())
    (tmp_path / "other").write_text("no such thing\n")
    assert not has_wandb_key(WandbLoggerConfig())

    monkeypatch.setenv("WANDB_API_KEY", "key")
    assert has_wandb_key(WandbLoggerConfig())


def test_secrets_are_masked_wherever_a_config_is_written() -> None:
    configs = [
        WandbLoggerConfig(api_key="tell-nobody"),  # type: ignore[arg-type]  # a text becomes a secret
        MLFlowLoggerConfig(tracking_token="tell-nobody"),  # type: ignore[arg-type]  # a text becomes a secret
    ]
    for config in configs:
        assert "tell-nobody" not in f"{config} {to_plain(config)}"


@pytest.mark.parametrize("name", options["logger"])
def test_every_argument_of_a_logger_is_a_field_or_left_out_for_a_reason(name: str) -> None:
    from lightning.pytorch import loggers as lightnings

    option = options["logger"][name]
    config = option.schema()
    public = live_class(config).__name__.replace("Run", "")
    parameters = dict(inspect.signature(getattr(lightnings, public).__init__).parameters)
    del parameters["self"]
    left_out, extra = set(LEFT_OUT.get(option.schema, {})), set(EXTRA.get(option.schema, {}))
    fields = set(field_types(option.schema))
    if "kwargs" in left_out:
        assert set(parameters) - left_out <= fields
    else:
        assert (fields - extra) | left_out == set(parameters)
    differing = {field for field in fields & set(parameters) if getattr(config, field) != parameters[field].default}
    assert differing == set(OWN_DEFAULTS.get(option.schema, {}))


def test_choosing_a_logger_imports_none() -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            """
import sys
from app.schemas.loggers import *
WandbLoggerConfig(), MLFlowLoggerConfig(), TensorBoardLoggerConfig(), CSVLoggerConfig()
print(sorted({'wandb', 'mlflow', 'tensorboard', 'torch', 'lightning'} & set(sys.modules)))
""",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "[]\n"


def unused(config: object) -> set[str]:
    """The fields that a config calls without effect."""
    return {dotted(fault.path) for fault in remarks(config) if fault.code is Code.UNUSED}


def test_fields_that_others_leave_without_effect_are_named() -> None:
    pytest.importorskip("wandb")
    assert unused(WandbLoggerConfig()) == {"checkpoint_name", "add_file_policy"}
    assert unused(WandbLoggerConfig(log_model=True)) == set()
    assert unused(WandbLoggerConfig(mode="disabled")) == field_types(WandbLoggerConfig).keys() - {"mode"}
