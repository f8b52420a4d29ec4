"""Tables in CSV files: a header, a row for each sample, numbers as features and one column to tell. No torch here.

Reading is strict. What a lenient reader would fill in, convert or leave out is refused with its row and column: rows
are counted as spreadsheets do, the header being row 1.
"""

import csv
import re
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Final

from app.data_formats.errors import DataFileError
from app.schemas.problems import did_you_mean, one_of, show

_NUMBER: Final = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_LARGEST: Final = 3.4e38
"""What 32 bits hold; anything larger would become infinite on the way into a model."""

_GAPS: Final = frozenset(("", "na", "n/a", "nan", "null", "none", "?"))
"""Cells by which people and programs say that a value is missing."""

_HEADER: Final = 1
_DELIMITERS: Final = (";", ",", "\t", "|")
"""What programs part cells by."""

_MOST_CLASSES_SHOWN: Final = 10


class MissingColumnError(DataFileError):
    """A header lacks a column.

    Args:
        column: its name.
        hint: what a user may have meant, or there is instead, after a semicolon.
        parted_otherwise: whether a header parted by another character would have it.
    """

    def __init__(self, file: Path, *, column: str, hint: str, parted_otherwise: bool) -> None:
        self.column, self.parted_otherwise = column, parted_otherwise
        super().__init__(file, "the header", found=f"none{hint}", expected=f"a column {show(column)}")


@dataclass(frozen=True, kw_only=True)
class Column:
    """What the rows say in the column that is to be told."""

    name: str
    cells: Sequence[str]
    """As they stand there, without spaces around them; none is empty."""


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table as it was read."""

    file: Path
    features: tuple[str, ...]
    """The columns that a model looks at."""

    values: "array[float]"
    """Their numbers, row by row: `len(rows) * len(features)` of them."""

    rows: Sequence[int]
    """Where each row stands in the file."""

    target: Column | None
    """The column to tell; None where none was asked for."""


def read_header(file: Path, *, delimiter: str = ",") -> list[str]:
    """The names of the columns.

    Raises:
        DataFileError: when there is no such file, or it does not begin with a row of different names.
    """
    try:
        with file.open(encoding="utf-8-sig", newline="") as lines:
            return _header(file, _rows(file, csv.reader(lines, delimiter=delimiter, strict=True)))
    except UnicodeDecodeError:
        raise DataFileError(file, "the first row", found="other bytes", expected="text in UTF-8") from None
    except OSError as error:
        raise _unreadable(file, error) from None


def feature_columns(
    file: Path,
    header: Sequence[str],
    *,
    target: str | None,
    features: Sequence[str] | None = None,
    delimiter_field: str | None = None,
) -> list[str]:
    """The columns that a model looks at: those named, or all but the target.

    `delimiter_field` is the field of a config by which the delimiter is chosen, as a message names it; None where
    nobody can.

    Raises:
        MissingColumnError: when one of them, or the target, is not in the header.
        DataFileError: when none is left.
    """
    for name in (*([] if target is None else [target]), *(features or ())):
        if name not in header:
            hint = did_you_mean(name, header) or f"; there is {_listed(header)}"
            parting = next((each for each in _DELIMITERS if _parts(header, name, each)), None)
            if parting is not None:
                hint = f"; there is {_listed(header)}; {_to_part(parting, delimiter_field)}"
            raise MissingColumnError(file, column=name, hint=hint, parted_otherwise=parting is not None)
    chosen = [name for name in header if name != target] if features is None else list(features)
    if not chosen:
        raise DataFileError(file, "the header", found=f"{show(target)} alone", expected="columns to tell it from")
    return chosen


def read_table(
    file: Path,
    *,
    target: str | None,
    features: Sequence[str] | None = None,
    delimiter: str = ",",
    delimiter_field: str | None = None,
) -> Table:
    """Read a whole table; the arguments are those of `feature_columns`.

    Raises:
        DataFileError: when anything is missing, is no number where one is expected, or is too much.
    """
    reader = csv.reader(StringIO(_text(file), newline=""), delimiter=delimiter, strict=True)
    rows = _rows(file, reader)
    header = _header(file, rows)
    names = feature_columns(file, header, target=target, features=features, delimiter_field=delimiter_field)
    places = [(header.index(name), name) for name in names]
    values, found, cells = array("d"), [], []
    for row, record in rows:
        if len(record) != len(header):
            count = f"{len(record)} cell{'s' * (len(record) != 1)}" if record else "an empty line"
            raise DataFileError(file, f"row {row}", found=count, expected=f"{len(header)} cells, as in the header")
        for place, name in places:
            values.append(_number(file, row, name, record[place]))
        if target is not None:
            cells.append(_present(file, row, target, record[header.index(target)]))
        found.append(row)
    if not found:
        raise DataFileError(file, "", found="only a header", expected="a row at least")
    column = None if target is None else Column(name=target, cells=cells)
    return Table(file=file, features=tuple(names), values=values, rows=found, target=column)


def numbers(table: Table) -> "array[float]":
    """The column to tell, as numbers.

    Raises:
        DataFileError: with the row of a cell that is none.
    """
    assert table.target is not None, "the table was read with a target"
    name = table.target.name
    cells = zip(table.rows, table.target.cells, strict=True)
    return array("d", (_number(table.file, row, name, cell) for row, cell in cells))


def class_labels(table: Table, *, num_classes: int) -> list[str]:
    """The labels that occur in the column to tell, in the order of the numbers or of the alphabet.

    Raises:
        DataFileError: when there are more or fewer than expected.
    """
    assert table.target is not None, "the table was read with a target"
    names = _in_order(set(table.target.cells))
    if len(names) != num_classes:
        shown = f"{_listed(names[:_MOST_CLASSES_SHOWN])}{', …' * (len(names) > _MOST_CLASSES_SHOWN)}"
        where = f"column {show(table.target.name)}"
        raise DataFileError(table.file, where, found=f"{len(names)}: {shown}", expected=f"{num_classes} classes")
    return names


def class_indices(table: Table, classes: Sequence[str]) -> "array[int]":
    """The column to tell, as the places of its labels among the classes.

    Raises:
        DataFileError: with the row of a label that is none of them.
    """
    assert table.target is not None, "the table was read with a target"
    index_of = {name: index for index, name in enumerate(classes)}
    indices = array("q")
    for row, cell in zip(table.rows, table.target.cells, strict=True):
        if cell not in index_of:
            where = f"row {row}, column {show(table.target.name)}"
            expected = f"{one_of(list(classes))}{did_you_mean(cell, classes).replace(';', ' —')}"
            raise DataFileError(table.file, where, found=show(cell), expected=expected)
        indices.append(index_of[cell])
    return indices


def _parts(header: Sequence[str], name: str, delimiter: str) -> bool:
    """Whether a cell of the header, parted once more, has this name in it."""
    return any(name in [part.strip() for part in cell.split(delimiter)] for cell in header)


def _to_part(delimiter: str, field: str | None) -> str:
    """How to read a file whose cells are parted so, in words."""
    if field is None:
        return f"its cells are parted by {show(delimiter)}, not as in the table"
    # A shell writes a tab in this way alone.
    return f"type $'{field}=\"\\t\"'" if delimiter == "\t" else f"type \"{field}='{delimiter}'\""


def _text(file: Path) -> str:
    try:
        return file.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        position = f"byte {error.start}"
        raise DataFileError(file, position, found="another byte", expected="text in UTF-8") from None
    except OSError as error:
        raise _unreadable(file, error) from None


def _unreadable(file: Path, error: OSError) -> DataFileError:
    return DataFileError(file, "", found=error.strerror or type(error).__name__, expected="a CSV file")


def _rows(file: Path, reader: Iterator[list[str]]) -> Iterator[tuple[int, list[str]]]:
    """The records with their places; empty lines at the end of the file are none."""
    row, empty = 0, 0
    while True:
        row += 1
        try:
            record = next(reader, None)
        except csv.Error as error:
            raise DataFileError(file, f"row {row}", found=str(error), expected="cells as CSV writes them") from None
        if record is None:
            return
        if not record:
            empty += 1
            continue
        if empty:
            yield row - empty, []
            empty = 0
        yield row, record


def _header(file: Path, rows: Iterator[tuple[int, list[str]]]) -> list[str]:
    row, cells = next(rows, (0, []))
    if not cells:
        found = "an empty line" if row else "nothing"
        raise DataFileError(file, "the header", found=found, expected="the names of the columns")
    header = [cell.strip() for cell in cells]
    for place, name in enumerate(header):
        if not name:
            raise DataFileError(file, f"row {_HEADER}, column {place + 1}", found="no name", expected="a column's name")
        if name in header[:place]:
            twice = f"{show(name)}, as column {header.index(name) + 1} is called"
            where = f"row {_HEADER}, column {place + 1}"
            raise DataFileError(file, where, found=twice, expected="a name for each column")
    return header


def _number(file: Path, row: int, column: str, cell: str) -> float:
    text = _present(file, row, column, cell)
    # Python's own idea of a number takes 1_000, infinity and the digits of every script.
    number = float(text) if _NUMBER.fullmatch(text) else None
    if number is None or abs(number) > _LARGEST:
        size = "" if number is None else f" of at most {_LARGEST:g}"
        missing = ", a missing value" if text.casefold() in _GAPS else ""
        where = f"row {row}, column {show(column)}"
        raise DataFileError(file, where, found=f"{show(text)}{missing}", expected=f"a number{size}")
    return number


def _present(file: Path, row: int, column: str, cell: str) -> str:
    text = cell.strip()
    if not text:
        raise DataFileError(file, f"row {row}, column {show(column)}", found="an empty cell", expected="a value")
    return text


def _in_order(labels: set[str]) -> list[str]:
    if all(_NUMBER.fullmatch(label) for label in labels):
        return sorted(labels, key=lambda label: (float(label), label))
    return sorted(labels)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(map(show, names))
