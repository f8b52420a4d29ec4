"""What `app predict` writes: which of a module's outputs, and into what kind of file."""

from collections.abc import Iterator
from importlib.util import find_spec
from typing import Annotated, Literal

from annotated_types import MinLen

from app.schemas.codes import Code
from app.schemas.constraints import NonEmptyText
from app.schemas.loggers import missing_extra
from app.schemas.rules import Finding, rule
from app.schemas.schema import schema


@schema
class PredictionsConfig:
    """The file of predictions in the run directory: a row for each sample, in the order of the predict split."""

    format: Literal["csv", "parquet", "npz"] = "csv"
    """Kind of file; outputs of more than two dimensions, such as masks, go into an `.npz` file beside it."""

    outputs: Annotated[tuple[NonEmptyText, ...], MinLen(1)] | None = None
    """Names to write: the module's outputs, and `class` for what they decide on; null for all but bare `logits`."""

    file: NonEmptyText = "predictions"
    """Name of the file, without its ending."""

    @rule("file")
    def name_is_one(self) -> Iterator[Finding]:
        """The run directory says where; `..` would lead out of it."""
        if {"/", "\\"} & set(self.file) or self.file in (".", ".."):
            yield "file", f"expected a file's name without folders, found {self.file!r}"

    @rule("outputs")
    def outputs_are_named_once(self) -> Iterator[Finding]:
        """Two columns of one name could not be told apart."""
        for place, name in enumerate(self.outputs or ()):
            if self.outputs is not None and name in self.outputs[:place]:
                yield ("outputs", place), f"names {name} twice"

    @rule("format", code=Code.ENVIRONMENT)
    def package_is_installed(self) -> Iterator[Finding]:
        """Predictions that cannot be written must not be made."""
        if self.format == "parquet" and find_spec("pyarrow") is None:
            yield "format", missing_extra("PyArrow", "parquet")
