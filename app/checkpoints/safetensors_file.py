"""Reads `.safetensors` files, in which many published weights come: a JSON header, then the tensors' bytes.

The format is at https://huggingface.co/docs/safetensors. It is simple enough to be read without its package.
"""

import json
from typing import Any, BinaryIO, Final

import torch
from torch import Tensor

from app.checkpoints.opening import CheckpointError

SAFETENSORS: Final = ".safetensors"

_LARGEST_HEADER: Final = 100_000_000
"""Bytes, as the format says."""

_DTYPES: Final = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
    "C64": torch.complex64,
}


def read_safetensors(file: BinaryIO, path: str) -> dict[str, Tensor]:
    """The tensors in a file, by name.

    Raises:
        CheckpointError: when it is another kind of file, or not whole. The format has no checksums.
    """
    size = int.from_bytes(file.read(8), "little")
    if not 0 < size <= _LARGEST_HEADER:
        raise CheckpointError(path, "is no safetensors file: its header has no length")
    try:
        header = json.loads(file.read(size).decode())
        named = {name: entry for name, entry in header.items() if name != "__metadata__"}
        content = bytearray(file.read())
        end = max((int(entry["data_offsets"][1]) for entry in named.values()), default=0)
        if len(content) != end:
            raise CheckpointError(
                path, f"is damaged: it should hold {end:,} bytes of tensors, and holds {len(content):,}"
            )
        return {name: _tensor(entry, content) for name, entry in named.items()}
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, RuntimeError, RecursionError) as error:
        raise CheckpointError(path, f"is damaged, or no safetensors file ({type(error).__name__})") from error


def _tensor(entry: dict[str, Any], content: bytearray) -> Tensor:
    dtype = _DTYPES[entry["dtype"]]
    shape = torch.Size(entry["shape"])
    begin, end = entry["data_offsets"]
    count, rest = divmod(end - begin, dtype.itemsize)
    if rest or begin < 0 or end < begin:
        raise ValueError("an entry's bytes are not those of its type")
    if count == 0:
        return torch.empty(shape, dtype=dtype)
    if begin % dtype.itemsize:  # torch reads tensors only from where their type may begin
        content, begin = content[begin:end], 0
    return torch.frombuffer(content, dtype=dtype, count=count, offset=begin).view(shape)
