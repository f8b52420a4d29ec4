import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from app.compose import load_config
from app.schemas.batch import TensorSpec
from app.schemas.plain import to_plain
from app.schemas.problems import ConfigError
from app.schemas.run import RunConfig
from app.schemas.validation import from_plain
from app.tasks.tabular.config import TabularDataModuleConfig, TabularTaskConfig
from app.tasks.tabular.tables import (
    CSVBinaryConfig,
    CSVMulticlassConfig,
    CSVRegressionConfig,
    DiabetesTableConfig,
    TableConfig,
    WineTableConfig,
)

TABLES = [
    ("breast_cancer", "binary", 2, 30, "bce_with_logits", ["accuracy", "f1", "auroc"]),
    ("wine", "multiclass", 3, 13, "cross_entropy", ["accuracy", "f1", "auroc"]),
    ("diabetes", "regression", 1, 10, "mse", ["mean_squared_error", "mean_absolute_error", "r2"]),
]


PRICES = ["table=csv_regression", "task.table.file={prices}", "task.table.target=price"]


@pytest.fixture
def prices(tmp_path: Path) -> Path:
    file = tmp_path / "prices.csv"
    file.write_text("age,rooms,price\n" + "".join(f"{row},{row % 3},{row * 2.5}\n" for row in range(20)))
    return file


def messages(error: pytest.ExceptionInfo[ConfigError]) -> list[str]:
    return [str(problem) for problem in error.value.problems]


@pytest.mark.parametrize(("table", "kind", "classes", "features", "loss", "metrics"), TABLES)
def test_loss_and_metrics_and_sizes_follow_from_the_table(
    table: str, kind: str, classes: int, features: int, loss: str, metrics: list[str]
) -> None:
    config = load_config(["task=tabular", f"table={table}"])

    assert (config.task.kind, config.task.num_classes, config.task.input_shape) == (kind, classes, (features,))
    assert list(config.joint_loss.losses) == [loss]
    assert list(config.task.fixed_metrics()) == metrics
    assert config.task.test_fingerprint is not None


def test_breast_cancer_is_the_table_where_none_is_chosen() -> None:
    assert load_config(["task=tabular"]) == load_config(["task=tabular", "table=breast_cancer"])


def test_the_same_config_comes_from_python() -> None:
    for table in (WineTableConfig(), DiabetesTableConfig()):
        name = {WineTableConfig: "wine", DiabetesTableConfig: "diabetes"}[type(table)]

        assert RunConfig(task=TabularTaskConfig(table=table)) == load_config(["task=tabular", f"table={name}"])


def test_a_file_of_ones_own_needs_its_path_and_target_alone(prices: Path) -> None:
    by_overrides = load_config(
        ["task=tabular", "table=csv_regression", f"task.table.file={prices}", "task.table.target=price"]
    )
    in_python = RunConfig(task=TabularTaskConfig(table=CSVRegressionConfig(file=str(prices), target="price")))

    assert by_overrides == in_python
    assert in_python.task.input_shape == (2,)
    assert in_python.task.test_fingerprint is None


def test_a_stored_config_is_read_without_the_file(prices: Path) -> None:
    task = TabularTaskConfig(table=CSVRegressionConfig(file=str(prices), target="price"))
    stored = to_plain(task)
    prices.unlink()

    assert from_plain(stored) == task


@pytest.mark.parametrize(
    ("overrides", "found"),
    [
        (["table=csv"], ["table: no option 'csv'; did you mean 'csv_binary'?"]),
        (["table=csv_regression"], ["task.table.target: needs a value", "task.table.file: needs a value"]),
        (
            ["table=csv_regression", "task.table.file=nowhere.csv", "task.table.target=price"],
            ["task.table.file: nowhere.csv: expected a CSV file, found No such file or directory"],
        ),
        (
            ["table=csv_regression", "task.table.file='~nobody-of-this-name/prices.csv'", "task.table.target=price"],
            ["task.table.file: ~nobody-of-this-name/prices.csv: there is no home folder '~nobody-of-this-name'"],
        ),
        (
            ["table=csv_regression", "task.table.file={prices}", "task.table.target=prise"],
            ["task.table.target: ", "did you mean 'price'?   task.table.target=prise"],
        ),
        (
            [*PRICES, "task.table.features=[age,z]"],
            ["task.table.features[1]: ", "expected a column 'z', found none", "   task.table.features=[age,z]"],
        ),
        (
            [*PRICES, "task.table.delimiter='|'"],
            ["task.table.delimiter: ", """; type "task.table.delimiter=','"   task.table.delimiter='|'"""],
        ),
        (
            ["table=csv_binary", *PRICES[1:], "task.table.classes=[0,b]"],
            ["task.table.classes[0]: expected a text that is not empty, found 0; type \"task.table.classes=['0',…]\""],
        ),
        (
            ["task.table.file={prices}"],
            [
                "task.table.file: BreastCancerTableConfig has no such field; ",
                "; table=csv_binary, csv_multiclass and csv_regression have it",
            ],
        ),
        (
            ["table=csv_regression", "task.table.file={prices}", "task.table.target=age", "task.table.delimiter=';'"],
            ["the header: expected a column 'age', found none"],
        ),
        (
            ["table=csv_regression", "task.table.file={prices}", "task.table.target=age", "task.table.delimiter=ab"],
            ["task.table.delimiter: expected one character"],
        ),
        (["task.table.num_classes=4"], ["task.table.num_classes: expected 2, found 4"]),
        (["task.input_shape=[4]"], ["task.input_shape: follows from the table: expected the list [30]"]),
        (["table=diabetes", "loss=[cross_entropy]"], ["joint_loss.losses.cross_entropy: "]),
        (["module=parts"], ["module.model_config.backbone: takes images, and an input of the task is of shape"]),
        (["datamodule.train_val_split=[0.5,0.4]"], ["datamodule.train_val_split: the shares must add up to 1"]),
    ],
)
def test_what_does_not_fit_is_refused(overrides: list[str], found: list[str], prices: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(["task=tabular", *(word.replace("{prices}", str(prices)) for word in overrides)])

    said = "\n".join(messages(caught))
    assert [each for each in found if each not in said] == [], said


@pytest.mark.parametrize("word", ["task.table.file=üml äut.csv", "task.table.delimiter=;"])
def test_what_cannot_be_read_is_not_said_to_be_missing(word: str, prices: Path) -> None:
    words = ["task=tabular", *(each.replace("{prices}", str(prices)) for each in PRICES)]
    with pytest.raises(ConfigError) as caught:
        load_config([each for each in words if not each.startswith(word.partition("=")[0])] + [word])

    [problem] = caught.value.problems
    assert problem.message.startswith("the value cannot be read")


def test_what_changes_images_is_refused_wherever_it_stands() -> None:
    noise, flip = "{id: gaussian_noise}", "{id: horizontal_flip}"
    one_of = f"{{id: one_of, steps: {{a: {noise}, b: {flip}}}}}"
    with pytest.raises(ConfigError) as caught:
        load_config(
            [
                "task=tabular",
                "augmentation=[gaussian_noise,random_affine]",
                f"datamodule.test_datasets={{m: {{augmentations: {{noise: {noise}, flip: {flip}}}}}}}",
                f"datamodule.val_datasets={{m: {{augmentations: {{o: {one_of}}}}}}}",
            ]
        )

    assert [problem.path for problem in caught.value.problems] == [
        "datamodule.augmentations.random_affine",
        "datamodule.val_datasets.m.augmentations.o.steps.b",
        "datamodule.test_datasets.m.augmentations.flip",
    ]
    assert {problem.message for problem in caught.value.problems} == {
        (
            "changes images, and an input of the task is of shape [30];"
            " of all augmentations gaussian_noise alone changes these"
        )
    }


def test_the_labels_of_classes_are_known_where_the_config_has_them() -> None:
    def names(table: TableConfig) -> tuple[str, ...]:
        columns = table.num_features() if table.carried else 1
        return TabularTaskConfig(table=table, input_shape=(columns,)).class_names()

    assert names(WineTableConfig()) == ("class_0", "class_1", "class_2")
    assert names(DiabetesTableConfig()) == ()
    assert names(CSVBinaryConfig(file="any.csv", target="x", classes=("no", "yes"))) == ("no", "yes")
    assert names(CSVBinaryConfig(file="any.csv", target="x")) == ()


def test_a_table_of_ones_own_may_be_pinned(prices: Path) -> None:
    table = CSVRegressionConfig(file=str(prices), target="price", test_fingerprint="ab")

    assert TabularTaskConfig(table=table).test_fingerprint == "ab"


def test_another_kind_than_the_tables_is_refused() -> None:
    with pytest.raises(ConfigError, match="kind: follows from the table, which has 'binary', found 'regression'"):
        TabularTaskConfig(kind="regression")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"classes": ("no", "yes", "maybe")}, "expected 2 labels, one for each class, found 3"),
        ({"classes": ("no", "no")}, "expected a label of its own"),
        ({"features": ("age", "age")}, "'age' is named twice"),
        ({"features": ("age", "price")}, "'price' is the target"),
    ],
)
def test_columns_and_labels_are_named_once(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        CSVBinaryConfig(file="any.csv", target="price", **fields)


def test_how_many_classes_there_are_is_asked_for() -> None:
    with pytest.raises(ConfigError, match="num_classes: needs a value: a whole number of at least 2"):
        CSVMulticlassConfig(file="any.csv", target="price")  # type: ignore[call-arg]  # the point


def test_a_table_is_of_no_other_task() -> None:
    overrides = ["table=wine"]

    with pytest.raises(ConfigError, match=r"task.table: DigitsTaskConfig has no such field"):
        load_config(overrides)


def test_the_batch_follows_from_the_table() -> None:
    batch = TabularDataModuleConfig().batch(TabularTaskConfig(table=DiabetesTableConfig()))

    assert batch.input == TensorSpec(shape=(10,))
    assert batch.targets == {"target": TensorSpec(shape=())}


def test_reading_the_config_imports_nothing_heavy() -> None:
    code = (
        "import sys, app.tasks.tabular.config; "
        "print(*({'torch', 'lightning', 'torchmetrics', 'sklearn', 'wandb', 'numpy'} & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert found.stdout == "\n"
