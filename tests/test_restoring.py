import csv
from pathlib import Path

import pytest
import torch

from app.builders.run import Run, load_from_config
from app.checkpoints.contents import KEY
from app.checkpoints.opening import CheckpointError
from app.compose import load_config
from app.predictions import write_predictions
from app.restoring import config_of, load_from_checkpoint
from app.schemas.predictions import PredictionsConfig
from app.schemas.problems import ConfigError

OVERRIDES = [
    "module=digits/mlp",
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
    trainer, module, datamodule = load_from_checkpoint(file)
    before = run.module.state_dict()
    assert list(module.state_dict()) == list(before)
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    datamodule.setup("predict")
    batch = next(iter(datamodule.predict_dataloader()))
    with torch.no_grad():
        assert torch.equal(module.eval()(batch[0])["logits"], run.module.eval()(batch[0])["logits"])
    assert trainer.max_epochs == 1
    assert config_of(file).checkpoint == file


def test_predictions_come_from_the_checkpoint_alone(trained: tuple[Run, str], tmp_path: Path) -> None:
    run = load_from_checkpoint(trained[1])
    result = write_predictions(run, PredictionsConfig(), kind=config_of(trained[1]).task.kind, folder=tmp_path)
    with (tmp_path / "predictions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert result["samples"] == len(rows) == len(run.datamodule.predict_dataloader().dataset)
    assert list(rows[0]) == ["index", "class", *(f"probability_{digit}" for digit in range(10))]
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
