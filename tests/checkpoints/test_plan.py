from pathlib import Path

import pytest
import torch
from rich.console import Console

from app.builders.run import build_module
from app.checkpoints.plan import plan
from app.compose import load_config

MLP = ["module=mlp", "module.model_config.hidden_dims=[3]"]


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def weights() -> dict[str, torch.Tensor]:
    """The first weights of the model, as a checkpoint of Lightning's names them."""
    model = build_module(load_config(MLP)).model
    assert isinstance(model, torch.nn.Module)
    names = model.state_dict()
    assert "head.weight" in names
    return {f"model.{name}": value for name, value in names.items()}


def planned(*overrides: str) -> int:
    config = load_config([*MLP, *overrides])
    assert config.load_checkpoint is not None
    model = build_module(config).model
    assert isinstance(model, torch.nn.Module)
    return plan(model, config.load_checkpoint)


def test_each_name_of_the_model_has_a_line_with_its_file(
    weights: dict[str, torch.Tensor], capsys: pytest.CaptureFixture[str]
) -> None:
    torch.save({"state_dict": weights, "epoch": 1}, "base.ckpt")
    torch.save({"weight": weights["model.head.weight"], "bias": weights["model.head.bias"]}, "head.ckpt")
    status = planned(
        "load_checkpoint.base_ckpt_path=base.ckpt", "load_checkpoint.overridden_name2ckpt_path.head=head.ckpt"
    )
    lines = capsys.readouterr().out.splitlines()
    assert status == 0
    names = [name.removeprefix("model.") for name in weights]
    assert [line.split("\t")[1] for line in lines[:-1]] == names
    assert "match\thead.bias\t(10)\t(10)\thead.ckpt" in lines
    assert {line.split("\t")[0] for line in lines[:-1]} == {"match"}
    count = len(names)
    assert lines[-1] == f"{count} of {count} weights: {count - 2} from base.ckpt, 2 from head.ckpt"


def test_what_would_be_refused_is_shown_with_its_reason(
    weights: dict[str, torch.Tensor], capsys: pytest.CaptureFixture[str]
) -> None:
    del weights["model.head.bias"]
    torch.save(weights | {"model.head.weight": torch.ones(2, 3), "model.more": torch.ones(1)}, "base.ckpt")
    assert planned("load_checkpoint.base_ckpt_path=base.ckpt") == 2
    out = capsys.readouterr().out
    assert "missing\thead.bias\t(10)\t-\t-\n" in out
    assert "mismatch\thead.weight\t(10, 3)\t(2, 3)\tbase.ckpt\n" in out
    assert "base.ckpt has more than the model: model.more\n" in out
    assert "a training would not start:\n  head.weight has the shape (10, 3), in base.ckpt (2, 3)\n" in out

    loose = "load_checkpoint.exclude_keys=[head.weight]", "load_checkpoint.strict=false"
    assert planned("load_checkpoint.base_ckpt_path=base.ckpt", *loose) == 0
    out = capsys.readouterr().out
    assert "excluded\thead.weight\t(10, 3)\t-\t-\n" in out
    assert "initial\thead.bias\t(10)\t-\t-\n" in out


def test_what_it_advises_to_type_works_when_typed(
    weights: dict[str, torch.Tensor], capsys: pytest.CaptureFixture[str]
) -> None:
    renamed = {name.removeprefix("model.").replace("backbone", "my.body"): it for name, it in weights.items()}
    torch.save(renamed, "renamed.ckpt")
    bare = {name.removeprefix("model.backbone."): it for name, it in weights.items() if ".backbone." in name}
    torch.save(bare, "part.ckpt")
    for file in ("renamed.ckpt", "part.ckpt"):
        given = [f"load_checkpoint.base_ckpt_path={file}"]
        assert planned(*given) == 2
        (advice,) = [line for line in capsys.readouterr().out.splitlines() if ": 'load_checkpoint." in line]
        typed = advice.partition(": '")[2].removesuffix("'")
        if file == "part.ckpt":
            given = ["load_checkpoint.strict=false"]
        assert planned(*given, typed) == 0
        assert "match\tbackbone." in capsys.readouterr().out


def test_a_terminal_gets_a_table(
    weights: dict[str, torch.Tensor], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.save(weights, "base.ckpt")
    monkeypatch.setattr(Console, "is_terminal", True)
    assert planned("load_checkpoint.base_ckpt_path=base.ckpt") == 0
    out = capsys.readouterr().out
    assert f"load_checkpoint: {len(weights)} names in the model" in out
    assert "head.bias" in out
    assert "\t" not in out
