import errno
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from torch import Tensor

from app.data_formats.errors import DataFileError
from app.schemas.augmentations.colours import GaussianNoiseConfig
from app.schemas.augmentations.composition import OneOfConfig
from app.schemas.datamodule import DataLoaderConfig, FurtherDatasetConfig
from app.schemas.phases import Split
from app.tasks.shared.datasets import InMemoryDataset
from app.tasks.tabular.config import TabularDataModuleConfig, TabularTaskConfig
from app.tasks.tabular.datamodule import TabularDataModule
from app.tasks.tabular.tables import (
    BreastCancerTableConfig,
    CSVBinaryConfig,
    CSVMulticlassConfig,
    CSVRegressionConfig,
    DiabetesTableConfig,
    TableConfig,
    WineTableConfig,
)
from tests.tasks.contracts import DataModuleContract


class _OfATable(DataModuleContract):
    datamodule_config = TabularDataModuleConfig()
    variations = (
        TabularDataModuleConfig(split_seed=9),
        TabularDataModuleConfig(train_val_split=(0.5, 0.5)),
        TabularDataModuleConfig(dataloader=DataLoaderConfig(batch_size=3, drop_last=True)),
    )

    @pytest.fixture(autouse=True)
    def _written(self) -> None:
        made(cast(TabularTaskConfig, self.task)).prepare_data()


class TestBreastCancer(_OfATable):
    task = TabularTaskConfig(table=BreastCancerTableConfig())


class TestWine(_OfATable):
    task = TabularTaskConfig(table=WineTableConfig())


class TestDiabetes(_OfATable):
    task = TabularTaskConfig(table=DiabetesTableConfig())


def made(task: TabularTaskConfig, **fields: Any) -> TabularDataModule:
    return TabularDataModule(TabularDataModuleConfig(**fields), task)


def ready(table: TableConfig, *stages: str, **fields: Any) -> TabularDataModule:
    datamodule = made(TabularTaskConfig(table=table), **fields)
    datamodule.prepare_data()
    for stage in stages or ("fit", "test"):
        datamodule.setup(stage)
    return datamodule


def split(datamodule: TabularDataModule, name: Split) -> InMemoryDataset:
    return cast(InMemoryDataset, datamodule.datasets[name])


def targets(datamodule: TabularDataModule, name: Split) -> Tensor:
    return cast(Tensor, split(datamodule, name).targets)


def file_of(folder: Path, rows: Sequence[str], header: str = "age,rooms,price") -> str:
    file = folder / "mine.csv"
    file.write_text("\n".join([header, *rows, ""]))
    return str(file)


@pytest.mark.parametrize(
    ("table", "size"), [(BreastCancerTableConfig(), 569), (WineTableConfig(), 178), (DiabetesTableConfig(), 442)]
)
def test_every_row_is_in_exactly_one_split(table: TableConfig, size: int) -> None:
    datamodule = ready(table)
    splits: tuple[Split, ...] = ("train", "val", "test")
    rows = [row.numpy().tobytes() for name in splits for row in split(datamodule, name).inputs]

    assert len(rows) == len(set(rows)) == size


def test_of_numbers_every_fifth_row_is_the_test_split(tmp_path: Path) -> None:
    rows = [f"{row},{row * row},{row}" for row in range(1, 21)]
    datamodule = ready(CSVRegressionConfig(file=file_of(tmp_path, rows), target="price"))

    assert targets(datamodule, "test").tolist() == [5, 10, 15, 20]
    assert cast(Any, datamodule.datasets["test"]).ids == ["mine.csv:6", "mine.csv:11", "mine.csv:16", "mine.csv:21"]


def test_val_has_its_share_of_a_rare_class(tmp_path: Path) -> None:
    rows = [f"{row},1,{'rare' if row % 10 == 0 else 'usual'}" for row in range(200)]
    table = CSVBinaryConfig(file=file_of(tmp_path, rows), target="price")

    for seed in range(3):
        assert targets(ready(table, split_seed=seed), "val").tolist().count(0) == 3


def test_columns_are_scaled_over_what_is_not_tested_on(tmp_path: Path) -> None:
    # The test rows are far away, and must not be seen in the scale of the others.
    rows = [f"{1000 if row % 5 == 4 else row % 5},7,0" for row in range(20)]
    datamodule = ready(CSVRegressionConfig(file=file_of(tmp_path, rows), target="price"))

    others = torch.cat([split(datamodule, "train").inputs, split(datamodule, "val").inputs]).sinh()
    assert others[:, 0].mean().item() == pytest.approx(0, abs=1e-6)
    assert others[:, 0].var(unbiased=False).item() == pytest.approx(1, abs=1e-6)
    assert split(datamodule, "test").inputs[:, 0].sinh().min().item() > 500
    assert others[:, 1].tolist() == [0] * 16, "a column that says nothing"


def test_the_scale_does_not_depend_on_how_train_is_chosen() -> None:
    one, other = (ready(WineTableConfig(), split_seed=seed) for seed in (0, 1))

    assert torch.equal(split(one, "test").inputs, split(other, "test").inputs)
    assert not torch.equal(split(one, "train").inputs, split(other, "train").inputs)


def test_the_targets_scale_is_that_of_train() -> None:
    datamodule = ready(DiabetesTableConfig())
    train = targets(datamodule, "train").double()

    scale = datamodule.target_scale()

    assert scale is not None
    assert scale == pytest.approx((train.mean().item(), train.std(unbiased=False).item()))
    assert ready(WineTableConfig()).target_scale() is None


def test_malignant_is_the_yes() -> None:
    datamodule = ready(BreastCancerTableConfig())
    splits: tuple[Split, ...] = ("train", "val", "test")

    assert sum(targets(datamodule, name).sum().item() for name in splits) == 212


def test_a_table_is_written_where_the_config_says_and_not_twice(tmp_path: Path) -> None:
    datamodule = made(TabularTaskConfig(), data_dir=str(tmp_path / "tables"))
    datamodule.prepare_data()
    file = tmp_path / "tables" / "breast_cancer.csv"
    os.utime(file, (0, 0))

    datamodule.prepare_data()
    assert file.stat().st_mtime == 0

    assert [each.name for each in file.parent.iterdir()] == ["breast_cancer.csv"]
    assert file.stat().st_mode & 0o777 == 0o666 & ~_umask()


def _umask() -> int:
    before = os.umask(0)
    os.umask(before)
    return before


def test_a_file_of_ones_own_is_not_written_over(tmp_path: Path) -> None:
    file = tmp_path / "wine.csv"
    file.write_text("my cellar")

    with pytest.raises(
        DataFileError, match=r"wine.csv: expected nothing, or the table .* found something else; move it"
    ):
        made(TabularTaskConfig(table=WineTableConfig()), data_dir=str(tmp_path)).prepare_data()

    assert file.read_text() == "my cellar"


def test_a_folder_that_cannot_be_written_into_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataFileError, match=r"/file: expected a folder that wine.csv .* found a file in its place"):
        made(TabularTaskConfig(table=WineTableConfig()), data_dir=str(tmp_path / "file")).prepare_data()


def test_what_was_written_of_a_table_goes_away_with_the_attempt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DataFileError, match="found No space left on device"):
        made(TabularTaskConfig(table=WineTableConfig()), data_dir=str(tmp_path)).prepare_data()

    assert list(tmp_path.iterdir()) == []


def test_files_to_predict_need_no_target_and_may_have_other_columns(tmp_path: Path) -> None:
    rows = [f"{row},{row * row},{row}" for row in range(1, 21)]
    datamodule = ready(CSVRegressionConfig(file=file_of(tmp_path, rows), target="price"))
    one, other = tmp_path / "one.csv", tmp_path / "other.csv"
    one.write_text("age,rooms\n5,25\n")
    other.write_text("name,rooms,age\nann,100,10\nbob,225,15\n")

    dataset = datamodule.read_inputs([one, other])

    assert torch.equal(dataset.inputs, split(datamodule, "test").inputs[:3])
    assert dataset.ids == [f"{one}:2", f"{other}:2", f"{other}:3"]


def test_the_columns_of_a_run_are_kept_whatever_becomes_of_its_table(tmp_path: Path) -> None:
    rows = [f"{row},{row * row},{'abc'[row % 3]}" for row in range(1, 31)]
    file = file_of(tmp_path, rows)
    table = CSVMulticlassConfig(file=file, target="price", num_classes=3)
    trained = ready(table)
    new = tmp_path / "new.csv"
    new.write_text("age,rooms\n5,25\n")
    expected = trained.read_inputs([new]).inputs
    stored = json.loads(json.dumps(trained.state_dict()))

    # More rows, in another order of the columns, would be scaled otherwise.
    file_of(tmp_path, [f"{'abc'[row % 3]},{row},{row}" for row in range(1, 1000)], header="price,rooms,age")
    assert not torch.equal(made(TabularTaskConfig(table=table)).read_inputs([new]).inputs, expected)
    restored_before, restored_after = made(TabularTaskConfig(table=table)), ready(table)
    for datamodule in (restored_before, restored_after):
        datamodule.load_state_dict(stored)
        assert torch.equal(datamodule.read_inputs([new]).inputs, expected)
        assert datamodule.class_names() == ("a", "b", "c")
    restored_before.setup("fit")
    assert torch.equal(split(restored_before, "train").inputs, split(restored_after, "train").inputs)

    file_of(tmp_path, [*rows, "1,1,d"])
    with pytest.raises(DataFileError, match=r"row 32, column 'price': expected 'a', 'b' or 'c', found 'd'"):
        restored_before.setup("test")

    Path(file).unlink()
    assert torch.equal(restored_before.read_inputs([new]).inputs, expected)


def test_classes_stay_in_the_order_they_were_learnt_in(tmp_path: Path) -> None:
    file = file_of(tmp_path, [f"{row},1,{'ab'[row % 2]}" for row in range(20)])
    trained = ready(CSVBinaryConfig(file=file, target="price"))
    turned = made(TabularTaskConfig(table=CSVBinaryConfig(file=file, target="price", classes=("b", "a"))))

    assert turned.class_names() == ("b", "a")
    turned.load_state_dict(trained.state_dict())
    turned.setup("test")

    assert turned.class_names() == ("a", "b")
    assert torch.equal(targets(turned, "test"), targets(trained, "test"))


def test_a_share_of_train_may_be_used_alone() -> None:
    whole, half = ready(WineTableConfig()), ready(WineTableConfig(), train_fraction=0.5)

    assert len(split(half, "train")) == pytest.approx(len(split(whole, "train")) / 2, abs=1)
    assert torch.equal(split(half, "val").inputs, split(whole, "val").inputs)


def test_noise_alone_may_be_added_to_rows_some_of_the_time() -> None:
    half = OneOfConfig(probability=0.5, steps={"noise": GaussianNoiseConfig()})
    further = {"noisy": FurtherDatasetConfig(augmentations={"noise": GaussianNoiseConfig()})}
    datamodule = ready(WineTableConfig(), augmentations={"half": half}, test_datasets=further)
    train, test = split(datamodule, "train"), split(datamodule, "test")

    seen = train.__getitems__(range(len(train)))
    same = (seen.inputs == train.inputs).all(dim=1)

    assert 0.3 < same.float().mean() < 0.7
    assert torch.equal(seen.targets, cast(Tensor, train.targets))
    noisy = cast(InMemoryDataset, datamodule.further_dataset("test", "noisy"))
    assert (noisy.inputs - test.inputs).std().item() == pytest.approx(0.1, rel=0.2)


@pytest.mark.parametrize("table", [BreastCancerTableConfig(), WineTableConfig()])
def test_the_labels_that_the_config_knows_are_those_of_the_file(table: TableConfig) -> None:
    datamodule = ready(table)

    assert datamodule.class_names() == datamodule.task.class_names()
    assert len(datamodule.class_names()) == table.num_classes
    assert {line.rpartition(",")[2] for line in datamodule._file().read_text().splitlines()[1:]} == {
        *datamodule.class_names()
    }


def test_a_file_to_predict_that_lacks_a_column_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "new.csv"
    file.write_text("alcohol\n1\n")

    with pytest.raises(DataFileError, match=r"new.csv: the header: expected a column 'malic_acid', found none"):
        made(TabularTaskConfig(table=WineTableConfig())).read_inputs([file])


def test_a_file_that_has_changed_since_is_refused(tmp_path: Path) -> None:
    rows = ["1,2,a", "3,4,b"] * 10
    task = TabularTaskConfig(table=CSVMulticlassConfig(file=file_of(tmp_path, rows), target="price", num_classes=2))
    file_of(tmp_path, rows, header="age,rooms,price,extra")

    with pytest.raises(DataFileError, match=r"row 2: expected 4 cells, as in the header, found 3 cells"):
        made(task).setup("fit")
    file_of(tmp_path, ["1,a", "2,b"], header="age,price")
    with pytest.raises(DataFileError, match=r"expected 2 columns beside 'price', as task.input_shape says, found 1"):
        made(task).setup("fit")
    file_of(tmp_path, [*rows, "5,6,c"])
    with pytest.raises(DataFileError, match=r"column 'price': expected 2 classes, found 3: 'a', 'b', 'c'"):
        made(task).setup("fit")


@pytest.mark.parametrize("stage", ["fit", "test"])
def test_a_table_too_small_to_be_split_is_counted(stage: str, tmp_path: Path) -> None:
    classes = [f"{row},1,{'no' if row % 2 else 'yes'}" for row in range(6)]
    file = file_of(tmp_path, classes)
    with pytest.raises(DataFileError) as caught:
        made(TabularTaskConfig(table=CSVBinaryConfig(file=file, target="price"))).setup(stage)
    expected = "5 rows of one class at least, of which the fifth is the test split"
    assert str(caught.value) == f"{file}: expected {expected}, found 6 rows: 3 of 'no', 3 of 'yes'"

    file = file_of(tmp_path, ["1,2,3"])
    with pytest.raises(DataFileError, match=r"expected 5 rows at least, of which the fifth .* found 1 row$"):
        made(TabularTaskConfig(table=CSVRegressionConfig(file=file, target="price"))).setup(stage)


@pytest.mark.parametrize("classes", [5, 4])
def test_five_rows_of_a_class_are_enough(classes: int, tmp_path: Path) -> None:
    rows = [f"{row},1,{'yes' if row < classes else 'no'}" for row in range(9)]
    datamodule = ready(CSVBinaryConfig(file=file_of(tmp_path, rows), target="price"))

    assert all(len(split(datamodule, name)) for name in ("train", "val", "test"))


@pytest.mark.parametrize("own", [True, False])
def test_a_file_to_predict_that_is_parted_otherwise_is_refused(own: bool, tmp_path: Path) -> None:
    rows = [f"{row},1,{row}" for row in range(10)]
    table = CSVRegressionConfig(file=file_of(tmp_path, rows), target="price") if own else WineTableConfig()
    datamodule = ready(table)
    file = tmp_path / "new.csv"
    file.write_text(f"{';'.join(datamodule.columns.features if datamodule.columns else ())}\n")

    with pytest.raises(DataFileError) as caught:
        datamodule.read_inputs([file])

    hint = """type "task.table.delimiter=';'\"""" if own else "its cells are parted by ';', not as in the table"
    assert str(caught.value).endswith(f"; {hint}")
