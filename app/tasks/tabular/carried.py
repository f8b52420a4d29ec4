"""The tables that scikit-learn carries, as CSV files."""

import csv
from collections.abc import Callable
from functools import partial
from io import StringIO
from pathlib import Path
from typing import Any, Final

from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine

from app.data_formats.errors import DataFileError
from app.data_formats.whole_file import write_whole
from app.tasks.tabular.tables import (
    BreastCancerTableConfig,
    CarriedTableConfig,
    DiabetesTableConfig,
    WineTableConfig,
)

# Diabetes in the units that it was measured in: scaling is the task's to do.
_LOADERS: Final[dict[type[CarriedTableConfig], Callable[[], Any]]] = {
    BreastCancerTableConfig: load_breast_cancer,
    WineTableConfig: load_wine,
    DiabetesTableConfig: partial(load_diabetes, scaled=False),
}


def write_carried(table: CarriedTableConfig, file: Path) -> None:
    """Write a table, unless the file holds just that already; another process never sees a part of it.

    Raises:
        DataFileError: when a file of this name holds something else, which is left alone, or none can be written.
    """
    content = _as_csv(table).encode()
    try:
        if not file.exists():
            write_whole(file, content)
            return
        found = file.read_bytes()
    except OSError as error:
        expected = f"a folder that {file.name} can be written into, as datamodule.data_dir=… names one"
        in_its_place = isinstance(error, FileExistsError | NotADirectoryError)
        there = "a file in its place" if in_its_place else error.strerror or type(error).__name__
        raise DataFileError(file.parent, "", found=there, expected=expected) from None
    if found != content:
        instead = "something else; move it away, or name another folder: datamodule.data_dir=…"
        raise DataFileError(file, "", found=instead, expected="nothing, or the table as scikit-learn carries it")


def _as_csv(table: CarriedTableConfig) -> str:
    data = _LOADERS[type(table)]()
    labels = getattr(data, "target_names", None)
    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*data.feature_names, table.target])
    for values, target in zip(data.data.tolist(), data.target.tolist(), strict=True):
        writer.writerow([*values, target if labels is None else labels[target]])
    return text.getvalue()
