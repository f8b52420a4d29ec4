"""Files that grow by a batch of samples at a time: CSV and Parquet for columns, `.npz` for arrays of any shape.

They are written under another name, beside their own, and put in place when they are complete.
"""

import csv
import shutil
import zipfile
from abc import ABC, abstractmethod
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any, Final

import numpy as np
from numpy.lib.format import dtype_to_descr, write_array_header_1_0
from numpy.typing import NDArray

from app.schemas.problems import AppError

Columns = Mapping[str, NDArray[Any]]
"""Arrays by name, whose first dimension is the samples."""

_ROW_GROUP: Final = 50_000
"""Rows that Parquet keeps together; each group has a cost of its own when it is read."""


class PredictionFile(ABC):
    """A file to write batches to."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.partial = path.with_name(f".{path.name}.partial")
        self._kinds: dict[str, tuple[np.dtype[Any], tuple[int, ...]]] | None = None

    def write(self, columns: Columns) -> None:
        """Add a batch.

        Raises:
            AppError: when it has other columns than the batches before it.
        """
        kinds = {name: (column.dtype, column.shape[1:]) for name, column in columns.items()}
        if self._kinds is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._kinds = kinds
            self._begin(columns)
        elif changed := [name for name in {**self._kinds, **kinds} if not self._alike(kinds, name)]:
            was, now = self._kinds.get(changed[0]), kinds.get(changed[0])
            raise AppError(
                f"{self.path.name}: the output '{changed[0]}' is {_kind(now)} in one batch and {_kind(was)} in those"
                " before it; all batches go into one file"
            )
        self._add(columns)

    def finish(self) -> None:
        """Put the complete file in its place."""
        self._end()
        self.partial.replace(self.path)

    def discard(self) -> None:
        """Leave nothing behind of a file that will not be complete."""
        self.partial.unlink(missing_ok=True)

    def _alike(self, kinds: Mapping[str, tuple[np.dtype[Any], tuple[int, ...]]], name: str) -> bool:
        assert self._kinds is not None
        before, now = self._kinds.get(name), kinds.get(name)
        texts = before is not None and now is not None and before[0].kind == now[0].kind == "U"  # of any length
        return texts or before == now

    @abstractmethod
    def _begin(self, columns: Columns) -> None: ...

    @abstractmethod
    def _add(self, columns: Columns) -> None: ...

    @abstractmethod
    def _end(self) -> None: ...


class CsvFile(PredictionFile):
    """Comma-separated values, UTF-8; numbers with as many digits as tell them apart in their own precision."""

    _file: IO[str]

    def _begin(self, columns: Columns) -> None:
        self._file = self.partial.open("w", encoding="utf-8", newline="")
        self._writer = csv.writer(self._file)
        self._writer.writerow(columns)

    def _add(self, columns: Columns) -> None:
        texts = [
            column.astype(np.int8 if column.dtype == bool else column.dtype).astype(str) for column in columns.values()
        ]
        self._writer.writerows(zip(*texts, strict=True))

    def _end(self) -> None:
        self._file.close()

    def discard(self) -> None:
        """Leave nothing behind of a file that will not be complete."""
        if self._kinds is not None:
            self._file.close()
        super().discard()


class ParquetFile(PredictionFile):
    """Typed columns, compressed, for pandas, Polars, DuckDB and the like."""

    def _begin(self, columns: Columns) -> None:
        self._arrow: Any = import_module("pyarrow")  # an extra
        table = self._arrow.table(dict(columns))
        self._writer: Any = import_module("pyarrow.parquet").ParquetWriter(self.partial, table.schema)
        self._waiting: list[Any] = []

    def _add(self, columns: Columns) -> None:
        self._waiting.append(self._arrow.table(dict(columns)))
        if sum(table.num_rows for table in self._waiting) >= _ROW_GROUP:
            self._flush()

    def _flush(self) -> None:
        if self._waiting:
            self._writer.write_table(self._arrow.concat_tables(self._waiting))
            self._waiting = []

    def _end(self) -> None:
        self._flush()
        self._writer.close()

    def discard(self) -> None:
        """Leave nothing behind of a file that will not be complete."""
        if self._kinds is not None:
            self._writer.close()
        super().discard()


class ArraysFile(PredictionFile):
    """NumPy's `.npz`: one array for each output, of any shape, whose first dimension is the samples."""

    _values: dict[str, IO[bytes]]

    def _begin(self, columns: Columns) -> None:
        # How many samples there are is said before the values, so the values wait in files of their own.
        folder = self.path.parent
        self._values = {name: TemporaryFile(dir=folder) for name, it in columns.items() if it.dtype.kind != "U"}  # noqa: SIM115  # closed at the end
        # How long the longest text is, too; texts are few enough to wait in memory.
        self._texts: dict[str, list[str]] = {name: [] for name in columns if name not in self._values}
        self._samples = 0

    def _add(self, columns: Columns) -> None:
        for name, column in columns.items():
            if name in self._texts:
                self._texts[name] += column.tolist()
            else:
                self._values[name].write(np.ascontiguousarray(column).tobytes())
        self._samples += len(next(iter(columns.values())))

    def _end(self) -> None:
        assert self._kinds is not None
        with zipfile.ZipFile(self.partial, "w") as archive:
            for name, (dtype, shape) in self._kinds.items():
                with archive.open(f"{name}.npy", "w", force_zip64=True) as entry:
                    if name in self._texts:
                        np.save(entry, np.asarray(self._texts[name]))
                        continue
                    header = {"descr": dtype_to_descr(dtype), "fortran_order": False, "shape": (self._samples, *shape)}
                    write_array_header_1_0(entry, header)
                    self._values[name].seek(0)
                    shutil.copyfileobj(self._values[name], entry, 1 << 20)
        self._close()

    def discard(self) -> None:
        """Leave nothing behind of a file that will not be complete."""
        if self._kinds is not None:
            self._close()
        super().discard()

    def _close(self) -> None:
        for values in self._values.values():
            values.close()


def _kind(kind: tuple[np.dtype[Any], tuple[int, ...]] | None) -> str:
    if kind is None:
        return "missing"
    dtype, shape = kind
    return f"{dtype.name} of shape ({', '.join(map(str, shape))}) for each sample"
