"""Exporting real modules; ONNX's exporter takes seconds, so most of it is shown with torch's own format."""

import hashlib
import logging
import math
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import onnx
import pytest
import torch
from torch import Tensor, nn

from app.builders.run import build_datamodule, build_module
from app.compose import load_config
from app.export.contents import EXPORT, read_exported
from app.export.exported_model import load_exported
from app.export.exporting import export_model, samples_of
from app.export.formats import ExportError
from app.export.parity import difference
from app.schemas.export import ExportConfig, ToleranceConfig
from app.schemas.plain import to_plain
from app.schemas.problems import AppError
from tests.export.small import doubling

Step = Callable[["Toy", Tensor], Any]
ABOUT: dict[str, Any] = {"config": {"task": {"name": "digits"}}, "epoch": 2, "global_step": 40}
MULTI_HEAD = [
    "module=parts",
    "backbone=conv",
    "head=multi",
    "module.model_config.backbone.channels=[4]",
    "module.model_config.head.heads={digit: {id: arcface}, view: {id: embedding, embedding_dim: 5}}",
    "module.model_config.head.main=digit",
]


class Toy(nn.Module):
    def __init__(self, step: Step) -> None:
        super().__init__()
        self.step = step
        self.linear = nn.Linear(4, 3)

    def forward(self, inputs: Tensor) -> Any:
        return self.step(self, inputs)


@pytest.fixture(scope="module")
def samples() -> Tensor:
    return torch.randn(7, 4, generator=torch.Generator().manual_seed(0))


def fixed_size(toy: Toy, inputs: Tensor) -> Mapping[str, Tensor]:
    return {"a": toy.linear(inputs) + torch.ones(len(inputs), 1)}


def by_value(toy: Toy, inputs: Tensor) -> Mapping[str, Tensor]:
    return {"a": toy.linear(inputs) if inputs.sum() > 0 else inputs}


def random(toy: Toy, inputs: Tensor) -> Mapping[str, Tensor]:
    return {"fine": inputs, "noisy": toy.linear(inputs) + torch.rand_like(inputs[:, :3])}


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Two heads over one backbone as ONNX, with the module and real images."""
    pytest.importorskip("onnxruntime")
    config = load_config(MULTI_HEAD)
    module, datamodule = build_module(config), build_datamodule(config)
    module.train()
    datamodule.prepare_data()
    datamodule.setup("validate")
    images = samples_of(datamodule.val_dataloader())
    about = {**ABOUT, "config": to_plain(config)}
    folder = tmp_path_factory.mktemp("exported")
    return export_model(module, images, ExportConfig(), folder=folder, description=about), module, images


def test_each_output_has_its_name_and_a_batch_of_any_size(exported: Any) -> None:
    result, module, images = exported
    assert module.training, "it is left as it was"
    names = ["logits", "embedding", "view_embedding"]
    graph = onnx.load(result.file).graph
    assert [value.name for value in graph.input] == ["inputs"]
    assert [value.name for value in graph.output] == names
    for value in (*graph.input, *graph.output):
        assert value.type.tensor_type.shape.dim[0].dim_param == "batch"
    onnx.checker.check_model(str(result.file), full_check=True)
    model = load_exported(str(result.file))
    module.eval()
    for size in (1, 2, 5):
        found = model(images[:size])
        assert list(found) == names
        with torch.no_grad():
            for name, value in module(images[:size]).items():
                torch.testing.assert_close(found[name], value, atol=1e-4, rtol=1e-4)


def test_what_was_measured_stands_in_the_file_and_in_the_result(exported: Any) -> None:
    result, _, images = exported
    said = read_exported(str(result.file)).description[EXPORT]
    assert said["batch_sizes"] == [1, 3, 64] == result.as_result()["batch_sizes"]
    assert said["tolerance"] == {"absolute": 1e-4, "relative": 1e-4}
    assert said["difference"] == result.as_result()["difference"]
    assert 0 < said["difference"]["absolute"] < 1e-4
    assert said["outputs"] == ["logits", "embedding", "view_embedding"]
    assert said["input"] == {"name": "inputs", "shape": [1, 8, 8], "dtype": "float32"}
    assert len(images) == 64


def test_the_manifest_is_what_sha256sum_reads(exported: Any) -> None:
    file = exported[0].file
    comment, line = Path(f"{file}.sha256").read_text().splitlines()
    assert comment.startswith("# step 40, epoch 2, saved ")
    assert line == f"{hashlib.sha256(file.read_bytes()).hexdigest()}  model.onnx"
    assert sorted(path.name for path in file.parent.iterdir()) == ["model.onnx", "model.onnx.sha256"]


def test_torch_s_own_format_needs_no_other_package(
    samples: Tensor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("onnx", "onnxruntime", "onnxscript"):
        monkeypatch.setitem(sys.modules, name, None)
    toy = Toy(lambda toy, inputs: {"a": toy.linear(inputs), "same": inputs, "class": toy.linear(inputs).argmax(1)})
    config = ExportConfig(format="torch_export", file="mine")
    result = export_model(toy, samples, config, folder=tmp_path / "new", description=ABOUT)
    assert result.file == tmp_path / "new" / "mine.pt2"
    found = load_exported(str(result.file))(samples[:2])
    assert list(found) == ["a", "same", "class"]
    assert torch.equal(found["class"], toy.linear(samples[:2]).argmax(1))
    contents = result.file.read_bytes()
    assert str(Path(__file__).parent).encode() not in contents, "no path of this machine"
    assert samples[0].numpy().tobytes() not in contents, "no sample"


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (fixed_size, "its code makes the batch's size a fixed number, as len(inputs) does"),
        (by_value, "what it does depends on the values of its inputs"),
        (lambda _, inputs: torch.from_numpy(inputs.numpy()), "its forward gives a Tensor, not named tensors"),
        (lambda _, inputs: {"a": torch.from_numpy(inputs.numpy())}, "RuntimeError: .numpy() is not supported for"),
        (lambda _, inputs: {"a": [inputs]}, "its output 'a' is a list, no tensor"),
        (lambda *_: {}, "its forward gives a dict, not named tensors"),
    ],
)
def test_what_cannot_be_exported_is_said_in_one_line(
    step: Step, message: str, samples: Tensor, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    config = ExportConfig(format="torch_export")
    with pytest.raises(ExportError) as caught:
        export_model(Toy(step), samples, config, folder=tmp_path, description=ABOUT)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())
    assert capfd.readouterr() == ("", "")


def test_an_operator_that_onnx_lacks_is_named(
    samples: Tensor, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    toy = Toy(lambda toy, inputs: {"a": torch.special.bessel_j0(toy.linear(inputs))})
    with (
        caplog.at_level(logging.WARNING),
        pytest.raises(
            ExportError, match=r"ONNX has nothing for the operator prims\.bessel_j0; torch\.export can write"
        ),
    ):
        export_model(toy, samples, ExportConfig(), folder=tmp_path, description=ABOUT)
    assert not list(tmp_path.iterdir())
    assert caplog.records == []


def test_a_model_that_differs_leaves_no_file_and_says_by_how_much(samples: Tensor, tmp_path: Path) -> None:
    with pytest.raises(
        ExportError, match=r"'noisy' is off by up to 0\.\d+ \(.* of the largest value\) on batches of 1, 3"
    ):
        export_model(Toy(random), samples, ExportConfig(format="torch_export"), folder=tmp_path, description=ABOUT)
    assert not list(tmp_path.iterdir())
    wide = ExportConfig(format="torch_export", tolerance=ToleranceConfig(absolute=1.0))
    result = export_model(Toy(random), samples, wide, folder=tmp_path, description=ABOUT)
    assert 0 < result.differences["noisy"].absolute < 1
    assert result.as_result()["difference"]["output"] == "noisy"


def test_a_module_in_double_precision_is_exported_as_it_is(samples: Tensor, tmp_path: Path) -> None:
    toy = Toy(lambda toy, inputs: {"a": toy.linear(inputs)}).double()
    result = export_model(toy, samples, ExportConfig(format="torch_export"), folder=tmp_path, description=ABOUT)
    assert load_exported(str(result.file))(samples)["a"].dtype == torch.float64


@pytest.mark.parametrize(
    ("expected", "found", "absolute", "allowed"),
    [
        ([1.0, 2.0], [1.0, 2.0001], 1e-4, True),
        ([1.0, 2.0], [1.0, 2.1], 0.1, False),
        ([0.0, 100.0], [0.0, 100.009], 9e-3, True),
        ([0.0, 100.0], [0.009, 100.0], 9e-3, False),
        ([math.nan, math.inf], [math.nan, math.inf], 0, True),
        ([math.nan, 1.0], [1.0, 1.0], math.inf, False),
        ([math.inf, 1.0], [1.0, 1.0], math.inf, False),
        ([1.0, 1.0], [math.nan, 1.0], math.inf, False),
        ([1.0], [1.0, 1.0], math.inf, False),
        ([], [], 0, True),
    ],
)
def test_a_difference_is_judged_value_by_value(
    expected: list[float], found: list[float], absolute: float, allowed: bool
) -> None:
    judged = difference(torch.tensor(expected), torch.tensor(found), ToleranceConfig())
    assert judged.absolute == pytest.approx(absolute, rel=0.05)
    assert judged.allowed is allowed


def test_whole_numbers_must_be_the_same() -> None:
    lenient = ToleranceConfig(absolute=5.0)
    assert not difference(torch.tensor([1, 2]), torch.tensor([1, 3]), lenient).allowed
    assert difference(torch.tensor([1, 2]), torch.tensor([1, 2]), lenient).allowed
    assert not difference(torch.tensor([1, 2]), torch.tensor([1.0, 2.0]), lenient).allowed


def test_samples_come_from_the_first_loader_with_any() -> None:
    batches = [(torch.ones(3, 2), None), (torch.zeros(3, 2), None)]
    assert samples_of([batches]).shape == (6, 2)
    assert samples_of({"a": batches, "b": []}).shape == (6, 2)
    assert samples_of([[(torch.ones(1, 2), None)]]).shape == (2, 2)
    assert samples_of([batches * 50]).shape == (64, 2)
    nothing: Any
    for nothing in ([[]], None, [], [[({"a": 1}, None)]]):
        with pytest.raises(ExportError, match="the val split gives no batch of tensors"):
            samples_of(nothing)


def test_a_full_disk_leaves_nothing(samples: Tensor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("app.data_formats.whole_file.os.fsync", full)
    toy = Toy(lambda toy, inputs: {"a": toy.linear(inputs)})
    with pytest.raises(AppError, match=r"model\.pt2: could not be written: No space left on device"):
        export_model(toy, samples, ExportConfig(format="torch_export"), folder=tmp_path, description=ABOUT)
    assert not list(tmp_path.iterdir())


def test_a_changed_byte_is_noticed_where_a_manifest_says_what_was_there(exported: Any, tmp_path: Path) -> None:
    file = exported[0].file
    changed = bytearray(file.read_bytes())
    changed[len(changed) // 2] ^= 1
    (tmp_path / "model.onnx").write_bytes(changed)
    (tmp_path / "model.onnx.sha256").write_text(Path(f"{file}.sha256").read_text())
    with pytest.raises(AppError, match=r"model\.onnx: is damaged: its SHA-256 is not the one in its manifest"):
        load_exported(str(tmp_path / "model.onnx"))


def test_a_model_says_what_it_takes(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    model = load_exported(str(doubling(tmp_path)))
    assert model(torch.ones(2, 3))["doubled"].tolist() == [[2, 2, 2]] * 2
    assert model(torch.ones(2, 3, dtype=torch.float16))["doubled"].dtype == torch.float32
    with pytest.raises(AppError, match=r"small\.onnx: takes samples of shape \(3,\), found \(4,\)"):
        model(torch.ones(2, 4))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"outputs": ["tripled"]}, "says that it gives tripled, but gives doubled"),
        ({"input": {"name": "inputs", "shape": [3], "dtype": "hub"}}, "a type that torch does not know: hub"),
    ],
)
def test_a_model_that_is_not_as_it_says_is_refused(changed: dict[str, Any], message: str, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    with pytest.raises(AppError, match=message):
        load_exported(str(doubling(tmp_path, **changed)))


def test_a_model_that_the_runtime_refuses_is_named(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    file = doubling(tmp_path)
    model = onnx.load(file)
    model.graph.node[0].op_type = "Ad"
    onnx.save(model, file)
    with pytest.raises(AppError, match=r"small\.onnx: is damaged, or cannot be run here: .*Ad"):
        load_exported(str(file))
