"""What an exported model says of itself: written into its file, and read back without torch and without running it.

It stands under one key, in the metadata of an ONNX model, or as an extra file in the archive that `torch.export`
writes: the config of the run, as in a checkpoint, and what the model takes and gives.
"""

import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, BinaryIO, Final, cast

from app.checkpoints.archive import unchecked_if_unknown
from app.checkpoints.contents import KEY
from app.checkpoints.opening import CheckpointError, opened
from app.schemas.export import ENDINGS, format_of, missing_packages
from app.schemas.problems import first_line

EXPORT: Final = "export"
"""Where in the description it says what the model takes and gives, and how near it is to torch."""

_ITEMS: Final = "(items)"
_LONGEST: Final = 1 << 24


class ExportedModelError(CheckpointError):
    """A file that cannot be read as an exported model, or a model that cannot be run as it was asked for."""


@dataclass(frozen=True, kw_only=True)
class ExportedContents:
    """What stands in the file of an exported model, less the model."""

    path: str
    config: dict[str, Any]
    """The composed config of the run, as `to_plain` wrote it."""

    description: Mapping[str, Any]
    """All that is said: `task`, `overrides`, `packages`, `git`, … as in a checkpoint, and `export`."""

    input: str
    """The name of what the model takes."""

    input_shape: tuple[int, ...]
    """The shape of one sample."""

    dtype: str
    """Torch's name of what the input holds: `float32`."""

    outputs: tuple[str, ...]
    """The names of what the model gives, in its order."""


def read_exported(path: str) -> ExportedContents:
    """What the file of an exported model says.

    Args:
        path: A file here, or an address that fsspec reads.

    Raises:
        ExportedModelError: when it is no such file, or a damaged one, or was not written by this project, or cannot be
            read for want of a package.
        CheckpointError: when there is no such file, or it cannot be fetched.
    """
    with opened(path, whole=True) as file:
        return contents_of(file, path)


def contents_of(file: BinaryIO, path: str) -> ExportedContents:
    """What an open file says; `read_exported` for one that is read for more than that.

    Raises:
        ExportedModelError: as above.
    """
    match format_of(path):
        case "onnx":
            text = _from_onnx(file, path)
        case "torch_export":
            text = _from_archive(file, path)
        case _:
            raise ExportedModelError(path, f"expected the file of an exported model, {' or '.join(ENDINGS.values())}")
    if text is None:
        raise ExportedModelError(path, "says nothing of the run it is from; expected a file that `app export` wrote")
    try:
        described = json.loads(text, object_hook=_mapping)
        said = described[EXPORT]
        contents = ExportedContents(
            path=path,
            config=_of_type(dict, described["config"]),
            description=described,
            input=_of_type(str, said["input"]["name"]),
            input_shape=tuple(_of_type(int, size) for size in said["input"]["shape"]),
            dtype=_of_type(str, said["input"]["dtype"]),
            outputs=tuple(_of_type(str, name) for name in said["outputs"]),
        )
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        message = "what it says of the run it is from is damaged"
        raise ExportedModelError(path, f"{message} ({type(error).__name__}: {first_line(error)})") from error
    return contents


def written(description: Mapping[str, Any]) -> str:
    """A description as the text that is stored."""
    return json.dumps(_storable(description))


def _from_onnx(file: BinaryIO, path: str) -> str | None:
    if missing := missing_packages("onnx"):
        raise ExportedModelError(path, missing)
    onnx: Any = import_module("onnx")
    try:
        model = onnx.load_model_from_string(file.read())
    except Exception as error:  # protobuf has kinds of its own
        raise ExportedModelError(path, f"is no ONNX model, or a damaged one: {first_line(error)}") from error
    if not model.graph.node:
        raise ExportedModelError(path, "is no ONNX model, or a damaged one: nothing is computed in it")
    return next((entry.value for entry in model.metadata_props if entry.key == KEY), None)


def _from_archive(file: BinaryIO, path: str) -> str | None:
    try:
        with zipfile.ZipFile(file) as archive:
            for entry in archive.infolist():
                if entry.filename.split("/")[1:] == ["extra", KEY] and entry.file_size < _LONGEST:
                    return archive.read(cast(Any, unchecked_if_unknown(entry))).decode()
    except Exception as error:  # zipfile trusts the bytes, and fails in whatever way they lead to
        message = "is no file of torch.export, or a damaged one"
        raise ExportedModelError(path, f"{message}: {first_line(error)}") from error
    return None


def _storable(value: Any) -> Any:
    """A value whose mappings have texts as keys only, as JSON has them."""
    if isinstance(value, Mapping):
        if all(isinstance(key, str) for key in value):
            return {key: _storable(item) for key, item in value.items()}
        return {_ITEMS: [[key, _storable(item)] for key, item in value.items()]}
    return [_storable(item) for item in value] if isinstance(value, list | tuple) else value


def _mapping(read: dict[str, Any]) -> dict[Any, Any]:
    return dict(read[_ITEMS]) if read.keys() == {_ITEMS} else read


def _of_type(cls: type, value: Any) -> Any:
    if type(value) is not cls:
        raise TypeError(f"expected a {cls.__name__}, found a {type(value).__name__}")
    return value
