import pytest

from app.compose import load_config
from app.schemas.phases import Mode
from app.schemas.problems import ConfigError
from app.schemas.registry import options
from app.schemas.schema import schema
from app.schemas.task import TaskConfig, TaskKind
from app.tasks.digits.config import DigitsTaskConfig


@schema
class UnfinishedTaskConfig(TaskConfig):
    name: str = "unfinished"
    kind: TaskKind = "binary"
    input_shape: tuple[int, ...] = (3,)
    num_classes: int = 2
    test_fingerprint: str = "0"
    monitor: str = "val/loss"
    mode: Mode = "min"


def test_a_task_must_say_how_it_is_measured() -> None:
    with pytest.raises(NotImplementedError, match="UnfinishedTaskConfig must say which metrics are its own"):
        UnfinishedTaskConfig().fixed_metrics()


@pytest.mark.parametrize("task", options["task"])
def test_the_classes_of_a_task_all_have_names_or_none_has(task: str) -> None:
    config = load_config([f"task={task}"]).task

    assert len(set(config.class_names())) == len(config.class_names())
    assert len(config.class_names()) in (0, config.num_classes)


def test_classes_are_named_in_the_order_of_their_numbers() -> None:
    assert load_config(["task=cifar10"]).task.class_names()[-1] == "truck"
    assert load_config(["task=fashion_mnist"]).task.class_names()[:2] == ("T-shirt", "trousers")
    assert load_config(["task=segmentation"]).task.class_names() == ("background", "disc", "square", "triangle")
    assert load_config(["task=detection"]).task.class_names() == ("ellipse", "rectangle", "triangle")


@pytest.mark.parametrize("task", ["segmentation", "detection"])
def test_the_classes_of_a_folder_are_not_the_generated_ones(task: str) -> None:
    config = load_config([f"task={task}", "task.folder=mine", "task.test_fingerprint=null"])

    assert config.task.class_names() == ()


def test_no_override_reaches_the_metrics_of_a_task() -> None:
    assert {*DigitsTaskConfig().fixed_metrics()} == {"accuracy", "f1"}
    with pytest.raises(ConfigError) as caught:
        load_config(["metrics=[accuracy]"])  # type: ignore[config]  # refused, as the test says
    (problem,) = caught.value.problems
    assert str(problem) == (
        "metrics.accuracy: is measured by the task already, in a fixed way; to add another:"
        " metrics.<another name>={id: accuracy, …}   metrics=[accuracy]"
    )
