import csv
from pathlib import Path

import pytest
import torch

from app.builders.run import Run, load_from_config
from app.checkpoints.contents import KEY
from app.checkpoints.opening import CheckpointError
from app.compose import load_config
from app.from_checkpoint import config_of, load_from_checkpoint
from app.prediction.writing import write_predictions
from app.schemas.plain import to_plain
from app.schemas.predictions import PredictionsConfig
from app.schemas.problems import ConfigError

OVERRIDES = [
    "module=mlp",
    "module.model_config.hidden_dims=[3]",
    "trainer.max_epochs=1",
    "trainer.limit_train_batches=2",
    "trainer.limit_val_batches=1",
    "trainer.accelerator=cpu",
    "callbacks=[]",
    "logger=[]",
]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, str]:
    """A run of two batches, and its checkpoint, under a name with everything that overrides give a meaning to."""
    folder = tmp_path_factory.mktemp("it's a=1, b")
    run = load_from_config(load_config([*OVERRIDES, f'run_directory.root="{folder}"']))
    run.trainer.fit(run.module, datamodule=run.datamodule)
    file = folder / "epoch=0-step=2.ckpt"
    run.trainer.save_checkpoint(file)
    return run, str(file)


def test_a_checkpoint_is_all_that_is_needed(trained: tuple[Run, str]) -> None:
    run, file = trained
    trainer, module, datamodule = load_from_checkpoint(Path(file))
    before = run.module.state_dict()
    assert list(module.state_dict()) == list(before)
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    datamodule.setup("predict")
    batch = next(iter(datamodule.predict_dataloader()))
    with torch.no_grad():
        assert torch.equal(module.eval()(batch[0])["logits"], run.module.eval()(batch[0])["logits"])
    assert trainer.max_epochs == 1
    assert config_of(file).checkpoint == config_of(Path(file)).checkpoint == file


def test_predictions_come_from_the_checkpoint_alone(trained: tuple[Run, str], tmp_path: Path) -> None:
    run = load_from_checkpoint(trained[1])
    result = write_predictions(run, PredictionsConfig(), kind=config_of(trained[1]).task.kind, folder=tmp_path)
    with (tmp_path / "predictions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert result["samples"] == len(rows) == len(run.datamodule.predict_dataloader().dataset)
    assert list(rows[0]) == ["index", "id", "class", *(f"probability_{digit}" for digit in range(10))]
    for row in rows:
        probabilities = [float(row[f"probability_{digit}"]) for digit in range(10)]
        assert int(row["class"]) == probabilities.index(max(probabilities))
        assert sum(probabilities) == pytest.approx(1, abs=1e-5)


def test_what_the_checkpoint_says_can_be_changed(trained: tuple[Run, str]) -> None:
    config = config_of(trained[1], ["trainer.limit_test_batches=3", "optimizer_spec.lr=0.5"])
    assert (config.trainer.limit_test_batches, config.trainer.max_epochs, config.optimizer_spec.lr) == (3, 1, 0.5)


def test_a_wrong_override_is_refused_before_the_model_is_built(trained: tuple[Run, str]) -> None:
    with pytest.raises(ConfigError) as caught:
        load_from_checkpoint(trained[1], ["optimizer_spec.lr=banana"])
    (problem,) = caught.value.problems
    assert (problem.path, problem.source) == ("optimizer_spec.lr", "optimizer_spec.lr=banana")


def test_weights_of_another_model_are_refused(trained: tuple[Run, str]) -> None:
    with pytest.raises(CheckpointError, match="holds the weights of another model than"):
        load_from_checkpoint(trained[1], ["module.model_config.hidden_dims=[4]"])


def test_a_config_of_another_version_is_refused_with_the_checkpoint_s_name(
    trained: tuple[Run, str], tmp_path: Path
) -> None:
    content = torch.load(trained[1], weights_only=True)
    content[KEY]["config"]["optimizer_spec"]["learning_rate"] = 0.1
    content[KEY]["config"]["trainer"]["max_epochs"] = "many"
    file = str(tmp_path / "old.ckpt")
    torch.save(content, file)
    with pytest.raises(ConfigError) as caught:
        config_of(file)
    assert {problem.path for problem in caught.value.problems} == {"optimizer_spec.learning_rate", "trainer.max_epochs"}
    assert all(file in str(problem.source) for problem in caught.value.problems)


def test_a_checkpoint_of_another_project_says_what_it_is_good_for(tmp_path: Path) -> None:
    torch.save({"state_dict": {"a": torch.ones(1)}}, tmp_path / "foreign.ckpt")
    with pytest.raises(CheckpointError, match=r"foreign\.ckpt: holds no config: .*load_checkpoint\.base_ckpt_path"):
        load_from_checkpoint(str(tmp_path / "foreign.ckpt"))


def changed(file: str, folder: Path, **parts: object) -> str:
    """A copy of a checkpoint with other parts in its config; `config` for another config."""
    content = torch.load(file, weights_only=True)
    if "config" in parts:
        content[KEY]["config"] = parts["config"]
    else:
        content[KEY]["config"].update(parts)
    torch.save(content, folder / "changed.ckpt")
    return str(folder / "changed.ckpt")


@pytest.mark.parametrize("key", ["checkpoint", "resume_path"])
@pytest.mark.parametrize(
    ("parts", "path"),
    [
        ({"run_directory": {"root": "${oc.env:SECRET}"}}, "run_directory.root"),
        ({"callbacks": {"checkpoint": {"dirpath": "s3://b/${oc.env:SECRET}"}}}, "callbacks.checkpoint.dirpath"),
        ({"metrics": {"a": {"labels": ["x", "${oc.env:SECRET}"]}}}, "metrics.a.labels[1]"),
    ],
)
def test_a_stored_config_reads_nothing_from_the_environment(
    trained: tuple[Run, str],
    key: str,
    parts: dict[str, object],
    path: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SECRET", "hunter2")
    file = changed(trained[1], tmp_path, **parts)
    with pytest.raises(ConfigError) as caught:
        load_config([f'{key}="{file}"'])
    (problem,) = caught.value.problems
    assert problem.path == key
    assert problem.message.startswith(f"{file}: ")
    assert f"{path} should be the value itself" in problem.message
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("key", ["checkpoint", "resume_path"])
def test_no_inputs_stored_as_an_empty_list_are_none(trained: tuple[Run, str], key: str, tmp_path: Path) -> None:
    file = changed(trained[1], tmp_path, predictions={"inputs": [], "num_pictured": 3})

    predictions = load_config([f'{key}="{file}"']).predictions

    assert (predictions.inputs, predictions.num_pictured) == (None, 3)


def test_a_stored_config_without_its_module_is_refused(trained: tuple[Run, str], tmp_path: Path) -> None:
    config = torch.load(trained[1], weights_only=True)[KEY]["config"]
    without = {
        part: {name: value for name, value in config.items() if name != part} for part in ("module", "datamodule")
    }

    with pytest.raises(ConfigError) as caught:
        load_config([f'checkpoint="{changed(trained[1], tmp_path, config=without["module"])}"'])
    found = load_config([f'checkpoint="{changed(trained[1], tmp_path, config=without["datamodule"])}"'])

    assert "module" in {problem.path for problem in caught.value.problems}
    assert found.datamodule == load_config([]).datamodule, "the task's own"


def test_a_stored_config_does_not_choose_where_files_go(trained: tuple[Run, str], tmp_path: Path) -> None:
    stored = torch.load(trained[1], weights_only=True)[KEY]["config"]
    assert stored["run_directory"]["root"] != "runs"
    callbacks = to_plain(load_config(["callbacks=[checkpoint]", "callbacks.checkpoint.dirpath=elsewhere"]))["callbacks"]
    file = changed(trained[1], tmp_path, callbacks=callbacks)
    for key in ("checkpoint", "resume_path"):
        config = load_config([f'{key}="{file}"'])
        assert config.run_directory.root == "runs"
        assert getattr(config.callbacks["checkpoint"], "dirpath", "") is None
    words = [f'checkpoint="{file}"', "run_directory.root=mine", "callbacks.checkpoint.dirpath=here"]
    config = load_config(words)
    assert (config.run_directory.root, getattr(config.callbacks["checkpoint"], "dirpath", "")) == ("mine", "here")


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"config": {}}, "task should be a mapping with a name"),
        ({"config": ["task"]}, "it is no mapping"),
        ({"config": "task"}, "it is no mapping"),
        ({"task": None}, "task should be a mapping with a name"),
        ({"task": "digits"}, "task should be a mapping with a name"),
        ({"task": {"name": 3}}, "task should be a mapping with a name"),
        ({"module": None}, "module should be a mapping, not null"),
        ({"module": [1]}, "module should be a mapping, not "),
        ({"callbacks": ["checkpoint"]}, "callbacks should be a mapping, not "),
        ({"scheduler_spec": 3}, "scheduler_spec should be a mapping or null, not 3"),
        ({"logger": 1.5}, "logger should be a mapping, not 1.5"),
    ],
)
@pytest.mark.parametrize("key", ["checkpoint", "resume_path"])
def test_a_config_that_no_run_has_stored_is_refused_by_name(
    trained: tuple[Run, str], key: str, parts: dict[str, object], message: str, tmp_path: Path
) -> None:
    file = changed(trained[1], tmp_path, **parts)
    with pytest.raises(ConfigError) as caught:
        load_config([f'{key}="{file}"', "module=mlp"])
    problem = caught.value.problems[0]
    assert problem.path == key
    assert problem.message.startswith(f"{file}: holds a config that was not stored by a run of this project: ")
    assert message in problem.message


def test_a_password_in_an_address_is_not_shown() -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(["resume_path=nosuch://user:hunter2@host/a.ckpt"])
    assert "nosuch://********@host/a.ckpt" in str(caught.value)
    assert "hunter2" not in str(caught.value)
