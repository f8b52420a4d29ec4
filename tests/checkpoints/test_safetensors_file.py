import json
import random
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from app.checkpoints.merging import load_into
from app.checkpoints.opening import CheckpointError
from app.checkpoints.weights import read_weights
from app.schemas.checkpoint import LoadCheckpointConfig

NAMES = {"F32": torch.float32, "BF16": torch.bfloat16, "I64": torch.int64, "BOOL": torch.bool, "U8": torch.uint8}


def written(file: Path, tensors: dict[str, Tensor], **changed: Any) -> bytes:
    """A file as the format's page describes it; `changed` replaces what the header says of a tensor."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    content = b""
    for name, tensor in tensors.items():
        kind = next(kind for kind, dtype in NAMES.items() if dtype == tensor.dtype)
        piece = tensor.contiguous().flatten().view(torch.uint8).numpy().tobytes() if tensor.numel() else b""
        offsets = [len(content), len(content) + len(piece)]
        header[name] = {"dtype": kind, "shape": list(tensor.shape), "data_offsets": offsets, **changed}
        content += piece
    text = json.dumps(header).encode()
    whole = len(text).to_bytes(8, "little") + text + content
    file.write_bytes(whole)
    return whole


def test_tensors_of_every_kind_come_back(tmp_path: Path) -> None:
    file = tmp_path / "a.safetensors"
    tensors = {
        "odd": torch.tensor([True, False, True]),  # after which nothing is aligned
        "weight": torch.randn(3, 4),
        "half": torch.randn(2).bfloat16(),
        "count": torch.tensor(2**40),
        "none": torch.empty(0, 3),
        "bytes": torch.arange(5, dtype=torch.uint8),
    }
    written(file, tensors)
    found = read_weights(str(file))
    assert list(found) == list(tensors)
    for name, tensor in tensors.items():
        assert found[name].dtype == tensor.dtype
        assert torch.equal(found[name], tensor)


def test_they_are_weights_like_any_others(tmp_path: Path) -> None:
    source, model = nn.Linear(3, 2), nn.Linear(3, 2)
    file = tmp_path / "a.safetensors"
    written(file, {name: value.detach() for name, value in source.state_dict().items()})
    load_into(model, LoadCheckpointConfig(base_ckpt_path=str(file)))
    assert torch.equal(model.weight, source.weight)


@pytest.mark.parametrize(
    "changed",
    [
        {"dtype": "F32X"},
        {"shape": [5]},
        {"shape": [-2, -2]},
        {"shape": "4"},
        {"data_offsets": [0, 12]},
        {"data_offsets": [-16, 16]},
        {"data_offsets": [16, 0]},
        {"data_offsets": [1, 16]},
        {"data_offsets": None},
    ],
)
def test_a_header_that_lies_is_an_error_that_names_the_file(changed: dict[str, Any], tmp_path: Path) -> None:
    file = tmp_path / "a.safetensors"
    written(file, {"a": torch.ones(4)}, **changed)
    with pytest.raises(CheckpointError, match=r"a\.safetensors: is damaged"):
        read_weights(str(file))


def test_damaged_files_raise_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "a.safetensors"
    whole = written(file, {"a": torch.ones(4), "b": torch.ones(2, 2)})
    draw = random.Random(0)
    refused = 0
    for _ in range(300):
        damaged = bytearray(whole)
        damaged[draw.randrange(len(whole))] ^= 1 << draw.randrange(8)
        file.write_bytes(damaged[: draw.randrange(len(whole)) if draw.random() < 0.3 else None])
        try:
            read_weights(str(file))
        except CheckpointError as error:
            refused += 1
            assert str(error).startswith(f"{file}: ")  # noqa: PT017  # many files, each its own message
    assert refused > 100
