"""`app check` as it is typed."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from app.checks.lint import Subject, lint
from app.cli import main
from app.composing.experiments import experiment_at, experiment_names
from app.tasks import task_folders

Output = pytest.CaptureFixture[str]

WRONG = """\
# @package _global_
defaults:
  - override /optimizer_spec: sgd

optimizer_spec:
  lerning_rate: 0.1
  momentum: fast
"""
ODD = """\
# @package _global_
optimizer_spec:
  lr: 3.0
seed_params:
  seed: 0
"""


@pytest.fixture
def wrong(tmp_path: Path) -> Path:
    file = tmp_path / "wrong.yaml"
    file.write_text(WRONG)
    return file


@pytest.fixture
def odd(tmp_path: Path) -> Path:
    file = tmp_path / "odd.yaml"
    file.write_text(ODD)
    return file


def test_every_experiment_and_default_config_is_checked_when_none_is_named(capsys: Output) -> None:
    assert main(["check"]) == 0
    assert capsys.readouterr().out == f"no problem found in {len(experiment_names()) + len(task_folders())} configs\n"


def test_every_problem_of_every_named_experiment_is_reported_at_its_place(
    wrong: Path, odd: Path, capsys: Output
) -> None:
    assert main(["check", "digits/robust", str(wrong), str(odd)]) == 1
    first, second, third, fourth, summary = capsys.readouterr().out.splitlines()
    assert first.startswith(f"{odd}:3:3: TLA309 optimizer_spec.lr: ")
    assert second.startswith(f"{odd}:5:3: TLA306 seed_params.seed: ")
    assert third == f"{wrong}:6:3: TLA201 optimizer_spec.lerning_rate: SGDSpec has no such field; did you mean 'lr'?"
    assert (
        fourth
        == f"{wrong}:7:3: TLA202 optimizer_spec.momentum: expected a number of at least 0 and below 1, found 'fast'"
    )
    assert summary == "3 problems and 1 hint found in 3 configs"


def test_overrides_are_typed_on_top_of_each_named_experiment(wrong: Path, capsys: Output) -> None:
    words = ["optimizer_spec.weight_decay=0.1", "trainer.max_epochs=two"]
    assert main(["check", "digits/mlp", str(wrong), *words]) == 2
    found = capsys.readouterr().out
    assert "weight_decay" not in found
    expected = "expected a whole number of at least -1, found 'two'"
    assert f"trainer.max_epochs=two: TLA202 trainer.max_epochs: {expected}" in found


def test_overrides_alone_make_the_config_of_a_run(capsys: Output) -> None:
    assert main(["check", "module=mlp", "optimizer_spec.lr=3e-4"]) == 0
    assert capsys.readouterr().out == "no problem found\n"
    assert main(["check", "module=digits/cmn", "optimizer_spec.lr=fast"]) == 2
    out = capsys.readouterr().out.splitlines()
    assert out[0].startswith("module=digits/cmn: TLA203 module: no option 'digits/cmn'; did you mean 'digits/cnn'?")
    assert out[1:] == [
        "optimizer_spec.lr=fast: TLA202 optimizer_spec.lr: expected a number above 0, found 'fast'",
        "2 problems found",
    ]


def test_a_hint_alone_passes_and_a_warning_does_not(capsys: Output) -> None:
    assert main(["check", "optimizer_spec.lr=3.0"]) == 0
    assert "TLA309" in capsys.readouterr().out
    assert main(["check", "optimizer_spec=sgd", "optimizer_spec.dampening=0.5"]) == 1
    assert "TLA305" in capsys.readouterr().out


def test_every_job_of_a_sweep_is_checked(capsys: Output) -> None:
    assert main(["check", "-m", "optimizer_spec.lr=1e-3,1e-4", "module=mlp,digits/cnn"]) == 0
    assert capsys.readouterr().out == "no problem found in 4 configs\n"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["digits/robst"], "did you mean 'digits/robust'?   digits/robst"),
        (["robust"], "did you mean 'digits/robust'?   robust"),
        (["--shape"], "no flag --shape; did you mean '--shapes'?   --shape"),
        (["--format", "xml"], "--format takes 'text', 'json', 'github' or 'sarif'   --format xml"),
        (["--explain", "TLA20"], "TLA20'; did you mean 'TLA20"),
        (["--shapes=no"], "--shapes takes no value"),
        (["digits", "--multirun"], "is for overrides alone: app check --multirun optimizer_spec.lr=1e-3,1e-4"),
        (["experiment=digits/robust", "--types"], "looks at the files of experiments; name one"),
        (["~a:1:2"], "~a:1:2: TLA207 "),
        (["digits/robust", "optimizer_spec=sdg"], "optimizer_spec: no option 'sdg'; did you mean 'sgd'?"),
        (["digits/robust", "experiment=digits/mlp"], "experiment: is given twice"),
    ],
)
def test_words_that_are_wrong_end_with_status_2(words: list[str], message: str, capsys: Output) -> None:
    assert main(["check", *words]) == 2
    assert message in "".join(capsys.readouterr())


@pytest.mark.parametrize("name", ["TLA306", "tla306", "same-as-before"])
def test_a_code_is_explained(name: str, capsys: Output) -> None:
    assert main(["check", "--explain", name]) == 0
    assert capsys.readouterr().out.startswith("# TLA306 same-as-before\n")


def test_findings_are_read_by_programs(wrong: Path, capsys: Output) -> None:
    assert main(["check", "--format", "json", str(wrong)]) == 1
    found = json.loads(capsys.readouterr().out)
    assert [(each["file"], each["line"], each["code"]) for each in found] == [
        (str(wrong), 6, "TLA201"),
        (str(wrong), 7, "TLA202"),
    ]


def test_many_experiments_are_checked_by_several_processes_with_the_same_result(tmp_path: Path) -> None:
    for number in range(120):
        text = WRONG if number % 10 == 0 else f"trainer: {{max_epochs: {number + 30}}}\n"
        (tmp_path / f"x{number:03}.yaml").write_text(text)
    subjects = [Subject(experiment=experiment_at(file)) for file in sorted(tmp_path.glob("*.yaml"))]

    together = lint(subjects).found

    alone = [found for subject in subjects for found in lint([subject]).found]
    assert together == alone
    assert len(together) == 24


def test_what_is_found_in_a_base_is_reported_once(tmp_path: Path) -> None:
    """Run in a copy, for the base has to lie in its task's folder."""
    script = """
import sys
from pathlib import Path
from app.tasks import task_folders
folder = task_folders()["digits"] / "experiments"
assert folder.is_relative_to(Path.cwd()), folder
(folder / "base.yaml").write_text("optimizer_spec: {lr: 3.0}\\n")
for name in ("one", "two"):
    (folder / f"{name}.yaml").write_text(f"defaults: [base]\\ntrainer: {{max_epochs: {len(name) + ord(name[0])}}}\\n")
from app.cli import main
sys.exit(main(["check", "digits/base", "digits/one", "digits/two"]))
"""
    root = Path(__file__).parents[2]
    shutil.copytree(root / "app", tmp_path / "app", ignore=shutil.ignore_patterns("__pycache__"))
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("TLA309") == 1


def test_a_comment_in_a_file_that_was_not_looked_into_is_not_called_unneeded(tmp_path: Path, capsys: Output) -> None:
    file = tmp_path / "x.yaml"
    file.write_text("trainer:\n  max_epochs: 20  # noqa: TLA306 wanted\n  precision: fp16\n")
    assert main(["check", str(file)]) == 1
    found = capsys.readouterr().out
    assert ("TLA202" in found, "TLA902" in found) == (True, False)


def test_a_file_that_cannot_be_read_is_found_in_every_format(tmp_path: Path, capsys: Output) -> None:
    file = tmp_path / "x.yaml"
    file.write_bytes(b"trainer: \xff\n")
    for form in ("text", "json", "github", "sarif"):
        assert main(["check", str(file), "--format", form]) == 1
        out = capsys.readouterr().out
        assert str(file) in out
        assert "TLA103" in out


def test_experiments_that_only_typed_words_make_equal_are_no_duplicates(tmp_path: Path, capsys: Output) -> None:
    for name, epochs in (("one", 3), ("two", 4)):
        (tmp_path / f"{name}.yaml").write_text(f"trainer: {{max_epochs: {epochs}}}\n")
    assert main(["check", str(tmp_path), "trainer.max_epochs=9"]) == 0
    assert "TLA307" not in capsys.readouterr().out


def test_what_no_word_set_is_blamed_on_all_of_them(capsys: Output) -> None:
    assert main(["check", "-m", "trainer=ddp", "optimizer_spec.lr=1e-3,1e-4"]) == 2
    assert capsys.readouterr().out.startswith(
        "trainer=ddp optimizer_spec.lr=1e-3,1e-4: TLA206 trainer.strategy: 'ddp' "
    )


def test_every_job_of_a_wrong_sweep_is_reported_in_every_format(capsys: Output) -> None:
    assert main(["check", "--format", "json", "-m", "optimizer_spec.lr=1e-3,fast,0"]) == 2
    found = json.loads(capsys.readouterr().out)
    assert [each["typed"] for each in found] == ["optimizer_spec.lr=fast", "optimizer_spec.lr=0"]


def test_a_comment_is_not_called_unneeded_by_who_did_not_look(tmp_path: Path, capsys: Output) -> None:
    """Of the shape check, of duplicates, and of what typed words put right."""
    file = tmp_path / "x.yaml"
    file.write_text(
        "trainer:  # noqa: TLA304 found by shapes\n"
        "  accelerator: cpu  # noqa: TLA307 the other is kept elsewhere\n"
        "datamodule: {dataloader: {pin_memory: true}}  # noqa: TLA305 for machines with one\n"
    )
    assert main(["check", str(file)]) == 0, capsys.readouterr().out
    assert main(["check", str(file), "trainer.accelerator=gpu"]) == 0, capsys.readouterr().out


def test_a_file_that_typed_words_name_has_to_be_there(capsys: Output) -> None:
    assert main(["check", "digits/mlp", "load_checkpoint.base_ckpt_path=nowhere.ckpt"]) == 2
    assert "TLA208 load_checkpoint.base_ckpt_path: no file 'nowhere.ckpt'" in capsys.readouterr().out
