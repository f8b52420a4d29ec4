"""The command line as a user meets it: real subprocesses for what the shell sees, `main` in-process for the rest."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import yaml

from app.cli import main

SHORT = ["trainer.max_epochs=1", "trainer.limit_train_batches=2", "trainer.limit_val_batches=1", "module=mlp"]
QUIET = ["callbacks=[checkpoint]"]


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["app"])


def run_app(*words: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "app", *words],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent), **environment},
        capture_output=True,
        text=True,
        timeout=240,
    )


def only_run(root: Path) -> Path:
    (run,) = (root / "runs" / "digits").iterdir()
    return run


@pytest.mark.slow
def test_training_ends_with_test_metrics_and_the_run_directory(tmp_path: Path) -> None:
    done = run_app(*SHORT, cwd=tmp_path)

    assert done.returncode == 0, done.stderr
    run = only_run(tmp_path)
    assert f"run directory: {run.relative_to(tmp_path)}" in done.stdout
    result = json.loads((run / "result.json").read_text())
    for metric, value in result["test"].items():
        assert re.search(rf"{metric}\s.*{value:.4f}", done.stdout)
    assert set(result["test"]) == {"test/loss", "test/accuracy", "test/f1"}
    assert "Traceback" not in done.stderr


def test_a_run_leaves_its_record(tmp_path: Path) -> None:
    assert main([*SHORT, *QUIET, "optimizer_spec.lr=0.01"]) == 0

    run = only_run(tmp_path)
    assert {file.name for file in run.iterdir()} >= {
        "app.log",
        "checkpoints",
        "config.yaml",
        "environment.yaml",
        "metrics.csv",
        "overrides.yaml",
        "result.json",
        "sources.yaml",
    }
    config = yaml.safe_load((run / "config.yaml").read_text())
    assert config["optimizer_spec"]["lr"] == 0.01
    assert "optimizer_spec.lr=0.01" in yaml.safe_load((run / "overrides.yaml").read_text())
    sources = yaml.safe_load((run / "sources.yaml").read_text())
    assert sources["optimizer_spec.lr"] == "optimizer_spec.lr=0.01"
    assert sources["optimizer_spec.eps"] == "default"
    assert sources["module.model_config.dropout"] == "module=mlp"
    environment = yaml.safe_load((run / "environment.yaml").read_text())
    assert (
        environment["packages"]["torch"] == torch.__version__.partition("+")[0]
        or "+" in environment["packages"]["torch"]
    )
    assert set(environment["git"] or {"commit", "dirty"}) == {"commit", "dirty"}
    result = json.loads((run / "result.json").read_text())
    assert result["status"] == "completed"
    assert result["test_fingerprint"] == config["task"]["test_fingerprint"]
    assert Path(result["checkpoint"]).is_file()


def test_a_checkpoint_holds_its_config_and_is_tested_from_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*SHORT, *QUIET]) == 0
    run = only_run(tmp_path)
    first = json.loads((run / "result.json").read_text())
    checkpoint = torch.load(first["checkpoint"], weights_only=True)
    assert checkpoint["description"]["config"] == yaml.safe_load((run / "config.yaml").read_text())

    assert main(["test", "module=mlp", *QUIET, f"checkpoint={first['checkpoint']}", "hydra.run.dir=again"]) == 0
    assert json.loads(Path("again/result.json").read_text())["test"] == first["test"]

    capsys.readouterr()
    assert main(["test", "module=digits/cnn", *QUIET, f"checkpoint={first['checkpoint']}", "hydra.run.dir=other"]) == 1
    assert "holds the weights of another model than CNNModule" in capsys.readouterr().err


def test_a_file_that_is_no_checkpoint_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "notes.txt").write_text("not a checkpoint")

    assert main(["test", *QUIET, "checkpoint=notes.txt"]) == 2

    message = "checkpoint: notes.txt: is no checkpoint that can be read: it does not begin as a file of torch does"
    assert capsys.readouterr().err == f"{message}   checkpoint=notes.txt\n"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["test"], "checkpoint: needs a file to measure: app test checkpoint=<file>"),
        (["test", "checkpoint=nowhere.ckpt"], "checkpoint: nowhere.ckpt: no such file"),
        (["tset"], "expected key=value, or a command first; did you mean 'test'?   tset"),
        (["--config-dir=x"], "no flag --config-dir; there is --help"),
        (["--mutlirun"], "no flag --mutlirun; did you mean '--multirun'?   --mutlirun"),
        (["--experimental-rerun=x.pickle"], "no flag --experimental-rerun"),
        (["--cfg", "jbo"], "--cfg takes 'job', 'hydra' or 'all'; did you mean 'job'?   --cfg jbo"),
        (["-m", "optimizer_spec.lr=1e-3,fast"], "optimizer_spec.lr: expected a number above 0, found 'fast'"),
        (["-m", "optimizer_spec=adam,sdg"], "optimizer_spec: no option 'sdg'; did you mean 'sgd'?"),
    ],
)
def test_a_wrong_command_line_is_answered_with_status_2_and_leaves_nothing(
    words: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2

    assert capsys.readouterr().err.startswith(message)
    assert list(tmp_path.iterdir()) == []


def test_check_says_so_when_nothing_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "optimizer_spec=sgd"]) == 0

    assert capsys.readouterr().out == "no problem found\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", ["", "train ", "check "])
def test_completion_knows_options_and_fields(command: str, tmp_path: Path) -> None:
    def complete(word: str) -> list[str]:
        line = f"app {command}{word}"
        done = run_app("-sc", "query=bash", cwd=tmp_path, COMP_LINE=line, COMP_POINT=str(len(line)))
        return done.stdout.split()

    assert "optimizer_spec=sgd" in complete("optimizer_spec=s")
    assert complete("trainer.max_e") == ["trainer.max_epochs="]


def test_help_and_config_are_shown(tmp_path: Path) -> None:
    shown = run_app("--help", cwd=tmp_path).stdout
    assert "app [command]" in shown
    assert "optimizer_spec: adadelta, adafactor, adagrad, adam, " in shown

    config = yaml.safe_load(run_app("--cfg", "job", "optimizer_spec.lr=0.5", cwd=tmp_path).stdout)
    assert config["optimizer_spec"]["lr"] == 0.5
    assert "optimizer_spec/sgd" in run_app("--info", "defaults", "optimizer_spec=sgd", cwd=tmp_path).stdout
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("command", "field"),
    [
        ("export", "export.format = onnx\n    'onnx' or 'torch_export'\n    Kind of file"),
        ("predict", "predictions.inputs = null"),
        ("find-lr", "find_lr.steps = "),
    ],
)
def test_a_command_s_help_explains_what_is_for_it_alone(
    command: str, field: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([command, "--help"]) == 0

    shown = capsys.readouterr().out
    assert shown.startswith(f"app {command} [group=option ...]")
    assert field in shown
    assert len(shown.splitlines()) < 40


def test_a_multirun_trains_every_job_in_its_own_folder(tmp_path: Path) -> None:
    assert main(["-m", *SHORT, *QUIET, "optimizer_spec.lr=1e-3,1e-2"]) == 0

    sweep = only_run(tmp_path)
    rates = [yaml.safe_load((sweep / job / "config.yaml").read_text())["optimizer_spec"]["lr"] for job in ("0", "1")]
    assert rates == [1e-3, 1e-2]
    results = [json.loads((sweep / job / "result.json").read_text()) for job in ("0", "1")]
    assert results[0]["score"] != results[1]["score"]


def test_a_job_that_fails_is_marked_and_the_sweep_does_not_succeed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = "optimizer_spec.params={.head:{lr:1e-3}},{.haed:{lr:1e-3}}"

    assert main(["-m", *SHORT, *QUIET, paths]) == 2

    assert "did you mean" in capsys.readouterr().err
    sweep = only_run(tmp_path)
    states = [json.loads((sweep / job / "result.json").read_text())["status"] for job in ("0", "1")]
    assert states == ["completed", "failed"]


SECRET = "k3y-0f-n0b0dy"


@pytest.mark.slow
@pytest.mark.parametrize("multirun", [[], ["-m", "optimizer_spec.lr=1e-3,1e-2"]])
@pytest.mark.parametrize("typed", [f"logger.wandb.api_key={SECRET}", "logger.wandb.api_key=${oc.env:MY_KEY}"])
def test_a_secret_is_in_no_file_of_the_run(typed: str, multirun: list[str], tmp_path: Path) -> None:
    done = run_app(
        *SHORT, *multirun, "logger=[csv,wandb]", "logger.wandb.mode=offline", typed, cwd=tmp_path, MY_KEY=SECRET
    )

    assert done.returncode == 0, done.stderr
    files = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert any(file.suffix == ".wandb" for file in files)
    assert [str(file) for file in files if SECRET.encode() in file.read_bytes()] == []
    assert SECRET not in done.stdout + done.stderr


def test_a_secret_is_not_shown_even_when_it_is_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    for word in (
        f"logger.wandb.api_key=[{SECRET}]",
        f"logger.wandb.api_keyy={SECRET}",
        f"logger.wandb={{api_key:{SECRET}}}",
        f"logger.wandb.api_key=~{SECRET}",  # which cannot be read
    ):
        assert main(["check", word]) == 2
    assert main(["--cfg", "job", "logger=[csv,wandb]", f"logger.wandb.api_key={SECRET}"]) == 0

    shown = capsys.readouterr()
    assert SECRET not in shown.err + shown.out
    assert "api_key: '********'" in shown.out


def test_a_secret_that_is_a_common_word_hides_nothing_else(tmp_path: Path) -> None:
    words = ["logger=[csv,wandb]", "logger.wandb.mode=offline", "logger.wandb.api_key=csv"]

    assert main([*SHORT, *QUIET, *words]) == 0

    assert "logger=[csv,wandb]" in (only_run(tmp_path) / "overrides.yaml").read_text()


def test_a_second_run_does_not_write_over_the_first(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*SHORT, *QUIET, "hydra.run.dir=fixed"]) == 0
    before = {file: file.read_bytes() for file in (tmp_path / "fixed").rglob("*.yaml")}

    assert main([*SHORT, *QUIET, "hydra.run.dir=fixed", "seed_params.seed=5"]) == 2

    assert capsys.readouterr().err == (
        "hydra.run.dir: fixed holds an earlier run; leave hydra.run.dir out, or name another folder"
        "   hydra.run.dir=fixed\n"
    )
    assert {file: file.read_bytes() for file in before} == before


def test_a_diverged_training_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*QUIET, "module=mlp", "optimizer_spec=sgd", "optimizer_spec.lr=1e30"]) == 1

    assert "training has diverged" in capsys.readouterr().err
    assert json.loads((only_run(tmp_path) / "result.json").read_text())["status"] == "failed"


def test_what_fails_within_lightning_is_one_line_and_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*QUIET, "module=mlp", "trainer.val_check_interval=100"]) == 1

    error = capsys.readouterr().err
    assert "ValueError: `val_check_interval`" in error
    assert "Traceback" not in error
    assert "Traceback" in (only_run(tmp_path) / "traceback.txt").read_text()


@pytest.mark.slow
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_a_training_with_its_exit_status(number: signal.Signals, status: int, tmp_path: Path) -> None:
    words = ["module=mlp", "trainer.max_epochs=10000", *QUIET]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)}
    with subprocess.Popen(
        [sys.executable, "-m", "app", *words],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    ) as process:
        for _ in range(600):
            if list(tmp_path.glob("runs/digits/*/metrics.csv")):
                break
            time.sleep(0.1)
        process.send_signal(number)
        _, error = process.communicate(timeout=60)

    assert process.returncode == status
    assert b"Traceback" not in error
    assert json.loads((only_run(tmp_path) / "result.json").read_text())["status"] == "interrupted"


def test_a_folder_that_cannot_be_made_is_a_message(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run_directory.root=/dev/null/runs"]) == 1

    assert capsys.readouterr().err.startswith("cannot make the run's folder: ")


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["ddp", "ddp_spawn"])
def test_two_processes_train_and_one_tests_the_whole_test_split(strategy: str, tmp_path: Path) -> None:
    words = ["trainer.accelerator=cpu", "trainer.devices=2", f"trainer.strategy={strategy}", *SHORT, *QUIET]

    done = run_app(*words, cwd=tmp_path, OMP_NUM_THREADS="1")

    assert done.returncode == 0, done.stderr
    result = json.loads((only_run(tmp_path) / "result.json").read_text())
    assert main(["test", *QUIET, "module=mlp", f"checkpoint={result['checkpoint']}", "hydra.run.dir=alone"]) == 0
    assert json.loads(Path("alone/result.json").read_text())["test"] == pytest.approx(result["test"])


def test_a_sweep_whose_jobs_would_start_the_program_again_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["-m", "trainer=ddp", "trainer.devices=2", "seed_params.seed=1,2"]) == 2

    assert capsys.readouterr().err.startswith("trainer.strategy: 'ddp' leaves its process unfit for a sweep's next job")
