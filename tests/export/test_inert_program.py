"""What `torch.export.load` would run is refused before it is called: each case is a real file, changed in one place."""

import io
import json
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from app.export.contents import ExportedModelError
from app.export.exported_model import load_exported
from app.export.exporting import export_model
from app.export.inert_program import refuse_what_would_run
from app.schemas.export import ExportConfig

Change = Callable[[dict[str, bytes]], None]


class Halves(nn.Module):
    """Has a size in it that is computed from the batch's, and an autocast region."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 4)

    def forward(self, inputs: Tensor) -> dict[str, Tensor]:
        with torch.autocast("cpu", enabled=False):
            values = self.linear(inputs)
        return {"flat": values.view(inputs.shape[0], -1)[:, : values.shape[1] // 2], "pairs": values.view(-1, 2)}


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The parts of a real file."""
    folder = tmp_path_factory.mktemp("program")
    config = ExportConfig(format="torch_export")
    file = export_model(Halves(), torch.randn(5, 3), config, folder=folder, description={"config": {}}).file
    assert load_exported(str(file))(torch.ones(4, 3))["pairs"].shape == (8, 2)
    with zipfile.ZipFile(file) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def packed(parts: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return stream.getvalue()


class Harmful:
    def __reduce__(self) -> Any:
        return Path.touch, (Path("harm-done"),)


def in_program(change: Callable[[dict[str, Any]], object]) -> Change:
    def changed(parts: dict[str, bytes]) -> None:
        program = json.loads(parts["archive/models/model.json"])
        change(program)
        parts["archive/models/model.json"] = json.dumps(program).encode()

    return changed


def calling(target: str) -> Change:
    return in_program(lambda program: program["graph_module"]["graph"]["nodes"][0].update(target=target))


def sized(text: str) -> Change:
    return in_program(
        lambda program: program["graph_module"]["graph"]["tensor_values"]["inputs"]["sizes"].__setitem__(
            0, {"as_expr": {"expr_str": text, "hint": None}}
        )
    )


def pickled_weight(parts: dict[str, bytes]) -> None:
    name = "archive/data/weights/model_weights_config.json"
    config = json.loads(parts[name])
    next(iter(config["config"].values()))["use_pickle"] = True
    parts[name] = json.dumps(config).encode()
    parts["archive/data/weights/weight_0"] = pickle.dumps(Harmful())


def custom_object(parts: dict[str, bytes]) -> None:
    name = "archive/data/constants/model_constants_config.json"
    config = json.loads(parts[name])
    config["config"]["a"] = {"path_name": "opaque_obj_0", "use_pickle": False, "is_param": False, "tensor_meta": None}
    parts[name] = json.dumps(config).encode()


def added(name: str, content: bytes = b"") -> Change:
    return lambda parts: parts.update({name: content})


HARM: dict[str, tuple[Change, str]] = {
    "sample inputs": (
        added("archive/data/sample_inputs/model.pt", pickle.dumps(Harmful())),
        "it has a pickle of sample inputs",
    ),
    "weight": (pickled_weight, "'module.linear.weight' is stored as a pickle"),
    "object": (custom_object, "'a' is stored as a pickle"),
    "object's part": (
        added("archive/data/constants/opaque_obj_0"),
        "it has a part 'archive/data/constants/opaque_obj_0'",
    ),
    "legacy weights": (added("archive/data/weights/model.pt"), "it has a part"),
    "library": (added("archive/data/aotinductor/model/a.so"), "it has a part"),
    "function": (calling("torch.os.system"), "it calls 'torch.os.system'"),
    "operator's inside": (calling("torch.ops.aten.add.Tensor.__globals__"), "it calls"),
    "file": (calling("torch.ops.aten.from_file.default"), "it calls 'torch.ops.aten.from_file.default'"),
    "other library": (calling("torch.ops.mylib.run.default"), "it calls"),
    "python's operator": (calling("_operator.methodcaller"), "it calls"),
    "size": (sized("__import__('os').system('touch harm-done')"), "it has a size"),
    "attribute": (sized("Symbol('a').__class__"), "it has a size"),
    "text in a symbol": (sized("Symbol('eval(1)')"), "it has a size"),
    "called name": (sized("eval('harm')"), "it has a size"),
    "guards": (
        in_program(lambda program: program.update(guards_code=["harm()"])),
        "conditions that are written in Python",
    ),
}


@pytest.mark.parametrize("harm", HARM)
def test_a_file_that_could_run_code_is_refused_before_torch_sees_it(
    harm: str, parts: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    change, message = HARM[harm]
    changed = dict(parts)
    change(changed)
    content = packed(changed)
    monkeypatch.setattr(torch.export, "load", lambda *_: pytest.fail("it was loaded"))
    with pytest.raises(ExportedModelError) as caught:
        refuse_what_would_run(io.BytesIO(content), "a.pt2")
    assert str(caught.value).startswith("a.pt2: is not loaded, since it could run code: ")
    assert message in str(caught.value)
    (tmp_path / "a.pt2").write_bytes(content)
    with pytest.raises(ExportedModelError):
        load_exported("a.pt2")
    assert not Path("harm-done").exists()


def test_an_unchanged_file_is_let_through(parts: dict[str, bytes]) -> None:
    content = packed(parts)
    refuse_what_would_run(io.BytesIO(content), "a.pt2")
    assert b"FloorDiv" in parts["archive/models/model.json"] or b"Mul(" in parts["archive/models/model.json"]
    assert b"wrap_with_autocast" in parts["archive/models/model.json"]


def test_a_flipped_bit_is_noticed(parts: dict[str, bytes]) -> None:
    content = bytearray(packed(parts))
    content[content.index(parts["archive/data/weights/weight_0"]) + 3] ^= 4
    with pytest.raises(ExportedModelError, match=r"a\.pt2: is damaged: Bad CRC-32"):
        refuse_what_would_run(io.BytesIO(bytes(content)), "a.pt2")


def test_two_parts_of_one_name_are_refused(parts: dict[str, bytes]) -> None:
    stream = io.BytesIO(packed(parts))
    with zipfile.ZipFile(stream, "a") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr("archive/models/model.json", parts["archive/models/model.json"])
    with pytest.raises(ExportedModelError, match="it has two parts of one name"):
        refuse_what_would_run(stream, "a.pt2")
