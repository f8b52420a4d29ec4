"""An exported model that runs again: what the file computes, as an `nn.Module` that takes and gives torch's tensors."""

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from io import BytesIO
from typing import Any

import torch
from torch import Tensor, nn

from app.checkpoints.manifest import entries_of, real, verify
from app.checkpoints.opening import opened
from app.export.contents import ExportedContents, ExportedModelError, contents_of
from app.export.inert_program import refuse_what_would_run
from app.export.quiet import quietly
from app.schemas.export import format_of
from app.schemas.problems import first_line

Compute = Callable[[Tensor], Sequence[Tensor]]
"""From a batch on the CPU to the outputs in the file's order."""


class ExportedModel(nn.Module):
    """What stands in the file, run on the CPU; batches from elsewhere go there and back."""

    def __init__(self, contents: ExportedContents, compute: Compute) -> None:
        super().__init__()
        self.contents = contents
        self._compute = compute

    def forward(self, inputs: Tensor, targets: Any = None) -> dict[str, Tensor]:  # noqa: ARG002  # offered to every model
        """The outputs by name, for inputs `(batch, …)`.

        Raises:
            ExportedModelError: when the inputs are of another shape, or the model fails on them.
        """
        contents = self.contents
        if tuple(inputs.shape[1:]) != contents.input_shape:
            found = f"takes samples of shape {contents.input_shape}, found {tuple(inputs.shape[1:])}"
            raise ExportedModelError(contents.path, found)
        batch = inputs.detach().to("cpu", getattr(torch, contents.dtype)).contiguous()
        try:
            outputs = self._compute(batch)
        except Exception as error:  # whatever the runtime makes of what is in the file
            raise ExportedModelError(contents.path, f"cannot be run: {first_line(error)}") from error
        return {name: value.to(inputs.device) for name, value in zip(contents.outputs, outputs, strict=True)}


def load_exported(path: str) -> ExportedModel:
    """The model in a file that `app export` wrote, held against its manifest if that is beside it.

    Raises:
        ExportedModelError: when the file is damaged, or something else, or could run code as it is loaded.
        CheckpointError: when it is not there, cannot be fetched, or is not as its manifest says.
    """
    with opened(path, whole=True) as file:
        if entries_of(real(path)) is not None:
            verify(path, file)
        file.seek(0)
        return model_of(file.read(), path)


def model_of(content: bytes, path: str) -> ExportedModel:
    """The model in a file's content; `path` is for messages, and its ending says the format.

    Raises:
        ExportedModelError: as above.
    """
    contents = contents_of(BytesIO(content), path)
    if not isinstance(getattr(torch, contents.dtype, None), torch.dtype):
        raise ExportedModelError(path, f"takes inputs of a type that torch does not know: {contents.dtype}")
    try:
        if format_of(path) == "onnx":
            return ExportedModel(contents, _onnx(content, contents))
        refuse_what_would_run(BytesIO(content), path)
        return ExportedModel(contents, _program(content, contents))
    except ExportedModelError:
        raise
    except Exception as error:  # whatever the bytes lead to
        raise ExportedModelError(path, f"is damaged, or cannot be run here: {first_line(error)}") from error


def _onnx(content: bytes, contents: ExportedContents) -> Compute:
    onnxruntime: Any = import_module("onnxruntime")  # an extra, which the gate has found to be there
    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 4  # what goes wrong comes as an exception
    settings.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(content, settings, providers=["CPUExecutionProvider"])
    _compare([each.name for each in session.get_outputs()], contents)

    def compute(batch: Tensor) -> list[Tensor]:
        found = session.run(list(contents.outputs), {contents.input: batch.numpy()})
        return [torch.from_numpy(value) for value in found]

    return compute


def _program(content: bytes, contents: ExportedContents) -> Compute:
    with quietly():
        module: Callable[[Tensor], Mapping[str, Tensor]] = torch.export.load(BytesIO(content)).module()

    def compute(batch: Tensor) -> list[Tensor]:
        with torch.no_grad():
            found = module(batch)
        _compare(found, contents)
        return [found[name] for name in contents.outputs]

    return compute


def _compare(found: Sequence[str] | Mapping[str, Any], contents: ExportedContents) -> None:
    if set(found) != set(contents.outputs):
        message = f"says that it gives {', '.join(contents.outputs)}, but gives {', '.join(found)}"
        raise ExportedModelError(contents.path, message)
