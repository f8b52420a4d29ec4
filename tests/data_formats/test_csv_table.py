"""The CSV reader: what it reads, and that whatever else there is comes back with its place."""

import tempfile
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.data_formats.csv_table import MissingColumnError, class_indices, class_labels, numbers, read_header, read_table
from app.data_formats.errors import DataFileError

GOOD = "age,rooms,price\n1,2,30.5\n4,5.5,6e2\n"


def written(folder: Path, content: str | bytes) -> Path:
    file = folder / "table.csv"
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return file


def test_a_table_has_its_numbers_row_by_row(tmp_path: Path) -> None:
    table = read_table(written(tmp_path, GOOD), target="price")

    assert table.features == ("age", "rooms")
    assert list(table.values) == [1, 2, 4, 5.5]
    assert list(table.rows) == [2, 3]
    assert list(numbers(table)) == [30.5, 600]


def test_columns_are_taken_by_name_in_the_order_asked_for(tmp_path: Path) -> None:
    table = read_table(written(tmp_path, GOOD), target=None, features=["price", "age"])

    assert (table.features, list(table.values), table.target) == (("price", "age"), [30.5, 1, 600, 4], None)


@pytest.mark.parametrize(
    "content",
    [
        "\ufeffage,price\n1,2\n",
        "age,price\r\n1,2\r\n",
        "age,price\n1,2",
        "age,price\n1,2\n\n\n",
        " age , price \n 1 , 2 \n",
        '"age","price"\n"1","2"\n',
    ],
    ids=["byte order mark", "Windows' line ends", "no last line end", "empty last lines", "spaces", "quotes"],
)
def test_what_programs_write_is_read(tmp_path: Path, content: str) -> None:
    table = read_table(written(tmp_path, content), target="price")

    assert (table.features, list(table.values), list(numbers(table))) == (("age",), [1], [2])


def test_the_delimiter_may_be_another(tmp_path: Path) -> None:
    file = written(tmp_path, "age;price\n1;2\n")

    assert read_header(file, delimiter=";") == ["age", "price"]
    assert list(read_table(file, target="price", delimiter=";").values) == [1]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "the header: expected the names of the columns, found nothing"),
        ("\n\nage,price\n", "the header: expected the names of the columns, found an empty line"),
        ("age,rooms,price\n", "expected a row at least, found only a header"),
        (
            "age,age,price\n1,2,3\n",
            "row 1, column 2: expected a name for each column, found 'age', as column 1 is called",
        ),
        ("age,,price\n1,2,3\n", "row 1, column 2: expected a column's name, found no name"),
        ("age,rooms\n1,2\n", "the header: expected a column 'price', found none; there is 'age', 'rooms'"),
        ("age,prise\n1,2\n", "the header: expected a column 'price', found none; did you mean 'prise'?"),
        ("price\n1\n", "the header: expected columns to tell it from, found 'price' alone"),
        ("age,price\n1,2\n3\n", "row 3: expected 2 cells, as in the header, found 1 cell"),
        ("age,price\n1,2,3\n", "row 2: expected 2 cells, as in the header, found 3 cells"),
        ("age,price\n1,2\n\n3,4\n", "row 3: expected 2 cells, as in the header, found an empty line"),
        ("age,price\n1,2\n,4\n", "row 3, column 'age': expected a value, found an empty cell"),
        ("age,price\n1,2\n3, \n", "row 3, column 'price': expected a value, found an empty cell"),
        ("age,price\nNaN,2\n", "row 2, column 'age': expected a number, found 'NaN', a missing value"),
        ("age,price\nold,2\n", "row 2, column 'age': expected a number, found 'old'"),
        ("age,price\n1_000,2\n", "row 2, column 'age': expected a number, found '1_000'"),
        ("age,price\ninf,2\n", "row 2, column 'age': expected a number, found 'inf'"),
        ("age,price\n1e39,2\n", "row 2, column 'age': expected a number of at most 3.4e+38, found '1e39'"),
        ('age,price\n"1"2,3\n', "row 2: expected cells as CSV writes them, found ',' expected after '\"'"),
        (b"age,price\n1,\xff\n", "byte 12: expected text in UTF-8, found another byte"),
    ],
)
def test_damage_is_refused_with_its_place(tmp_path: Path, content: str | bytes, message: str) -> None:
    file = written(tmp_path, content)

    with pytest.raises(DataFileError) as caught:
        read_table(file, target="price")

    assert str(caught.value) == f"{file}: {message}"


@pytest.mark.parametrize(
    ("header", "typed"),
    [
        ("age;price", """type "task.table.delimiter=';'\""""),
        ("age|price", """type "task.table.delimiter='|'\""""),
        ("age\tprice", """type $'task.table.delimiter="\\t"'"""),
    ],
)
def test_what_parts_the_cells_instead_is_said(header: str, typed: str, tmp_path: Path) -> None:
    file = written(tmp_path, f"{header}\n")
    expected = f"the header: expected a column 'price', found none; there is {header!r}"
    messages = []
    for field in ("task.table.delimiter", None):
        with pytest.raises(MissingColumnError) as caught:
            read_table(file, target="price", delimiter_field=field)
        messages.append(str(caught.value))

    fixed = f"its cells are parted by {header[3]!r}, not as in the table"
    assert messages == [f"{file}: {expected}; {typed}", f"{file}: {expected}; {fixed}"]


def test_a_target_that_is_no_number_is_refused_with_its_row(tmp_path: Path) -> None:
    table = read_table(written(tmp_path, "age,price\n1,2\n3,much\n"), target="price")

    with pytest.raises(DataFileError, match=r"row 3, column 'price': expected a number, found 'much'$"):
        numbers(table)


@pytest.mark.parametrize("found", ["nothing there", "a folder"])
def test_what_is_no_file_is_refused(tmp_path: Path, found: str) -> None:
    file = tmp_path if found == "a folder" else tmp_path / "nowhere.csv"

    for read in (lambda: read_header(file), lambda: read_table(file, target="price")):
        with pytest.raises(DataFileError, match="expected a CSV file, found "):
            read()


def test_a_header_of_other_bytes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataFileError, match=r"the first row: expected text in UTF-8, found other bytes"):
        read_header(written(tmp_path, b"\x80\n"))


def test_classes_are_in_the_order_of_the_alphabet_or_of_numbers(tmp_path: Path) -> None:
    words = read_table(written(tmp_path, "x,y\n1,no\n1,yes\n1,maybe\n1,no\n"), target="y")
    assert class_labels(words, num_classes=3) == ["maybe", "no", "yes"]

    digits = read_table(written(tmp_path, "x,y\n1,10\n1,9\n1,-1\n"), target="y")
    assert class_labels(digits, num_classes=3) == ["-1", "9", "10"]


def test_classes_that_are_named_keep_their_order(tmp_path: Path) -> None:
    table = read_table(written(tmp_path, "x,y\n1,no\n1,yes\n"), target="y")

    assert list(class_indices(table, ["yes", "no", "never"])) == [1, 0]


def test_an_unknown_class_is_refused_with_its_row(tmp_path: Path) -> None:
    table = read_table(written(tmp_path, "x,y\n1,no\n1,yess\n"), target="y")

    with pytest.raises(DataFileError, match=r"row 3, column 'y': expected 'no' or 'yes' — did you mean 'yes'\?, found"):
        class_indices(table, ["no", "yes"])


def test_more_classes_than_expected_are_refused(tmp_path: Path) -> None:
    table = read_table(written(tmp_path, "x,y\n1,a\n1,b\n1,c\n"), target="y")

    with pytest.raises(DataFileError, match=r"column 'y': expected 2 classes, found 3: 'a', 'b', 'c'$"):
        class_labels(table, num_classes=2)


CELLS = st.one_of(st.sampled_from(["a", "b", "y", "1", "-2.5", "nan", "", '"', "\r", "\0", "1e999", "٣"]), st.text())
TEXTS = st.one_of(
    st.text().map(str.encode),
    st.binary(),
    st.lists(st.lists(CELLS, max_size=4), max_size=5).map(
        lambda rows: "\n".join(",".join(row) for row in rows).encode(errors="replace")
    ),
    st.lists(st.lists(st.sampled_from(["0", "1", "2.5"]), min_size=3, max_size=3), max_size=5).map(
        lambda rows: "\n".join(["a,b,y", *(",".join(row) for row in rows)]).encode()
    ),
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(content=TEXTS, delimiter=st.sampled_from(",;\t|é"))
def test_any_bytes_are_a_table_or_refused(content: bytes, delimiter: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = written(Path(folder), content)
        # Any other exception is a failure.
        with suppress(DataFileError):
            table = read_table(file, target="y", delimiter=delimiter)
            assert len(table.values) == len(table.rows) * len(table.features) > 0
            assert read_header(file, delimiter=delimiter)
            numbers(table)
            class_indices(table, class_labels(table, num_classes=2))


def test_some_of_the_tables_tried_are_right(tmp_path: Path) -> None:
    assert len(read_table(written(tmp_path, b"a,b,y\n0,1,2.5\n"), target="y").rows) == 1
