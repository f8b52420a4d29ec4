import subprocess
import sys

import pytest

from app.compose import load_config
from app.schemas.problems import ConfigError
from app.tasks.retrieval.config import RetrievalDataModuleConfig, RetrievalTaskConfig


def test_the_metrics_are_of_val_and_test_alone() -> None:
    metrics = RetrievalTaskConfig().fixed_metrics()

    assert metrics.keys() == {"recall_at_1", "recall_at_5", "precision_at_5", "mean_average_precision"}
    assert all(metric.phases == ("val", "test") for metric in metrics.values())


@pytest.mark.parametrize(
    ("digits", "message"),
    [((3,), "a list of at least 2 entries"), ((3, 10), "at most 9"), ((3, 4, 3), "names 3 twice")],
)
def test_digits_to_train_on_are_two_of_ten_at_least(digits: tuple[int, ...], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        RetrievalDataModuleConfig(train_digits=digits)

    [problem] = caught.value.problems
    assert problem.path.startswith("RetrievalDataModuleConfig.train_digits")
    assert message in problem.message


def test_each_way_of_training_brings_its_own_loss() -> None:
    found = {
        name: load_config(
            ["task=retrieval", f"module=retrieval/{name}", f"datamodule=retrieval/{data}"]
        ).joint_loss.losses
        for name, data in {"pairwise": "pairs", "triplet": "triplets", "simclr": "views"}.items()
    }

    assert {name: list(losses) for name, losses in found.items()} == {
        "pairwise": ["contrastive"],
        "triplet": ["triplet_margin"],
        "simclr": ["ntxent"],
    }
    assert found["pairwise"]["contrastive"].mapping == {"target": "same"}
    assert found["simclr"]["ntxent"].output_of() == {"input1": "projection", "input2": "other_projection"}


def test_reading_the_config_imports_nothing_heavy() -> None:
    code = (
        "import sys, app.tasks.retrieval.config, app.tasks.multi_head.config; "
        "print(*({'torch', 'lightning', 'torchmetrics', 'sklearn', 'numpy', 'PIL'} & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert found.stdout == "\n"
