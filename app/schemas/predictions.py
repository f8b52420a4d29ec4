"""What `app predict` looks at and writes: the samples, which of a module's outputs, and into what kind of file."""

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Literal

from annotated_types import MinLen

from app.schemas.constraints import FileName, NonEmptyText, NonNegativeInt
from app.schemas.problems import missing_extra, one_of
from app.schemas.rules import Finding, rule
from app.schemas.schema import schema
from app.schemas.user_paths import UserPath, user_path


@schema
class PredictionsConfig:
    """The file of predictions in the run directory: a row for each sample, in the order that they are read in."""

    inputs: Annotated[tuple[UserPath, ...], MinLen(1)] | None = None
    """Files to predict instead of the task's predict split, or folders of them; null for the predict split."""

    format: Literal["csv", "parquet", "npz"] = "csv"
    """Kind of file; outputs of more than two dimensions, such as masks, go into an `.npz` file beside it."""

    outputs: Annotated[tuple[NonEmptyText, ...], MinLen(1)] | None = None
    """Names to write: the module's outputs, and `class` for what they decide on; null for all but bare `logits`."""

    file: FileName = "predictions"
    """Name of the file, without its ending."""

    num_pictured: NonNegativeInt = 16
    """The first so many samples are drawn with what is predicted of them, into a `.png`, if they are images."""

    @rule("inputs")
    def inputs_are_there(self) -> Iterator[Finding]:
        """Found out before the weights are read."""
        for place, name in enumerate(self.inputs or ()):
            if not user_path(name).exists():
                instead = "; a folder stands for all files in it that the task can read" if "*" in name else ""
                yield ("inputs", place), f"there is no file or folder {name!r}{instead}"

    @rule("outputs")
    def outputs_are_named_once(self) -> Iterator[Finding]:
        """Two columns of one name could not be told apart."""
        for place, name in enumerate(self.outputs or ()):
            if self.outputs is not None and name in self.outputs[:place]:
                yield ("outputs", place), f"names {name} twice"

    def missing_package(self) -> str | None:
        """What to install before predictions can be written in this format; None when all is there."""
        missing = self.format == "parquet" and find_spec("pyarrow") is None
        return missing_extra("PyArrow", "parquet") if missing else None

    def input_files(self, endings: tuple[str, ...]) -> list[Path]:
        """The files that `inputs` names; of a folder those with one of the endings, by name."""
        found = [user_path(name) for name in self.inputs or ()]
        return [file for path in found for file in (_files_in(path, endings) if path.is_dir() else [path])]

    def unread_inputs(self, endings: tuple[str, ...]) -> Iterator[Finding]:
        """What a task whose files have these endings cannot read."""
        if self.inputs and not endings:
            yield "inputs", "this task reads no files; leave it out to predict the task's predict split"
            return
        named: dict[Path, str] = {}
        for place, name in enumerate(self.inputs or ()):
            path = user_path(name)
            files = _files_in(path, endings) if path.is_dir() else [path]
            if path.is_dir() and not files:
                yield ("inputs", place), f"there is no file that ends in {one_of(endings)} in {name!r}"
            elif path.is_file() and not path.name.lower().endswith(endings):
                yield ("inputs", place), f"expected a file that ends in {one_of(endings)}, found {name!r}"
            elif empty := next((file for file in files if file.is_file() and not file.stat().st_size), None):
                yield ("inputs", place), f"there is nothing in the file {str(empty)!r}: it has no bytes"
            elif again := next((file for file in files if file.absolute() in named), None):
                first = named[again.absolute()]
                message = f"expected each file once, found {str(again)!r} again, which is named by {first!r} before"
                yield ("inputs", place), message
            named |= {file.absolute(): name for file in files}


def _files_in(folder: Path, endings: tuple[str, ...]) -> list[Path]:
    shown = (file for file in folder.iterdir() if file.is_file() and not file.name.startswith("."))
    return sorted(file for file in shown if file.name.lower().endswith(endings))
