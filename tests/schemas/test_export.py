import importlib.util
from pathlib import Path
from typing import Any

import pytest

from app.command_rules import problems_for
from app.compose import load_config
from app.schemas.callbacks import ExportBestConfig
from app.schemas.codes import Code
from app.schemas.export import ExportConfig, ToleranceConfig, format_of
from app.schemas.problems import ConfigError

MISSING = "ONNX is not installed; type: pip install 'typed-lightning-app[onnx]'"


@pytest.fixture(params=["onnx", "onnxruntime", "onnxscript"])
def without(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """One of the extra's packages is not there."""
    real = importlib.util.find_spec
    monkeypatch.setattr("app.schemas.export.find_spec", lambda name: None if name == request.param else real(name))


@pytest.mark.usefixtures("without")
def test_the_callback_names_the_extra_before_anything_starts() -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(["callbacks=[checkpoint,export]"])
    (problem,) = caught.value.problems
    assert (problem.path, problem.message, problem.code) == (
        "callbacks.export.format",
        f"{MISSING}; torch_export needs no package",
        Code.ENVIRONMENT,
    )


@pytest.mark.usefixtures("without")
def test_the_command_names_the_extra_and_what_needs_none() -> None:
    config = load_config([])  # no other run is concerned
    (problem, *_) = [problem for problem in problems_for("export", config) if problem.path == "export.format"]
    assert problem.message == f"{MISSING}; export.format=torch_export needs no package"
    other = load_config(["export.format=torch_export", "callbacks=[export]", "callbacks.export.format=torch_export"])
    assert [problem.path for problem in problems_for("export", other)] == ["checkpoint"]


@pytest.mark.usefixtures("without")
def test_an_onnx_model_names_the_extra_if_it_is_there_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("there.onnx").write_bytes(b"anything")
    messages = {}
    for model in ("nowhere.onnx", "there.onnx"):
        with pytest.raises(ConfigError) as caught:
            load_config([f"model={model}"])
        (problem,) = caught.value.problems
        messages[model] = problem.message
    assert messages["there.onnx"] == f"there.onnx: {MISSING}"
    assert "no such file" in messages["nowhere.onnx"]


@pytest.mark.parametrize("schema", [ExportConfig, ExportBestConfig])
@pytest.mark.parametrize("name", ["a/b", "..", "a\\b"])
def test_a_file_s_name_does_not_lead_out_of_the_run_directory(schema: type[ExportConfig], name: str) -> None:
    with pytest.raises(ConfigError, match="file: expected a file's name without folders"):
        schema(file=name)


@pytest.mark.parametrize(
    ("schema", "where"), [(ExportConfig, "export"), (ExportBestConfig, "callbacks.export")], ids=["command", "callback"]
)
def test_a_file_s_name_has_no_ending_of_a_format(schema: type[ExportConfig], where: str) -> None:
    for file, name, bare in (("m.pt2", "torch_export", "m"), ("M.ONNX", "onnx", "M"), (".onnx", "onnx", "model")):
        with pytest.raises(ConfigError) as caught:
            schema(file=file)
        (problem,) = caught.value.problems
        typed = f"type {where}.file={bare} {where}.format={name}"
        assert problem.message == f"expected a name without its ending, found {file!r}; {typed}"
    assert schema(file="model.v2").file == "model.v2"


@pytest.mark.parametrize("wrong", [{"absolute": -1.0}, {"relative": float("nan")}])
def test_a_tolerance_is_no_less_than_nothing(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        ToleranceConfig(**wrong)


def test_an_ending_says_the_format() -> None:
    found = [format_of(name) for name in ("a.onnx", "a/b.PT2", "a.ckpt", "onnx")]
    assert found == ["onnx", "torch_export", None, None]


@pytest.mark.parametrize(
    ("words", "path", "message"),
    [
        (["model=a.onnx", "checkpoint=a.ckpt"], "checkpoint", "a.ckpt: no such file"),
        (["model=a.onnx"], "model", "a.onnx: no such file"),
        (["model=a.ckpt"], "model", "a.ckpt: no such file"),
        (["trainer=ddp", "trainer.strategy=fsdp", "callbacks=[export]"], "callbacks.export", "needs all of a model"),
    ],
)
def test_what_cannot_be_is_refused(words: list[str], path: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(words)
    first = caught.value.problems[0]
    assert (first.path, message in first.message) == (path, True)
