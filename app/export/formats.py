"""From a module to the bytes of an exported model: traced once by `torch.export`, then written in either format."""

import re
from collections.abc import Callable, Mapping, Sequence
from io import BytesIO
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from app.checkpoints.contents import KEY
from app.export.quiet import quietly
from app.schemas.export import ExportFormat
from app.schemas.problems import AppError, first_line

INPUT: Final = "inputs"
"""What the exported model's input is called."""

BATCH: Final = "batch"
"""What the first dimension is called, whose size is left open."""

_EXPLAINED: Final = {
    r"data-dependent": "what it does depends on the values of its inputs",
    r"Constraints violated \(batch\)": (
        "its code makes the batch's size a fixed number, as len(inputs) does; inputs.shape[0] leaves it open"
    ),
    r"No ONNX function found for .*?op='([\w.]+)'": (
        r"ONNX has nothing for the operator \1; torch.export can write it (export.format=torch_export)"
    ),
}
"""What the exporters' messages mean, by what is found in them."""

Serialized = Callable[[str], bytes]
"""The file's content, with a description in it."""


class ExportError(AppError):
    """A model that cannot be exported, or that does not compute what it did in torch."""


class Forward(nn.Module):
    """A module's `forward` alone, from inputs to a mapping of tensors."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, inputs: Tensor) -> dict[str, Tensor]:
        """The module's outputs by name."""
        outputs: Mapping[str, Tensor] = self.module(inputs)
        return dict(outputs)


def traced(module: nn.Module, example: Tensor) -> ExportedProgram:
    """The operators that a module in evaluation mode applies to a batch of any size.

    Args:
        module: Takes one tensor and gives tensors by name.
        example: At least two samples; what they hold does not matter.

    Raises:
        ExportError: when what it does depends on the values, or on the batch's size.
    """
    try:
        with quietly(), torch.no_grad():
            program = torch.export.export(
                Forward(module).eval(), (example,), dynamic_shapes={INPUT: {0: Dim(BATCH, min=1)}}
            )
    except Exception as error:  # torch has many kinds of them, and a model's own code adds to them
        raise ExportError(f"the model cannot be exported: {_explained(error)}") from error
    for part in program.graph_module.modules():
        for node in part.graph.nodes if isinstance(part, torch.fx.GraphModule) else ():
            node.meta.pop("stack_trace", None)  # paths of this machine
    # It would be written into the file.
    program.example_inputs = None
    return program


def serialized(program: ExportedProgram, outputs: Sequence[str], name: ExportFormat) -> Serialized:
    """What makes the file's content.

    Raises:
        ExportError: when the format has nothing for one of the operators.
    """
    return _as_onnx(program, outputs) if name == "onnx" else _as_program(program)


def _as_onnx(program: ExportedProgram, outputs: Sequence[str]) -> Serialized:
    try:
        with quietly():
            exported = torch.onnx.export(
                program, dynamo=True, input_names=[INPUT], output_names=list(outputs), verbose=False
            )
            assert exported is not None, "it is written to no file yet"
            model: Any = exported.model_proto
            # Torch numbers the sizes that it leaves open.
            (numbered,) = {value.type.tensor_type.shape.dim[0].dim_param for value in model.graph.input}
            for value in (*model.graph.input, *model.graph.output, *model.graph.value_info):
                for dim in value.type.tensor_type.shape.dim:
                    if dim.dim_param == numbered:
                        dim.dim_param = BATCH
    except Exception as error:  # the exporter has many kinds of them
        raise ExportError(f"the model cannot be exported to ONNX: {_explained(error)}") from error

    def content(description: str) -> bytes:
        model.metadata_props.add(key=KEY, value=description)
        try:
            written: bytes = model.SerializeToString()
        except Exception as error:  # beyond the 2 GiB that protobuf can hold
            raise ExportError(f"the model does not fit into one ONNX file: {_explained(error)}") from error
        finally:
            model.metadata_props.pop()
        return written

    return content


def _as_program(program: ExportedProgram) -> Serialized:
    def content(description: str) -> bytes:
        stream = BytesIO()
        try:
            with quietly():
                torch.export.save(program, stream, extra_files={KEY: description})
        except Exception as error:  # whatever a custom operator or class leads to
            raise ExportError(f"the model cannot be written by torch.export: {_explained(error)}") from error
        return stream.getvalue()

    return content


def _explained(error: BaseException) -> str:
    """What an error goes back to: those around it say in which step of the exporter it happened."""
    while (inner := error.__cause__) is not None:
        error = inner
    for pattern, meaning in _EXPLAINED.items():
        if found := re.search(pattern, str(error)):
            return found.expand(meaning)
    return f"{type(error).__name__}: {first_line(error)}"
