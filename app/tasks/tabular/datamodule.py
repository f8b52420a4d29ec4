"""The tabular data: a test split that is a function of the rows alone, train and val drawn from the others."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import torch
from torch import Tensor

from app.data_formats.csv_table import Table, class_indices, class_labels, numbers, read_table
from app.data_formats.errors import DataFileError
from app.downloads.folder import data_folder
from app.schemas.parts.kinds import option_name
from app.schemas.problems import show
from app.schemas.user_paths import user_path
from app.tasks.shared.datamodule import BaseDataModule
from app.tasks.shared.datasets import InMemoryDataset
from app.tasks.shared.splitting import every_fifth_of_each, train_and_val
from app.tasks.tabular.carried import write_carried
from app.tasks.tabular.columns import Columns, columns_of, mean_and_deviation, values_of
from app.tasks.tabular.config import TabularDataModuleConfig, TabularTaskConfig
from app.tasks.tabular.tables import DELIMITER_FIELD, CarriedTableConfig, CSVTableConfig

_MOST_SHOWN: Final = 10
"""Classes that are counted in a message."""


class Rows(NamedTuple):
    """A table in memory."""

    table: Table
    """As it was read."""

    targets: Tensor
    """Classes, or numbers in 32 bits: `(rows)`."""

    is_test: Tensor
    """Which rows are the test split, `(rows)`."""

    classes: tuple[str, ...]
    """The labels of the classes; none where the target is a number."""


class TabularDataModule(BaseDataModule[TabularDataModuleConfig, TabularTaskConfig]):
    """Rows `(columns)`, scaled; the target is a class or a number, `()`."""

    columns: Columns | None = None
    """Known once a table was set up, or a checkpoint loaded, whose columns count from then on."""

    def prepare_data(self) -> None:
        """Write the table, if scikit-learn carries it.

        Raises:
            DataFileError: when that is not possible, or another file of this name is there.
        """
        if isinstance(self.task.table, CarriedTableConfig):
            write_carried(self.task.table, self._file())

    def setup(self, stage: str) -> None:
        """Read the table and fill the splits of the stage.

        Raises:
            DataFileError: when the file is damaged, or another table than the config says.
        """
        rows = self._read()
        _require_enough(rows)
        inputs = self._learnt(rows).scaled(values_of(rows.table))
        if stage in ("fit", "validate"):
            train, val = self._train_and_val(rows)
            self.datasets["train"] = InMemoryDataset(inputs[train], rows.targets[train], self.augmentation())
            self.datasets["val"] = InMemoryDataset(inputs[val], rows.targets[val])
        else:
            test = rows.is_test.nonzero()[:, 0]
            ids = [f"{rows.table.file.name}:{rows.table.rows[place]}" for place in test.tolist()]
            self.datasets["test"] = InMemoryDataset(inputs[test], rows.targets[test], ids=ids)
            self.datasets["predict"] = self.datasets["test"]

    def read_inputs(self, files: Sequence[Path]) -> InMemoryDataset:
        """The rows of CSV files with the table's columns; there may be others, such as the target, in any order.

        They are scaled as the rows were that the model has learnt from. Where no checkpoint has said how, the table
        itself has to be there.

        Raises:
            DataFileError: when a file is damaged or lacks a column.
        """
        if (columns := self.columns) is None:
            self.prepare_data()
            columns = self._learnt(self._read())
        tables = [self._table(file, target=None, features=columns.features) for file in files]
        inputs = torch.cat([columns.scaled(values_of(table)) for table in tables])
        ids = [f"{table.file}:{row}" for table in tables for row in table.rows]
        dtype = torch.float32 if self.task.kind == "regression" else torch.int64
        return InMemoryDataset(inputs, torch.zeros(len(inputs), dtype=dtype), ids=ids)

    def class_names(self) -> tuple[str, ...]:
        """The labels of the classes, in the order that a model has learnt them in; before that, what the task says."""
        return super().class_names() if self.columns is None else self.columns.classes

    def target_scale(self) -> tuple[float, float] | None:
        """Mean and deviation of the training split's numbers; None where the target is a class."""
        if self.task.kind != "regression" or not isinstance(train := self.datasets.get("train"), InMemoryDataset):
            return None
        assert isinstance(train.targets, Tensor), "setup fills it with one"
        [mean], [deviation] = mean_and_deviation(train.targets.double()[:, None])
        return mean, deviation

    def state_dict(self) -> dict[str, Any]:
        """What other files are read by, too: a model has learnt these columns, whatever becomes of the table."""
        kept = {} if self.columns is None else {"columns": self.columns.as_state()}
        return {**super().state_dict(), **kept}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Read every table by the columns of the run that made `state_dict`, those read before too."""
        super().load_state_dict(state_dict)
        if (kept := state_dict.get("columns")) is None:
            return
        before, self.columns = self.columns, Columns.from_state(kept)
        if before not in (None, self.columns):
            # A trainer sets up before it restores.
            stages = {"train": "fit", "val": "validate", "test": "test"}
            for stage in [stage for split, stage in stages.items() if split in self.datasets]:
                self.setup(stage)

    def _read(self) -> Rows:
        described = self.task.table
        table = self._table(self._file(), target=described.target, features=self._named())
        if (len(table.features),) != self.task.input_shape:
            expected = f"{self.task.input_shape[0]} columns beside '{described.target}', as task.input_shape says"
            raise DataFileError(table.file, "the header", found=str(len(table.features)), expected=expected)
        if described.kind == "regression":
            # As one class: every fifth of all rows.
            targets = torch.tensor(numbers(table), dtype=torch.float32)
            return Rows(table, targets, every_fifth_of_each(torch.zeros_like(targets)), ())
        classes = self.class_names() or tuple(class_labels(table, num_classes=described.num_classes))
        targets = torch.tensor(class_indices(table, classes), dtype=torch.int64)
        return Rows(table, targets, every_fifth_of_each(targets), classes)

    def _learnt(self, rows: Rows) -> Columns:
        if self.columns is None:
            self.columns = columns_of(rows.table, rows.is_test, rows.classes)
        return self.columns

    def _named(self) -> tuple[str, ...] | None:
        """The columns to look at; None for all but the target."""
        if self.columns is not None:
            return self.columns.features
        return self.task.table.features if isinstance(self.task.table, CSVTableConfig) else None

    def _train_and_val(self, rows: Rows) -> tuple[Tensor, Tensor]:
        """The places of their rows; of each class the same share, so that val has rare ones too."""
        others = (~rows.is_test).nonzero()[:, 0]
        classes = None if self.task.kind == "regression" else rows.targets[others]
        train, val = train_and_val(len(others), self.datamodule_config, classes=classes)
        return others[train], others[val]

    def _file(self) -> Path:
        table = self.task.table
        if isinstance(table, CSVTableConfig):
            return user_path(table.file)
        return data_folder(self.datamodule_config.data_dir, self.task.name) / f"{option_name(table)}.csv"

    def _table(self, file: Path, *, target: str | None, features: Sequence[str] | None) -> Table:
        table = self.task.table
        if not isinstance(table, CSVTableConfig):
            return read_table(file, target=target, features=features)
        return read_table(
            file, target=target, features=features, delimiter=table.delimiter, delimiter_field=DELIMITER_FIELD
        )


def _require_enough(rows: Rows) -> None:
    """Whatever the stage: nobody wants to hear of an empty test split once all is learnt.

    Where it has a row of a class, four others of that class are there for train and val.
    """
    if rows.is_test.any():
        return
    found = f"{len(rows.targets)} row{'s' * (len(rows.targets) != 1)}"
    counts = Counter(rows.targets.tolist())
    of_each = [f"{counts[place]} of {show(name)}" for place, name in enumerate(rows.classes)]
    counted = f": {', '.join(of_each[:_MOST_SHOWN])}{', …' * (len(of_each) > _MOST_SHOWN)}" if of_each else ""
    expected = f"5 rows{' of one class' * bool(rows.classes)} at least, of which the fifth is the test split"
    raise DataFileError(rows.table.file, "", found=f"{found}{counted}", expected=expected)
