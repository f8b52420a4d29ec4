from typing import Any

import pytest

from app.schemas.problems import ConfigError
from app.schemas.schema import schema
from app.schemas.task import MetricName, Mode, TaskConfig


@schema
class PlainTaskConfig(TaskConfig):
    name: str = "plain"
    num_classes: int = 3
    metrics: tuple[MetricName, ...] = ("accuracy",)
    test_fingerprint: str = "0"
    monitor: str = "val/accuracy"
    mode: Mode = "max"


def test_what_is_logged_follows_from_the_config() -> None:
    assert PlainTaskConfig().logged_metrics() == {
        "train/loss": "min",
        "train/accuracy": "max",
        "val/loss": "min",
        "val/accuracy": "max",
        "test/loss": "min",
        "test/accuracy": "max",
    }


@pytest.mark.parametrize(
    ("monitor", "mode", "message"),
    [
        ("val/loss", "max", "task.mode: val/loss is better the smaller it is: expected 'min', found 'max'"),
        ("val/accuracy", "min", "task.mode: val/accuracy is better the larger it is: expected 'max', found 'min'"),
    ],
)
def test_a_mode_that_contradicts_the_monitor_is_refused(monitor: str, mode: Any, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        PlainTaskConfig(monitor=monitor, mode=mode)

    [problem] = caught.value.problems
    assert str(problem).replace("PlainTaskConfig", "task") == message


def test_a_monitor_that_only_a_module_logs_is_for_the_run_to_judge() -> None:
    assert PlainTaskConfig(monitor="val/recall", mode="min").monitor == "val/recall"
