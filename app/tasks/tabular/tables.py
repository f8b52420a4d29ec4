"""The tables that the tabular task can be about: three that scikit-learn carries, and any CSV file. No torch here."""

from collections.abc import Iterator
from typing import Annotated, ClassVar, Final, Literal

from annotated_types import Ge, Le, MinLen
from pydantic import AfterValidator, BeforeValidator

from app.data_formats.csv_table import MissingColumnError, feature_columns, read_header
from app.schemas.constraints import LARGEST_INT, NonEmptyText, PositiveInt
from app.schemas.problems import AppError, show
from app.schemas.registry import group, register
from app.schemas.rules import Finding, rule
from app.schemas.schema import schema
from app.schemas.user_paths import UserPath, user_path

TableKind = Literal["binary", "multiclass", "regression"]
"""What the column to tell says of a row."""

AtLeastTwo = Annotated[int, Ge(2), Le(LARGEST_INT)]


def _delimiter(text: str) -> str:
    if len(text) != 1 or text in '"\r\n ':
        raise ValueError(f"expected one character such as ',', ';' or a tab, found {show(text)}")
    return text


def _no_number(value: object) -> object:
    """A value that is no number: one may be meant as a label, but would equal none, since cells are texts."""
    if not isinstance(value, int | float):
        return value
    typed = f"\"task.table.classes=['{show(value)}',…]\""
    raise ValueError(f"expected a text that is not empty, found {show(value)}; type {typed}")


Label = Annotated[NonEmptyText, BeforeValidator(_no_number)]
"""What cells of a class hold."""

DELIMITER_FIELD: Final = "task.table.delimiter"
"""Where a run has it."""

Delimiter = Annotated[str, AfterValidator(_delimiter)]
"""What the csv module takes between two cells."""


@group("table", mount="task.table")
@schema
class TableConfig:
    """A table, and the column of it that is to be told from the others."""

    kind: TableKind
    """What that column says: yes or no, one of several classes, or a number."""

    num_classes: PositiveInt
    """How many classes there are; 1 for a number."""

    target: NonEmptyText
    """The name of that column."""

    test_fingerprint: NonEmptyText | None
    """SHA-256 of the test split; null for a table that no task pins."""

    monitor: NonEmptyText = "val/loss"
    """What picks the best checkpoint, unless `task.monitor` says otherwise; the smaller the better."""

    carried: ClassVar[bool] = False
    """Whether scikit-learn carries it, so that it need not be found."""

    def num_features(self) -> int:
        """How many columns a model looks at.

        Raises:
            AppError: when that stands in a file, and cannot be read.
        """
        raise NotImplementedError

    def class_names(self) -> tuple[str, ...]:
        """The labels of the classes in the order of their indices; none for numbers, or where only the file says."""
        return ()


@schema
class CarriedTableConfig(TableConfig):
    """A table that scikit-learn carries; `prepare_data` writes it as a CSV file."""

    abstract: ClassVar = True
    carried: ClassVar = True
    width: ClassVar[int]


@register("table", "breast_cancer", target="app.tasks.tabular.tables.BreastCancerTableConfig")
@schema
class BreastCancerTableConfig(CarriedTableConfig):
    """Is a tumour malignant? 569 biopsies with 30 measurements of cell nuclei each (Street et al., 1993)."""

    width: ClassVar = 30

    kind: Literal["binary"] = "binary"
    """Malignant or benign."""

    num_classes: Literal[2] = 2
    """Malignant is the yes."""

    target: Literal["diagnosis"] = "diagnosis"
    """The column to tell."""

    test_fingerprint: Literal["a94bfc9ddb2b5808948990a78b3939fb5ecc624e0c108891c608e09735b5cc05"] = (
        "a94bfc9ddb2b5808948990a78b3939fb5ecc624e0c108891c608e09735b5cc05"
    )
    """SHA-256 of the test split; testing on anything else is refused."""

    monitor: NonEmptyText = "train/loss"
    """The training loss, by which the last epochs are the best: of the 91 rows of val, a single malignant tumour that
    measures like a benign one outweighs the others in `val/loss`, which rises while the model still gets better."""

    def num_features(self) -> int:
        """Mean, error and worst of ten measurements."""
        return self.width

    def class_names(self) -> tuple[str, ...]:
        """As the file has them."""
        return ("benign", "malignant")


@register("table", "wine", target="app.tasks.tabular.tables.WineTableConfig")
@schema
class WineTableConfig(CarriedTableConfig):
    """Which of three cultivars is a wine of? 178 wines with 13 chemical measurements each (Forina et al., 1988)."""

    width: ClassVar = 13

    kind: Literal["multiclass"] = "multiclass"
    """One of several cultivars."""

    num_classes: Literal[3] = 3
    """There are three cultivars."""

    target: Literal["cultivar"] = "cultivar"
    """The column to tell."""

    test_fingerprint: Literal["97c543c1f5355db89264a7ca383aaad48f641db4e15bdb93e9c01519cf465454"] = (
        "97c543c1f5355db89264a7ca383aaad48f641db4e15bdb93e9c01519cf465454"
    )
    """SHA-256 of the test split; testing on anything else is refused."""

    def num_features(self) -> int:
        """One for each measurement."""
        return self.width

    def class_names(self) -> tuple[str, ...]:
        """As scikit-learn calls them; nobody says which cultivars they are."""
        return ("class_0", "class_1", "class_2")


@register("table", "diabetes", target="app.tasks.tabular.tables.DiabetesTableConfig")
@schema
class DiabetesTableConfig(CarriedTableConfig):
    """How far does diabetes progress in a year? 442 patients, 10 measurements each (Efron et al., 2004)."""

    width: ClassVar = 10

    kind: Literal["regression"] = "regression"
    """A number from 25 to 346."""

    num_classes: Literal[1] = 1
    """A single number is told."""

    target: Literal["progression"] = "progression"
    """The column to tell."""

    test_fingerprint: Literal["671be07913f577d1057b3be3b5fd1266dc26220417f9b9f25a2ec83a18b536b2"] = (
        "671be07913f577d1057b3be3b5fd1266dc26220417f9b9f25a2ec83a18b536b2"
    )
    """SHA-256 of the test split; testing on anything else is refused."""

    def num_features(self) -> int:
        """Age, sex, body mass index, blood pressure and six measurements of blood serum."""
        return self.width


@schema
class CSVTableConfig(TableConfig):
    """A CSV file of yours: a header, then a row for each sample, with numbers in all columns but the target.

    Every fifth row, of each class where there are classes, becomes the test split, in the order of the file.
    """

    abstract: ClassVar = True

    file: UserPath
    """The file, in UTF-8."""

    features: Annotated[tuple[NonEmptyText, ...], MinLen(1)] | None = None
    """The columns that a model looks at; null is all but the target."""

    delimiter: Delimiter = ","
    """What stands between two cells, such as `,`, `;` or a tab."""

    test_fingerprint: NonEmptyText | None = None
    """What a run of yours has stored as `test_fingerprint` in its result: testing on anything else is refused then."""

    @rule("features", "target")
    def _features_are_other_columns(self) -> Iterator[Finding]:
        """What is to be told must not be looked at, and a column counts once."""
        for place, name in enumerate(self.features or ()):
            if name == self.target:
                yield ("features", place), f"{show(name)} is the target, which a model would only have to repeat"
            elif name in (self.features or ())[:place]:
                yield ("features", place), f"{show(name)} is named twice"

    def num_features(self) -> int:
        """How many are named, or stand in the file's header.

        Raises:
            AppError: when there is no such file, it has no header, or lacks a column.
        """
        return len(self.columns())

    def columns(self) -> list[str]:
        """The columns that a model looks at, by the file's header.

        Raises:
            AppError: when there is no such file, it has no header, or lacks a column.
        """
        path = user_path(self.file)
        header = read_header(path, delimiter=self.delimiter)
        return feature_columns(
            path, header, target=self.target, features=self.features, delimiter_field=DELIMITER_FIELD
        )


@schema
class CSVClassesConfig(CSVTableConfig):
    """A CSV file of yours whose target is a class."""

    abstract: ClassVar = True

    classes: Annotated[tuple[Label, ...], MinLen(2)] | None = None
    """The labels, in the order of their indices; null is those that occur, by number or alphabet."""

    @rule("classes", "num_classes")
    def _every_class_has_a_label(self) -> Iterator[Finding]:
        """Each label is one class."""
        if self.classes is None:
            return
        if len(self.classes) != self.num_classes:
            yield "classes", f"expected {self.num_classes} labels, one for each class, found {len(self.classes)}"
        for place, name in enumerate(self.classes):
            if name in self.classes[:place] or name != name.strip():
                yield ("classes", place), f"expected a label of its own, without spaces around it, found {show(name)}"

    def class_names(self) -> tuple[str, ...]:
        """Those that are named."""
        return self.classes or ()


@register("table", "csv_binary", target="app.tasks.tabular.tables.CSVBinaryConfig")
@schema
class CSVBinaryConfig(CSVClassesConfig):
    """A CSV file of yours whose target is yes or no, in any two words; the second of `classes` is the yes."""

    kind: Literal["binary"] = "binary"
    """The target is yes or no."""

    num_classes: Literal[2] = 2
    """There are two, no and yes."""


@register("table", "csv_multiclass", target="app.tasks.tabular.tables.CSVMulticlassConfig")
@schema
class CSVMulticlassConfig(CSVClassesConfig):
    """A CSV file of yours whose target is one of several classes."""

    kind: Literal["multiclass"] = "multiclass"
    """One of several classes."""

    num_classes: AtLeastTwo
    """How many classes there are: the file must have as many."""


@register("table", "csv_regression", target="app.tasks.tabular.tables.CSVRegressionConfig")
@schema
class CSVRegressionConfig(CSVTableConfig):
    """A CSV file of yours whose target is a number."""

    kind: Literal["regression"] = "regression"
    """The target is a number."""

    num_classes: Literal[1] = 1
    """A single number is told."""


def unreadable(table: TableConfig) -> Finding | None:
    """What keeps a table's columns from being counted, and the field of the table to change; or None."""
    try:
        table.num_features()
    except MissingColumnError as error:
        if error.parted_otherwise:
            return "delimiter", str(error)
        if error.column == table.target or not isinstance(table, CSVTableConfig):
            return "target", str(error)
        return ("features", (table.features or ()).index(error.column)), str(error)
    except AppError as error:
        return "file", str(error)
    return None
