"""The smallest files of exported models: they take no exporter to make."""

from io import BytesIO
from pathlib import Path
from typing import Any

import onnx
from onnx import TensorProto, helper

from app.checkpoints.contents import KEY
from app.compose import load_config
from app.export.contents import EXPORT, written
from app.schemas.plain import to_plain


def described(**changed: Any) -> dict[str, Any]:
    """What a file says: the default run, and a model that doubles three numbers."""
    takes = {"name": "inputs", "shape": [3], "dtype": "float32"}
    about = {"input": takes, "format": "onnx", "outputs": ["doubled"], **changed}
    return {"config": to_plain(load_config(["module=mlp"])), EXPORT: about}


def onnx_file(folder: Path, text: str | None) -> Path:
    """An ONNX model that doubles three numbers, with what it says of itself."""
    sizes: list[str | int | None] = ["batch", 3]
    graph = helper.make_graph(
        [helper.make_node("Add", ["inputs", "inputs"], ["doubled"])],
        "doubling",
        [helper.make_tensor_value_info("inputs", TensorProto.FLOAT, sizes)],
        [helper.make_tensor_value_info("doubled", TensorProto.FLOAT, sizes)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    if text is not None:
        helper.set_model_props(model, {KEY: text})
    stream = BytesIO()
    onnx.save(model, stream)
    file = folder / "small.onnx"
    file.write_bytes(stream.getvalue())
    return file


def doubling(folder: Path, **changed: Any) -> Path:
    """The file as `app export` would write it."""
    return onnx_file(folder, written(described(**changed)))
