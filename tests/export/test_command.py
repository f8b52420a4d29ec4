"""`app export`, and what an exported model alone is enough for: one run, trained and exported once."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
import yaml
from onnx import helper, numpy_helper

from app.builders.run import build_module
from app.checkpoints.contents import KEY
from app.cli import main
from app.compose import load_config
from app.export.contents import ExportedModelError, read_exported
from app.export.in_place import put_in_place
from app.models.mlp import MLP
from app.tasks.shared.mlp_module import MLPModule

pytest.importorskip("onnxruntime")

RUN = [
    "module=mlp",
    "module.model_config.hidden_dims=[8]",
    "trainer.max_epochs=1",
    "trainer.limit_train_batches=5",
    "callbacks=[checkpoint,export]",
    "logger=[csv]",
    "optimizer_spec.lr=0.02",
]
CHECKPOINT = "checkpoint=first/checkpoints/last.ckpt"
AS_EXPORTED = "is as it was when the model was exported; to change it, name a checkpoint=<file> instead of model"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where one run was trained, and exported: as ONNX when that had ended (`first`), and by the command (`second`)."""
    made = tmp_path_factory.mktemp("exports")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(made)
        assert main([*RUN, "hydra.run.dir=first"]) == 0
        words = ["export.format=torch_export", "export.file=mine", "export.tolerance.absolute=1e-5"]
        assert main(["export", CHECKPOINT, *words, "hydra.run.dir=second"]) == 0
    return made


@pytest.fixture(autouse=True)
def _in_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)


def result(run: str | Path) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(Path(run, "result.json").read_text())
    return read


def test_both_ways_of_exporting_say_how_near_the_file_is_to_torch() -> None:
    first, second = result("first")["export"], result("second")["export"]
    assert (Path(first["file"]).name, first["format"]) == ("model.onnx", "onnx")
    assert (Path(second["file"]).name, second["format"]) == ("mine.pt2", "torch_export")
    assert second["tolerance"] == {"absolute": 1e-5, "relative": 1e-4}
    for said in (first, second):
        assert Path(said["file"]).is_file()
        assert said["outputs"] == ["logits"]
        assert said["batch_sizes"] == [1, 3, 64]
        assert 0 <= said["difference"]["absolute"] < 1e-5
    assert result("second")["checkpoint"] == CHECKPOINT.partition("=")[2]
    assert yaml.safe_load(Path("second/config.yaml").read_text())["module"]["model_config"]["hidden_dims"] == [8]


@pytest.mark.parametrize("model", ["first/model.onnx", "second/mine.pt2"])
def test_an_exported_model_alone_is_tested_by_the_task_s_own_metrics(model: str, tmp_path: Path) -> None:
    assert main(["test", f"model={model}", f"hydra.run.dir={tmp_path}"]) == 0

    found = result(tmp_path)
    assert found["model"] == model
    assert "checkpoint" not in found
    assert found["test"] == pytest.approx(result("first")["test"], abs=1e-6)
    assert found["test_fingerprint"] == result("first")["test_fingerprint"] is not None
    config = yaml.safe_load((tmp_path / "config.yaml").read_text())
    assert config["optimizer_spec"]["lr"] == 0.02


def test_a_run_too_short_for_the_default_schedule_is_exported_all_the_same(tmp_path: Path) -> None:
    words = [*RUN, "trainer.max_epochs=2", "callbacks=[checkpoint]", "scheduler_spec=cosine_annealing"]
    assert main([*words, f"hydra.run.dir={tmp_path / 'trained'}"]) == 0

    checkpoint = f"checkpoint={tmp_path / 'trained' / 'checkpoints' / 'last.ckpt'}"
    assert main(["export", checkpoint, "export.format=torch_export", f"hydra.run.dir={tmp_path / 'exported'}"]) == 0

    assert Path(result(tmp_path / "exported")["export"]["file"]).is_file()


def test_it_is_the_file_that_is_measured(tmp_path: Path) -> None:
    model = onnx.load("first/model.onnx")
    for weight in model.graph.initializer:
        if (values := numpy_helper.to_array(weight)).dtype == np.float32:
            weight.CopyFrom(numpy_helper.from_array(np.zeros_like(values), weight.name))
    onnx.save(model, "zeros.onnx")

    assert main(["test", "model=zeros.onnx", "optimizer_spec.lr=0.5", f"hydra.run.dir={tmp_path}"]) == 0

    test = result(tmp_path)["test"]
    assert test["test/loss"] == pytest.approx(np.log(10), abs=1e-5)
    assert test["test/accuracy"] == pytest.approx(0.1, abs=0.01)
    assert yaml.safe_load((tmp_path / "config.yaml").read_text())["optimizer_spec"]["lr"] == 0.5


def test_an_exported_model_predicts(tmp_path: Path) -> None:
    words = ["predictions.format=npz", "predictions.outputs=[logits]", "predictions.num_pictured=0"]
    for name, source in (("exported", "model=first/model.onnx"), ("torch", CHECKPOINT)):
        assert main(["predict", source, *words, f"hydra.run.dir={tmp_path / name}"]) == 0
    found, expected = (np.load(tmp_path / name / "predictions.npz")["logits"] for name in ("exported", "torch"))
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert result(tmp_path / "exported")["model"] == "first/model.onnx"


def test_a_failed_export_fails_the_run_once_its_results_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    forward = MLP.forward
    monkeypatch.setattr(MLP, "forward", lambda self, inputs: forward(self, inputs[: int(inputs.shape[0])]))

    assert main([*RUN, "callbacks.export.format=torch_export", f"hydra.run.dir={tmp_path}"]) == 1

    assert "the model cannot be exported: its code makes the batch's size a fixed number" in capsys.readouterr().err
    assert result(tmp_path)["status"] == "failed"
    assert result(tmp_path)["test"] == result("first")["test"]
    assert not list(tmp_path.glob("model*"))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["export"], "checkpoint: needs a file to export: app export checkpoint=<file>"),
        (["export", "model=first/model.onnx"], "model: is exported already; app export takes checkpoint=<file>"),
        (["export", CHECKPOINT, "export.format=onxx"], "did you mean 'onnx'?"),
        (["test", "model=none.onnx"], "model: none.onnx: no such file"),
        (["test", "model=none.onnx", "optimizer_spec.lr=x"], "model: none.onnx: no such file"),
        (["test", "model=first/model.onnx", "optimizer_spec.lr=x"], "optimizer_spec.lr: expected a number above 0"),
        (["test", "model=first/result.json"], "expected the file of an exported model, .onnx or .pt2"),
        (["test", CHECKPOINT, "model=first/model.onnx"], "model: is an exported model, which holds weights of its own"),
        (["test", "model=first/model.onnx", "module=digits/cnn"], f"module: {AS_EXPORTED}   module=digits/cnn"),
        (
            ["predict", "model=second/mine.pt2", "module.model_config.hidden_dims=[16]"],
            f"module.model_config.hidden_dims: {AS_EXPORTED}   module.model_config.hidden_dims=[16]",
        ),
        (["export", CHECKPOINT, "hydra.run.dir=first"], "hydra.run.dir: first holds an earlier run"),
        (["predict", "model=first/model.onnx", "hydra.run.dir=first"], "hydra.run.dir: first holds an earlier run"),
        (["predict"], "checkpoint: needs a file to predict with"),
        (["model=first/model.onnx"], "model: is for `app test` and `app predict`: an exported model cannot be trained"),
        (["find-lr", "model=first/model.onnx"], "model: is for `app test` and `app predict`"),
    ],
)
def test_what_cannot_be_done_is_answered_with_status_2(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    assert message in capsys.readouterr().err


def test_a_damaged_model_is_an_error_that_names_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for source in ("first/model.onnx", "second/mine.pt2"):
        content = bytearray(Path(source).read_bytes())
        file = tmp_path / Path(source).name
        file.write_bytes(content[: len(content) // 2])
        assert main(["test", f"model={file}"]) == 2
        assert f"model: {file}: " in capsys.readouterr().err
        content[len(content) // 3] ^= 1
        file.write_bytes(content)
        shutil.copy(f"{source}.sha256", f"{file}.sha256")
        assert main(["test", f"model={file}", f"hydra.run.dir={tmp_path / file.stem}"]) in (1, 2)
        assert f"{file}: " in capsys.readouterr().err


def test_a_model_of_another_project_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    model = onnx.load("first/model.onnx")
    helper.set_model_props(model, {"author": "somebody"})
    onnx.save(model, "foreign.onnx")
    assert main(["test", "model=foreign.onnx"]) == 2
    assert "model: foreign.onnx: says nothing of the run it is from" in capsys.readouterr().err


class OwnForward(MLPModule):
    """Its forward does more than to name the outputs."""

    def forward(self, inputs: torch.Tensor) -> dict[str, torch.Tensor]:
        return {name: 2 * value for name, value in super().forward(inputs).items()}


def test_the_file_takes_the_place_of_the_module_s_weights() -> None:
    config = load_config(["model=first/model.onnx"])
    plain = build_module(config).eval()
    own = OwnForward(**{name: plain.hparams[name] for name in plain.hparams}).eval()
    images = torch.rand(2, 1, 8, 8)
    for module in (plain, own):
        put_in_place(module, "first/model.onnx")
        assert all(weights.isnan().all() for weights in module.parameters()), "what goes around the file shows"
    found = plain(images)["logits"]
    assert found.isfinite().all()
    assert torch.equal(own(images)["logits"], found), "all of its forward is in the file"
    with pytest.raises(ExportedModelError, match="a step of the module calls its model itself"):
        own.model(images)


def test_secrets_are_not_in_the_file(tmp_path: Path) -> None:
    words = [
        "logger=[wandb]",
        "logger.wandb.api_key=hunter2hunter2",
        "logger.wandb.mode=offline",
        "export.format=torch_export",
    ]
    assert main(["export", CHECKPOINT, *words, f"hydra.run.dir={tmp_path}"]) == 0
    assert b"hunter2" not in (tmp_path / "model.pt2").read_bytes()
    description = read_exported(str(tmp_path / "model.pt2")).description
    assert description["config"]["logger"]["wandb"]["api_key"] == "********"
    assert {"task", "test_fingerprint", "overrides", "git", "packages"} <= {*description}
    assert KEY == "description"
