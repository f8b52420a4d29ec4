"""The commands on a run that was trained once: what a checkpoint alone is enough for, and how a run goes on."""

import csv
import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from app import load_config, load_from_checkpoint
from app.cli import main

RUN = ["module=mlp", "module.model_config.hidden_dims=[16]", "trainer.max_epochs=2", "callbacks=[checkpoint]"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where one run was trained: `first`."""
    made = tmp_path_factory.mktemp("commands")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(made)
        assert main([*RUN, "optimizer_spec.lr=0.01", "hydra.run.dir=first"]) == 0
    return made


@pytest.fixture(autouse=True)
def _in_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)


def result(run: str) -> dict[str, object]:
    read: dict[str, object] = json.loads(Path(run, "result.json").read_text())
    return read


def test_a_checkpoint_alone_is_tested_as_its_run_tested_it() -> None:
    best = result("first")["checkpoint"]

    assert main(["test", f"checkpoint={best}", "hydra.run.dir=tested"]) == 0

    assert result("tested")["test"] == result("first")["test"]
    assert result("tested")["checkpoint"] == best
    config = yaml.safe_load(Path("tested/config.yaml").read_text())
    assert config["module"]["model_config"]["hidden_dims"] == [16]
    assert config["optimizer_spec"]["lr"] == 0.01


def test_what_is_typed_beside_a_checkpoint_changes_what_it_says(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["test", "checkpoint=first/checkpoints/last.ckpt", "optimizer_spec.lr=banana"]) == 2
    assert capsys.readouterr().err == (
        "optimizer_spec.lr: expected a number above 0, found 'banana'   optimizer_spec.lr=banana\n"
    )

    sizes = ["module.model_config.hidden_dims=[8]", "hydra.run.dir=other_model"]
    assert main(["test", "checkpoint=first/checkpoints/last.ckpt", *sizes]) == 1
    assert "holds the weights of another model than MLPModule" in capsys.readouterr().err


def test_predictions_are_written_from_a_checkpoint_alone() -> None:
    words = ["checkpoint=first/checkpoints/last.ckpt", "hydra.run.dir=predicted"]

    assert main(["predict", *words, "predictions.outputs=[class,probabilities,logits]"]) == 0

    with Path("predicted/predictions.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    module = load_from_checkpoint("first/checkpoints/last.ckpt").module
    _, _, datamodule = load_from_checkpoint("first/checkpoints/last.ckpt")
    datamodule.setup("predict")
    images = datamodule.datasets["predict"].inputs  # type: ignore[attr-defined]  # of the digits
    logits = module.eval()(images)["logits"].detach()
    assert [int(row["class"]) for row in rows] == logits.argmax(dim=1).tolist()
    written = np.array([[float(row[f"logits_{digit}"]) for digit in range(10)] for row in rows])
    np.testing.assert_allclose(written, logits.numpy(), rtol=1e-4, atol=1e-5)
    assert result("predicted")["samples"] == len(rows) == len(images)


@pytest.mark.parametrize("resumed", ["first", "first/checkpoints/last.ckpt"])
def test_a_run_goes_on_as_if_it_had_never_stopped(resumed: str, tmp_path: Path) -> None:
    assert main([*RUN, "optimizer_spec.lr=0.01", "trainer.max_epochs=4", f"hydra.run.dir={tmp_path}/whole"]) == 0
    assert main([f"resume_path={resumed}", "trainer.max_epochs=4", f"hydra.run.dir={tmp_path}/resumed"]) == 0

    whole, gone_on = (
        torch.load(tmp_path / name / "checkpoints" / "last.ckpt", weights_only=True) for name in ("whole", "resumed")
    )
    assert all(torch.equal(value, gone_on["state_dict"][name]) for name, value in whole["state_dict"].items())
    assert result(f"{tmp_path}/resumed")["resumed_from"] == "first/checkpoints/last.ckpt"
    assert result(f"{tmp_path}/resumed")["test"] == result(f"{tmp_path}/whole")["test"]


def test_first_weights_are_loaded_for_a_fresh_fit_and_never_on_resume(tmp_path: Path) -> None:
    load = ["load_checkpoint.base_ckpt_path=first/checkpoints/last.ckpt"]
    still = ["optimizer_spec=sgd", "optimizer_spec.lr=1e-12", "trainer.max_epochs=1"]
    assert main([*RUN, *still, *load, f"hydra.run.dir={tmp_path}/fresh"]) == 0
    resume = ["resume_path=first", "trainer.max_epochs=3", "load_checkpoint.base_ckpt_path=nowhere.ckpt"]
    assert main([*resume, f"hydra.run.dir={tmp_path}/resumed"]) == 0

    first, fresh = (
        torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
        for run in (Path("first"), tmp_path / "fresh")
    )
    assert all(torch.allclose(value, fresh[name], atol=1e-6) for name, value in first.items())


def test_the_last_checkpoint_is_the_last_state_and_not_the_last_improvement(tmp_path: Path) -> None:
    assert main([*RUN, "optimizer_spec=sgd", "optimizer_spec.lr=1e-30", f"hydra.run.dir={tmp_path}"]) == 0

    last, best = (
        torch.load(file, weights_only=True)["epoch"]
        for file in (tmp_path / "checkpoints" / "last.ckpt", Path(str(result(str(tmp_path))["checkpoint"])))
    )
    assert (last, best) == (1, 0), "a loss that stays the same is no improvement"


def test_what_a_resumed_run_would_not_heed_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["resume_path=first", "trainer.max_epochs=3"]

    assert main([*words, "optimizer_spec.lr=0.5", "scheduler_spec=cosine_annealing"]) == 2

    anew = "instead of resume_path, load_checkpoint.base_ckpt_path=first/checkpoints/last.ckpt starts anew"
    vain = f"comes with the checkpoint, so that a change would have no effect; {anew} from its weights"
    assert capsys.readouterr().err.splitlines() == [
        f"optimizer_spec.lr: {vain}   optimizer_spec.lr=0.5",
        f"scheduler_spec: {vain}   scheduler_spec=cosine_annealing",
    ]
    assert main(["check", *words, "optimizer_spec.lr=0.01", "trainer.accumulate_grad_batches=2"]) == 0


def test_a_sweep_sets_what_only_the_gate_knows(tmp_path: Path) -> None:
    tiny = ["trainer.max_epochs=1", "trainer.limit_train_batches=1", "logger=[]", "callbacks=[]"]
    named = [
        "metrics.top3={id: accuracy, top_k: 3}",
        "optimizers.head={parameters: [.head], optimizer_spec: {id: sgd}}",
    ]

    assert main(["-m", "module=mlp", *tiny, *named, "seed_params.seed=1,2", f"hydra.sweep.dir={tmp_path}"]) == 0

    for job in ("0", "1"):
        config = yaml.safe_load((tmp_path / job / "config.yaml").read_text())
        assert config["metrics"]["top3"]["top_k"] == 3
        assert config["seed_params"]["seed"] == int(job) + 1
        assert "metrics.top3={id:accuracy,top_k:3}" in yaml.safe_load((tmp_path / job / "overrides.yaml").read_text())


def test_a_part_of_the_config_is_shown_as_the_run_would_have_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--cfg", "job", "--package", "joint_loss", "loss=[focal]"]) == 0
    shown = yaml.safe_load(capsys.readouterr().out)
    assert {*shown["losses"]} == {"focal"}
    assert shown["losses"]["focal"]["kind"] == "${task.kind}"
    assert main(["--cfg", "job", "--resolve", "--package", "joint_loss.losses.focal", "loss=[focal]"]) == 0
    assert yaml.safe_load(capsys.readouterr().out)["kind"] == "multiclass"
    assert main(["--cfg", "job", "--package", "jont_loss"]) == 2
    assert "the config has no part 'jont_loss'; did you mean 'joint_loss'?" in capsys.readouterr().err


def test_a_check_says_what_it_could_not_check(capsys: pytest.CaptureFixture[str]) -> None:
    factors = ["optimizer_spec.paramwise={custom: {.head: {lr: 0.1}}}"]
    for words in (["callbacks=[freeze]", "callbacks.freeze.parts={.head: {}}"], factors):
        assert main(["check", *words]) == 0
        assert "--shapes compares the paths that name parts of the model with it" in capsys.readouterr().out
    assert main(["check", "optimizer_spec.paramwise={bias_decay: 0}"]) == 0
    assert capsys.readouterr().out == "no problem found\n"


def test_a_plan_says_what_would_be_loaded(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["checkpoint", "plan", *RUN, "load_checkpoint.base_ckpt_path=first/checkpoints/last.ckpt"]

    assert main(words) == 0
    printed = capsys.readouterr().out
    assert re.search(r"match\s+backbone\.1\.weight\s+\(16, 64\)\s+\(16, 64\)\s+first/checkpoints/last\.ckpt", printed)
    assert main([*words, "module.model_config.hidden_dims=[8]"]) == 2
    assert "mismatch" in capsys.readouterr().out


def test_the_learning_rate_finder_leaves_a_table_and_a_plot(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["find-lr", *RUN, "find_lr.steps=20", "hydra.run.dir=searched"]) == 0

    assert "optimizer_spec.lr=" in capsys.readouterr().out
    assert {path.name for path in Path("searched").iterdir()} >= {"lr_find.csv", "lr_find.png"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["test"], "checkpoint: needs a file to measure: app test checkpoint=<file>"),
        (["predict"], "checkpoint: needs a file to predict with: app predict checkpoint=<file>"),
        (["test", "checkpoint=none.ckpt"], "checkpoint: none.ckpt: no such file"),
        (["resume_path=none"], "resume_path: none: no such file"),
        (["checkpoint=first/checkpoints/last.ckpt"], "checkpoint: is for `app test` and `app predict`"),
        (["test", "resume_path=first"], "checkpoint: needs a file"),
        (["load_checkpoint.base_ckpt_path=none.ckpt"], "load_checkpoint.base_ckpt_path: no file 'none.ckpt'"),
        (
            ["checkpoint", "plan", "-m", "load_checkpoint.base_ckpt_path=a,b"],
            "load_checkpoint.base_ckpt_path: no file 'a'",
        ),
        (["find-lr", "resume_path=first"], "resume_path: brings a learning rate of its own"),
        (
            ["load_checkpoint.base_ckpt_path=first/checkpoints/last.ckpt", "load_checkpoint.exclude_keys=[head]"],
            "load_checkpoint.strict: true allows nothing to be left out, as exclude_keys does; expected false",
        ),
        (
            ["callbacks.checkpoint.every_n_train_steps=5", "callbacks.checkpoint.save_top_k=2"],
            "callbacks.checkpoint.filename: 'epoch_{epoch:03d}' is one name",
        ),
        (
            ["callbacks.checkpoint.every_n_train_steps=5"],
            "callbacks.checkpoint: ranks what every_n_train_steps saves within an epoch by val/loss",
        ),
        (["test", "runs/best.ckpt"], "expected key=value; did you mean 'checkpoint=runs/best.ckpt'?"),
        (["metrics=[confusion]"], "did you mean 'confusion_matrix'? app --help lists all 79   metrics=[confusion]"),
        (["checkpoint", "plan"], "load_checkpoint: needs the files to plan with"),
        (["checkpoint", "paln"], "app checkpoint needs a second word; did you mean 'plan'?"),
        (["checkpoint"], "app checkpoint needs a second word: 'plan'"),
        (["predict", "checkpoint=first/checkpoints/last.ckpt", "predictions.outputs=[clas]"], "predictions.outputs[0]"),
    ],
)
def test_a_command_that_lacks_something_is_answered_with_status_2(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    assert message in capsys.readouterr().err


def test_an_empty_mapping_empties_the_one_that_is_there() -> None:
    assert {*load_config(["experiment=digits/metric_learning"]).optimizers} == {"centres"}
    assert load_config(["experiment=digits/metric_learning", "optimizers={}"]).optimizers == {}
    one = load_config(["joint_loss.losses={}", "joint_loss.losses.main={id: cross_entropy}"])
    assert {*one.joint_loss.losses} == {"main"}


def test_a_resumed_run_says_when_nothing_was_left_to_train(tmp_path: Path) -> None:
    assert main(["resume_path=first", f"hydra.run.dir={tmp_path}"]) == 0
    assert "nothing was left to train" in (tmp_path / "app.log").read_text()


def test_another_model_is_refused_before_its_weights_are_loaded(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["resume_path=first", "trainer.max_epochs=3", "module.model_config.hidden_dims=[8]"]
    assert main([*words, f"hydra.run.dir={tmp_path}"]) == 1
    assert "holds the weights of another model than MLPModule" in capsys.readouterr().err


def test_the_search_for_a_learning_rate_starts_from_the_first_weights(tmp_path: Path) -> None:
    for name, more in (("random", []), ("trained", ["load_checkpoint.base_ckpt_path=first/checkpoints/last.ckpt"])):
        assert main(["find-lr", *RUN, *more, "find_lr.steps=20", f"hydra.run.dir={tmp_path / name}"]) == 0

    random, trained = (
        float((tmp_path / name / "lr_find.csv").read_text().splitlines()[1].split(",")[1])
        for name in ("random", "trained")
    )
    assert trained < 0.6 * random
