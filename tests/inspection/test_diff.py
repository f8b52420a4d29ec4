import shlex
import subprocess
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import app.inspection.revisions
from app.checkpoints.contents import KEY, description
from app.compose import compose, load_config
from app.composing.overrides import read_overrides
from app.inspection.diff import answer
from app.inspection.sides import Side, side
from app.inspection.spelling import UnwritableError, override, spelt
from app.run_directory import write_record
from app.schemas.plain import to_plain
from app.schemas.problems import ConfigError
from tests.gate.conftest import Write, experiment, folder
from tests.inspection.test_turning import NAMES, TASKS, check_turning, task_of

__all__ = ["experiment", "folder"]  # fixtures

WRONG = Path(__file__).parents[1] / "checks" / "wrong"


def diff(names: list[str]) -> str:
    """The answer, as it is printed."""
    return f"{answer(names)}\n"


@pytest.mark.parametrize("place", range(len(TASKS)))
def test_between_experiments_of_two_tasks_it_is_told_what_to_type_instead(place: int) -> None:
    before, after = (next(name for name in NAMES if task_of(name) == TASKS[at]) for at in (place - 1, place))
    *differences, empty, why_not, with_words, words = answer([before, after]).splitlines()
    assert f"task.name: str  {task_of(before)} → {task_of(after)}" in differences
    assert not empty
    assert why_not == (f"no overrides turn {before} into {after}: an experiment stays with its task, {task_of(before)}")
    assert with_words == f"default becomes {after} with"
    assert load_config(shlex.split(words)) == side(after).config()


def test_from_another_task_to_the_default_there_is_nothing_to_type() -> None:
    *_, empty, why_not = answer(["tabular/wine", "default"]).splitlines()
    assert (empty, why_not) == (
        "",
        "no overrides turn tabular/wine into default: an experiment stays with its task, tabular",
    )


def test_another_task_comes_first_and_brings_what_belongs_to_it() -> None:
    for name, words in (
        (
            "tabular/diabetes",
            "task=tabular table=diabetes 'module.model_config.hidden_dims=[32]' trainer.max_epochs=60",
        ),
        ("multi_head/weighted", "task=multi_head joint_loss.losses.digit_loss.weight=10.0"),
        ("mnist/cnn", "task=mnist module=mnist/cnn 'augmentation=[random_affine]'"),
    ):
        assert diff([name]).splitlines()[-1].startswith(f"  {words}")


def test_what_follows_from_another_table_is_not_to_be_typed() -> None:
    assert diff(["tabular/diabetes trainer.max_epochs=20 optimizer_spec.weight_decay=0.01", "task=tabular"]).endswith(
        " becomes task=tabular with\n  table=breast_cancer 'module.model_config.hidden_dims=[64]'\n"
    )


def test_what_differs_is_shown_with_its_type_and_what_to_type() -> None:
    after = "optimizer_spec=sgd optimizer_spec.momentum=0.9 trainer.max_epochs=7 scheduler_spec=cosine_annealing"
    assert diff(["default", after]) == (
        "trainer.max_epochs: int  20 → 7\n"
        "optimizer_spec: AdamWSpec → SGDSpec\n"
        "optimizer_spec.momentum: float  (none) → 0.9\n"
        "optimizer_spec.weight_decay: float  0.01 → 0.0\n"
        "scheduler_spec: null → CosineAnnealingLRSpec\n"
        "scheduler_spec.T_max: int  (none) → 7\n"
        "\n"
        f"default becomes {after} with\n"
        "  trainer.max_epochs=7 optimizer_spec=sgd optimizer_spec.momentum=0.9 scheduler_spec=cosine_annealing\n"
    )


def test_an_option_that_an_experiment_has_set_fields_of_is_put_in_anew() -> None:
    assert diff(["digits/sgd_cosine", "default"]).splitlines()[-2:] == [
        "digits/sgd_cosine becomes default with",
        (
            "  module.model_config.dropout=0.4 datamodule.dataloader.batch_size=16"
            " 'optimizer_spec={id: adamw}' scheduler_spec=null"
        ),
    ]


def test_what_was_added_can_be_removed() -> None:
    lines = diff(["'callbacks.mine={id: early_stopping}'", "default"]).splitlines()
    assert lines[0] == "callbacks.mine: EarlyStoppingConfig → (none)"
    assert lines[-1].startswith("  'callbacks={}' 'callbacks.checkpoint={id: checkpoint}' ")


def test_with_one_config_it_is_compared_to_the_default() -> None:
    assert diff(["trainer.max_epochs=7"]).endswith(" with\n  trainer.max_epochs=7\n")
    assert diff(["digits/mlp", "digits/mlp"]) == "no difference between digits/mlp and digits/mlp\n"


def test_a_run_and_a_checkpoint_are_configs_too(tmp_path: Path) -> None:
    config = load_config(
        ["optimizer_spec=sgd", "trainer.max_epochs=7", "logger=[wandb]", "logger.wandb.api_key=very-secret"]
    )
    write_record(tmp_path / "run", config)
    file = tmp_path / "last.ckpt"
    torch.save({KEY: description(config), "state_dict": {}}, file)
    for stored in (str(tmp_path / "run"), str(file)):
        there, back = diff(["default", stored]), diff([stored, "default"])
        assert "very-secret" not in there + back
        assert "trainer.max_epochs: int  20 → 7" in there
        assert there.splitlines()[-1] == "  trainer.max_epochs=7 optimizer_spec=sgd 'logger=[wandb]'"
        check_turning(side("default"), side(stored))
        check_turning(side(stored), side("digits/sgd_cosine"))
    assert diff([str(tmp_path / "run"), str(file)]).startswith("no difference between ")


def test_a_secret_is_not_shown() -> None:
    before, after = (f"logger=[wandb] logger.wandb.api_key={secret}" for secret in ("first-secret", "other-secret"))
    text = diff([before, after])
    assert text.splitlines()[0] == "logger.wandb.api_key: SecretStr | None  ******** → ********"
    assert text.splitlines()[-1].endswith(" differ in secrets alone, which are not shown")


@pytest.mark.usefixtures("folder")
def test_an_experiment_may_lie_anywhere(experiment: Write, tmp_path: Path) -> None:
    experiment("trainer: {max_epochs: 5}\noptimizer_spec: {lr: 0.5}\n", "base")
    file = "mine.yaml"
    (tmp_path / file).write_text("defaults: [base, {override /optimizer_spec: sgd}]\ntrainer: {min_epochs: 2}\n")

    assert diff(["digits/base", file]).endswith(
        "\n\ndigits/base becomes mine.yaml with\n  trainer.min_epochs=2 optimizer_spec=sgd\n"
    )
    for before, after in (("default", file), (file, "default"), (f"{file} trainer.max_epochs=9", file)):
        check_turning(side(before), side(after))
    assert (
        side(f"{file} trainer.max_epochs=9").config().trainer
        == load_config(["trainer.max_epochs=9", "trainer.min_epochs=2"]).trainer
    )


@pytest.fixture
def repository(experiment: Write, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two experiments in a repository, one of them changed since."""
    monkeypatch.setattr(app.inspection.revisions, "task_folders", lambda: {"digits": folder.parent})
    experiment("trainer: {max_epochs: 5}\njoint_loss: {losses: {extra: {id: focal}}}\n", "base")
    experiment("defaults: [base, {override /optimizer_spec: sgd}]\noptimizer_spec: {lr: 0.5}\n")
    experiment("trainer: {max_epoch: 3}\n", "wrong")
    experiment("trainer: !a 3\n", "tag")
    experiment("metrics: 3\n", "number")
    experiment("defaults: [second]\n", "first")
    experiment("defaults: [first]\n", "second")
    experiment("trainer: {max_epochs: 8}\n", "gone")
    experiment("defaults: [gone]\noptimizer_spec: {lr: 0.5}\n", "heir")
    (folder / "link.yaml").symlink_to("base.yaml")
    (folder.parents[1] / "elsewhere").mkdir()
    (folder.parents[1] / "elsewhere" / "x.yaml").write_text("trainer: {max_epochs: 8}\n")
    for command in ("init -q", "add .", "-c user.name=a -c user.email=a@b -c commit.gpgsign=false commit -qm first"):
        subprocess.run(["git", *command.split()], cwd=folder.parents[1], check=True)
    (folder / "gone.yaml").unlink()
    experiment("defaults: [base]\n", "heir")
    experiment("trainer: {max_epochs: 9}\n", "base")
    experiment("defaults: [base, {override /optimizer_spec: sgd}]\noptimizer_spec: {lr: 0.25}\n")
    return folder


@pytest.mark.usefixtures("repository")
def test_an_experiment_is_compared_to_what_it_was_at_a_revision() -> None:
    assert diff(["HEAD:digits/x", "digits/x"]) == (
        "joint_loss.losses.extra: FocalConfig → (none)\n"
        "trainer.max_epochs: int  5 → 9\n"
        "optimizer_spec.lr: float  0.5 → 0.25\n"
        "\n"
        "HEAD:digits/x becomes digits/x with\n"
        "  'joint_loss.losses={}' 'joint_loss.losses.cross_entropy={id: cross_entropy}' trainer.max_epochs=9"
        " optimizer_spec.lr=0.25\n"
    )
    check_turning(side("digits/x"), side("HEAD:digits/x"))


@pytest.mark.usefixtures("repository")
def test_a_base_that_was_deleted_since_is_as_it_was() -> None:
    config = side("HEAD:digits/heir").config()
    assert (config.trainer.max_epochs, config.optimizer_spec.lr) == (8, 0.5)
    assert side("digits/heir").config().trainer.max_epochs == 9


@pytest.mark.usefixtures("repository")
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("HEAD:digits/y", "no experiment 'digits/y' at HEAD; did you mean 'digits/x'?   HEAD:digits/y"),
        ("HEAD:digits/link", "no experiment 'digits/link' at HEAD"),
        ("HEAD:digits/../../elsewhere/x", "'digits/../../elsewhere/x' is no name of an experiment, <task>/<name>"),
        ("HEAD:digits/../experiments/x", "'digits/../experiments/x' is no name of an experiment"),
        ("HEAD:digits", "'digits' is no name of an experiment"),
        ("HEAD:digits/first", "defaults: builds on itself: digits/first → digits/second → digits/first   HEAD:digits/"),
        ("NOPE:digits/x", "invalid object name 'NOPE'.   NOPE:digits/x"),
        ("HEAD:digit/x", "no task 'digit'; did you mean 'digits'?   HEAD:digit/x"),
        ("HEAD:digits/wrong", "trainer.max_epoch: TrainerConfig has no such field; did you mean 'max_epochs'?"),
        ("HEAD:digits/wrong", "   trainer.max_epoch=3   HEAD:digits/wrong"),
        ("HEAD:digits/number", "metrics cannot be written as an override   HEAD:digits/number"),
        ("HEAD:digits/tag", "trainer: tags are not read, found !a   HEAD:digits/tag.yaml:1:10"),
        ("-p:digits/x trainer=debug", "no flag -p:digits/x trainer; there is --help"),
        ("'-p:digits/x' trainer=debug", "nothing is called '-p:digits/x'"),
        ("--upload-pack=x:digits/x", "no flag --upload-pack; there is --help   --upload-pack=x:digits/x"),
    ],
)
def test_what_a_revision_does_not_have_or_has_wrong_is_refused(name: str, message: str) -> None:
    with pytest.raises(ConfigError) as refused:
        diff([name])
    assert message in str(refused.value)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["digits/robst"], "nothing is called 'digits/robst'; did you mean 'digits/robust'?"),
        (["robust"], "nothing is called 'robust'; did you mean 'digits/robust'?"),
        (["a", "b", "c"], "expected one config or two: app diff A B"),
        ([], "expected one config or two: app diff A B"),
        (["digits/mlp optimizer_spec.lrr=1"], "optimizer_spec.lrr: AdamWSpec has no such field; did you mean 'lr'?"),
        (["'optimizer_spec.lr=1"], "cannot be taken apart into words: No closing quotation"),
        (["."], "holds no config.yaml of a run   ."),
        ([f"{WRONG}/no.yaml"], "nothing is called"),
        ([f"{WRONG}/tla201_field.yaml"], "optimizer_spec.lerning_rate: AdamWSpec has no such field"),
        ([__file__], "is no checkpoint"),
        (["x" * 300], "nothing is called 'xxx"),
        (["x" * 300 + ".yaml"], "nothing is called 'xxx"),
        (["~nobody-has-this-name/x"], "nothing is called '~nobody-has-this-name/x'"),
        ([""], "nothing is called ''; expected an experiment, 'default', a run's folder"),
        (["default", ""], "nothing is called ''"),
    ],
)
def test_what_is_no_config_is_refused(names: list[str], message: str) -> None:
    with pytest.raises(ConfigError) as refused:
        diff(names)
    assert message in str(refused.value)


def test_a_stored_config_cannot_read_the_environment(tmp_path: Path) -> None:
    write_record(tmp_path, load_config())
    file = tmp_path / "config.yaml"
    file.write_text(file.read_text().replace("root: runs", "root: ${oc.env:HOME}"))
    with pytest.raises(ConfigError, match="interpolations"):
        side(str(tmp_path))


TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=12)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", ".b", "c.d", "_e"]), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(VALUES)
@settings(max_examples=100, deadline=None, derandomize=True, database=None)
def test_a_value_is_read_back_to_the_last_bit(value: object) -> None:
    try:
        text = override(("find_lr", "x"), value)
    except UnwritableError:
        assert "\\" in str(value) or "${" in str(value)
        return
    assert text == f"find_lr.x={spelt(value)}"
    read, problems = read_overrides([text])
    assert not problems
    assert repr(read[0].value).replace("\\\\${", "${") == repr(value)


def test_to_plain_is_all_that_a_side_needs() -> None:
    config = load_config(["optimizer_spec=sgd"])
    assert Side(name="x", stored=to_plain(config)).config() == config
    assert compose(["trainer.max_epochs=3"], base=to_plain(config)).config.trainer.max_epochs == 3


def test_a_mapping_with_an_id_is_chosen_after_all_that_an_experiment_sets() -> None:
    config = load_config(["optimizer_spec={id: adagrad}", "optimizer_spec.lr=0.5"], experiment="digits/sgd_cosine")
    assert config.optimizer_spec == load_config(["optimizer_spec=adagrad", "optimizer_spec.lr=0.5"]).optimizer_spec
    for wrong in ("trainer={id: gpu}", "optimizer_spec={lr: 0.1}", "callbacks={mine: {id: early_stopping}}", "loss={}"):
        with pytest.raises(ConfigError, match="expected the name of an option, found a mapping"):
            load_config([wrong])


def test_null_takes_a_part_away_with_all_that_was_set_in_it_before() -> None:
    assert load_config(["scheduler_spec=null"], experiment="digits/sgd_cosine").scheduler_spec is None
    typed = ["scheduler_spec=step", "scheduler_spec.gamma=0.5"]
    assert load_config([*typed, "scheduler_spec=null"]).scheduler_spec is None
    with pytest.raises(ConfigError, match="no option is chosen"):
        load_config(["scheduler_spec=null", *typed[1:]])
