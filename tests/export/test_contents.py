import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from app.checkpoints.contents import KEY
from app.compose import load_config
from app.export.contents import ExportedModelError, read_exported, written
from app.schemas.plain import to_plain
from app.schemas.problems import ConfigError
from tests.export.small import described, doubling, onnx_file

pytest.importorskip("onnxruntime")


def archive(folder: Path, text: str | None) -> Path:
    """What torch.export's archive has of it."""
    file = folder / "small.pt2"
    with zipfile.ZipFile(file, "w") as made:
        made.writestr("small/models/model.json", "{}")
        if text is not None:
            made.writestr(f"small/extra/{KEY}", text)
    return file


@pytest.mark.parametrize("make", [onnx_file, archive])
def test_what_was_written_is_read(make: type, tmp_path: Path) -> None:
    said = described()
    contents = read_exported(str(make(tmp_path, written(said))))
    assert contents.description == said
    assert contents.config == said["config"]
    assert (contents.input, contents.input_shape, contents.dtype) == ("inputs", (3,), "float32")
    assert contents.outputs == ("doubled",)


def test_keys_that_are_numbers_stay_numbers(tmp_path: Path) -> None:
    config = to_plain(
        load_config(["callbacks=[gradient_accumulation]", "callbacks.gradient_accumulation.scheduling={0: 1, 4: 2}"])
    )
    text = written({**described(), "config": config})
    json.loads(text)
    assert read_exported(str(onnx_file(tmp_path, text))).config == config


def test_reading_a_config_does_not_import_torch(tmp_path: Path) -> None:
    files = [str(doubling(tmp_path)), str(archive(tmp_path, written(described())))]
    code = """
import sys
from app.compose import load_config
for file in sys.argv[1:]:
    print(load_config([f'model="{file}"']).module.model_config)
print(sorted({"torch", "lightning", "onnxruntime"} & sys.modules.keys()))
"""
    done = subprocess.run([sys.executable, "-c", code, *files], capture_output=True, text=True, check=True)
    *configs, heavy = done.stdout.splitlines()
    assert len(configs) == 2
    assert all(config.startswith("MLPConfig(") for config in configs)
    assert heavy == "[]"


@pytest.mark.parametrize("packed", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_an_archive_whose_packed_description_is_damaged_is_refused_by_name(packed: int, tmp_path: Path) -> None:
    file, text = tmp_path / "small.pt2", written(described()).encode()
    with zipfile.ZipFile(file, "w", packed) as made:
        made.writestr(f"small/extra/{KEY}", text)
    assert read_exported(str(file)).outputs == ("doubled",)
    content = bytearray(file.read_bytes())
    start = 30 + len(f"small/extra/{KEY}")  # behind the entry's own header
    content[start : start + 40] = b"\xff" * 40
    file.write_bytes(content)

    with pytest.raises(ExportedModelError, match=r"small\.pt2: is no file of torch\.export, or a damaged one: "):
        read_exported(str(file))


@pytest.mark.parametrize("make", [onnx_file, archive])
@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "says nothing of the run it is from; expected a file that `app export` wrote"),
        ("{", "what it says of the run it is from is damaged"),
        ("[]", "what it says of the run it is from is damaged"),
        ("[" * 100_000, "what it says of the run it is from is damaged"),
        (written({**described(), "config": 3}), "is damaged (TypeError: expected a dict, found a int)"),
        (written(described(outputs=[1])), "is damaged (TypeError: expected a str, found a int)"),
        (written(described(input={"name": "inputs"})), "is damaged (KeyError: 'shape')"),
        (written({**described(), "export": None}), "what it says of the run it is from is damaged"),
    ],
    ids=["nothing", "half", "list", "deep", "config", "outputs", "input", "export"],
)
def test_a_file_that_says_nothing_of_use_is_refused_by_name(
    make: type, text: str | None, message: str, tmp_path: Path
) -> None:
    file = make(tmp_path, text)
    with pytest.raises(ExportedModelError) as caught:
        read_exported(str(file))
    assert str(caught.value).startswith(f"{file}: ")
    assert message in str(caught.value)
    with pytest.raises(ConfigError) as refused:
        load_config([f'model="{file}"'])
    (problem,) = refused.value.problems
    assert problem.path == "model"
    assert message in problem.message


@pytest.mark.parametrize("ending", [".onnx", ".pt2"])
@pytest.mark.parametrize("content", [b"", b"\x00" * 100, b"PK\x03\x04", b"hello world", bytes(range(256)) * 20])
def test_a_file_of_another_kind_is_refused_by_name(ending: str, content: bytes, tmp_path: Path) -> None:
    file = tmp_path / f"other{ending}"
    file.write_bytes(content)
    kind = "ONNX model" if ending == ".onnx" else r"file of torch\.export"
    with pytest.raises(ExportedModelError, match=rf"other\{ending}: is no {kind}, or a damaged one"):
        read_exported(str(file))


def test_every_truncation_is_noticed(tmp_path: Path) -> None:
    for file in (doubling(tmp_path), archive(tmp_path, written(described()))):
        whole = file.read_bytes()
        for length in range(0, len(whole), 97):
            file.write_bytes(whole[:length])
            with pytest.raises(ExportedModelError):
                read_exported(str(file))
        file.write_bytes(whole)
        read_exported(str(file))


def test_an_ending_of_another_kind_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.pt").write_bytes(b"")
    with pytest.raises(ExportedModelError, match=r"expected the file of an exported model, \.onnx or \.pt2"):
        read_exported(str(tmp_path / "model.pt"))


def test_a_stored_config_of_no_run_is_refused(tmp_path: Path) -> None:
    said = described()
    said["config"]["run_directory"] = {"root": "${oc.env:SECRET}"}
    with pytest.raises(ConfigError, match=r"run_directory\.root should be the value itself"):
        load_config([f'model="{onnx_file(tmp_path, written(said))}"'])
