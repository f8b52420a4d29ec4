"""What `app export` and its callback write: a trained model in a form that runs without this project."""

from collections.abc import Iterator, Mapping
from dataclasses import field
from importlib.util import find_spec
from typing import Final, Literal

from app.schemas.constraints import FileName, NonNegativeFloat
from app.schemas.problems import missing_extra
from app.schemas.rules import Finding, rule
from app.schemas.schema import schema

ExportFormat = Literal["onnx", "torch_export"]
"""`onnx` runs in many languages and on many devices; `torch_export` needs torch, and no package beside it."""

ENDINGS: Final[Mapping[ExportFormat, str]] = {"onnx": ".onnx", "torch_export": ".pt2"}
"""What the files of each format end in."""

_ONNX_PACKAGES: Final = ("onnx", "onnxruntime", "onnxscript")


@schema
class ToleranceConfig:
    """How far the exported model may be off from torch: `absolute + relative * |value|`, for each value it gives."""

    absolute: NonNegativeFloat = 1e-4
    """What is allowed whatever the value is."""

    relative: NonNegativeFloat = 1e-4
    """What is allowed as a share of the value."""


@schema
class ExportConfig:
    """The file of the exported model, in the run directory."""

    format: ExportFormat = "onnx"
    """Kind of file: `onnx` (`.onnx`) or torch's own exported program (`.pt2`)."""

    file: FileName = "model"
    """Name of the file, without its ending."""

    tolerance: ToleranceConfig = field(default_factory=ToleranceConfig)
    """How far it may be off from torch on real batches; beyond that there is no file."""

    @rule("file")
    def file_has_no_ending(self) -> Iterator[Finding]:
        """The format says what the file ends in."""
        if fault := ending_fault(self.file, "export"):
            yield "file", fault


def format_of(path: str) -> ExportFormat | None:
    """The format that a file's ending says; None for any other file."""
    return next((name for name, ending in ENDINGS.items() if path.lower().endswith(ending)), None)


def ending_fault(file: str, where: str) -> str | None:
    """What is wrong with a file's name that ends as a format's files do; `where` its fields stand in a config."""
    name = format_of(file)
    if name is None:
        return None
    bare = file[: -len(ENDINGS[name])] or "model"
    return f"expected a name without its ending, found {file!r}; type {where}.file={bare} {where}.format={name}"


def missing_packages(name: ExportFormat | None) -> str | None:
    """What to install before models of a format can be written or run; None when all is there."""
    if name == "onnx" and any(find_spec(package) is None for package in _ONNX_PACKAGES):
        return missing_extra("ONNX", "onnx")
    return None
