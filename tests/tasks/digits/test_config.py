import subprocess
import sys
from typing import Any

import pytest

from app.schemas.batch import TensorSpec
from app.schemas.codes import Code
from app.schemas.datamodule import DataLoaderConfig
from app.schemas.problems import ConfigError
from app.tasks.digits.config import CNNConfig, DigitsDataModuleConfig, DigitsTaskConfig


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("name", "mnist"),
        ("num_classes", 11),
        ("input_shape", (1, 28, 28)),
        ("metrics", ("accuracy",)),
        ("metrics", ("accuracy", "accuracy")),
        ("test_fingerprint", "0" * 64),
    ],
)
def test_facts_of_the_task_cannot_be_changed(name: str, value: Any) -> None:
    with pytest.raises(ConfigError) as caught:
        DigitsTaskConfig(**{name: value})

    assert {problem.path.split(".")[1].partition("[")[0] for problem in caught.value.problems} == {name}


def test_what_to_monitor_is_free() -> None:
    assert DigitsTaskConfig(monitor="val/f1", mode="max").monitor == "val/f1"


@pytest.mark.parametrize("shares", [(0.9, 0.2), (0.5, 0.4)])
def test_shares_must_add_up(shares: tuple[float, float]) -> None:
    with pytest.raises(ConfigError) as caught:
        DigitsDataModuleConfig(train_val_split=shares)

    [problem] = caught.value.problems
    assert problem.path == "DigitsDataModuleConfig.train_val_split"
    assert problem.message == f"the shares must add up to 1, found {sum(shares):g}"


@pytest.mark.parametrize("shares", [(0.7, 0.3), (0.1, 0.9), (0.35, 0.65)])
def test_shares_that_add_up_but_for_rounding_are_fine(shares: tuple[float, float]) -> None:
    assert DigitsDataModuleConfig(train_val_split=shares).train_val_split == shares


def test_evaluation_leaves_no_sample_out() -> None:
    with pytest.raises(ConfigError) as caught:
        DigitsDataModuleConfig(evaluation_dataloader=DataLoaderConfig(drop_last=True))

    [problem] = caught.value.problems
    assert problem.path == "DigitsDataModuleConfig.evaluation_dataloader.drop_last"
    assert problem.message == "true would leave the last samples out of every result; expected false"
    assert problem.code is Code.DROP_LAST


def test_the_batch_follows_from_the_task() -> None:
    batch = DigitsDataModuleConfig().batch(DigitsTaskConfig())

    assert batch.input == TensorSpec(shape=(1, 8, 8))
    assert batch.targets == {"target": TensorSpec(shape=(), dtype="int64", low=0, high=9)}


@pytest.mark.parametrize("channels", [(), (8, 8, 8, 8)])
def test_the_image_can_be_halved_once_to_three_times(channels: tuple[int, ...]) -> None:
    with pytest.raises(ConfigError, match=r"CNNConfig\.channels: "):
        CNNConfig(channels=channels)


def test_reading_the_config_imports_nothing_heavy() -> None:
    code = (
        "import sys, app.tasks.digits.config; "
        "print(*({'torch', 'lightning', 'torchmetrics', 'sklearn', 'wandb'} & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert found.stdout == "\n"
