import re
from pathlib import Path

import pytest
import torch

from app.checkpoints.contents import KEY, description
from app.compose import compose
from app.composing.experiments import experiment_names
from app.inspection.facts import ABSENT
from app.inspection.nested import value_at
from app.inspection.origins import Origins
from app.inspection.why import answer, leaves
from app.schemas.plain import to_plain
from app.schemas.presets import with_presets
from app.schemas.problems import ConfigError, dotted
from app.schemas.run import RunConfig
from tests.gate.conftest import Write, experiment, folder

__all__ = ["experiment", "folder"]  # fixtures

ROOT = Path(__file__).parents[2]
BASE = """\
optimizer_spec: {lr: 0.02}
trainer:
  max_epochs: 7
"""
RECIPE = """\
defaults:
  - base
  - override /optimizer_spec: sgd
  - override /scheduler_spec: cosine_annealing
optimizer_spec:
  lr: 0.05
  momentum: 0.9
scheduler_spec:
  T_max: ${trainer.max_epochs}
"""


@pytest.fixture
def recipe(experiment: Write) -> str:
    """An experiment that builds on another one."""
    experiment(BASE, "base")
    return experiment(RECIPE, "recipe")


def why(*words: str) -> str:
    """The answer, with the lines of the project's own sources left out and its columns closed up."""
    text = re.sub(r"(?:\S*/)?(app/\S+\.py):\d+", r"\1", f"{answer(words)}\n")
    return re.sub(r"(?<=\S) {2,}", "  ", text)


def test_a_value_is_told_from_its_default_to_what_holds(recipe: str) -> None:
    assert why("optimizer_spec.lr", recipe, "optimizer_spec.lr=0.1") == (
        "optimizer_spec.lr = 0.1\n"
        "  optimizer_spec=adamw  default option  app/schemas/run.py\n"
        "  optimizer_spec=sgd  experiment digits/recipe  digits/experiments/recipe.yaml:3:5\n"
        "  0.001  default of SGDSpec  app/schemas/optimizers.py\n"
        "  0.02  experiment digits/base  digits/experiments/base.yaml:1:18\n"
        "  0.05  experiment digits/recipe  digits/experiments/recipe.yaml:6:3\n"
        "* 0.1  override  optimizer_spec.lr=0.1\n"
    )


def test_columns_stand_below_each_other(recipe: str) -> None:
    _, *lines = answer(["optimizer_spec.lr", recipe]).splitlines()
    assert len(lines) == 5
    assert len({len(re.split("default|experiment", line)[0]) for line in lines}) == 1


def test_an_interpolation_is_followed_to_what_it_stands_for(recipe: str) -> None:
    assert why("scheduler_spec.T_max", recipe) == (
        "scheduler_spec.T_max = 7\n"
        "  scheduler_spec=null  default option  app/schemas/run.py\n"
        "  scheduler_spec=cosine_annealing  experiment digits/recipe  digits/experiments/recipe.yaml:4:5\n"
        "  ${trainer.max_epochs}  preset of scheduler_spec=cosine_annealing  app/schemas/schedulers.py\n"
        "* ${trainer.max_epochs}  experiment digits/recipe  digits/experiments/recipe.yaml:9:3\n"
        "\n"
        "    trainer.max_epochs = 7\n"
        "      trainer=default  default option  app/schemas/run.py\n"
        "      20  default of TrainerConfig  app/schemas/trainer.py\n"
        "    * 7  experiment digits/base  digits/experiments/base.yaml:3:3\n"
    )


def test_of_a_part_its_choice_and_its_changed_fields_are_told(recipe: str) -> None:
    text = why("optimizer_spec", recipe)
    assert re.sub(r"defaults: \d+", "defaults: N", text) == (
        "optimizer_spec: SGDSpec\n"
        "  optimizer_spec=adamw  default option  app/schemas/run.py\n"
        "* optimizer_spec=sgd  experiment digits/recipe  digits/experiments/recipe.yaml:3:5\n"
        "\n"
        "  lr  0.05  experiment digits/recipe  digits/experiments/recipe.yaml:6:3\n"
        "  momentum  0.9  experiment digits/recipe  digits/experiments/recipe.yaml:7:3\n"
        "\n"
        "  defaults: N other values\n"
    )


def test_a_group_is_told_where_its_choice_stands() -> None:
    words = ["module=parts", "head=arcface", "module.model_config.head.scale=8.0"]
    assert why("head", *words) == (
        "module.model_config.head: ArcFaceHeadConfig\n"
        "  module=digits/default  default option  app/schemas/run.py\n"
        "  module=parts  override  module=parts\n"
        "  head=linear  default option  app/schemas/modules.py\n"
        "* head=arcface  override  head=arcface\n"
        "\n"
        "  num_classes  ${task.num_classes}  preset of head=arcface  app/schemas/parts/heads.py\n"
        "  scale  8.0  override  module.model_config.head.scale=8.0\n"
        "\n"
        "  defaults: 3 other values\n"
    )


def test_what_is_chosen_anew_starts_from_its_own_defaults(recipe: str) -> None:
    assert why("optimizer_spec.lr", recipe, "optimizer_spec={id: adagrad}").splitlines()[-2:] == [
        "  optimizer_spec={id: adagrad}  override  optimizer_spec={id: adagrad}",
        "* 0.01  default of AdagradSpec  app/schemas/optimizers.py",
    ]


def test_an_entry_of_a_users_own_name_is_told_like_any_other(experiment: Write) -> None:
    chosen = experiment("metrics:\n  top3: {id: accuracy, top_k: 3}\n")
    assert why("metrics.top3.top_k", chosen) == (
        "metrics.top3.top_k = 3\n"
        "  metrics=[]  default option  app/schemas/run.py\n"
        "  metrics.top3={id: accuracy}  experiment digits/x  digits/experiments/x.yaml:2:3\n"
        "  1  default of AccuracyConfig  app/schemas/metrics/classification.py\n"
        "* 3  experiment digits/x  digits/experiments/x.yaml:2:24\n"
    )


def test_a_stored_config_stands_in_place_of_defaults(tmp_path: Path) -> None:
    told = description(compose(["optimizer_spec=sgd", "trainer.max_epochs=7"]).config)
    file = tmp_path / "last.ckpt"
    torch.save({KEY: told, "state_dict": {}}, file)
    chosen = f"checkpoint='{file}'"

    assert why("optimizer_spec.lr", chosen) == (f"optimizer_spec.lr = 0.001\n* 0.001  stored config  {file}\n")
    assert why("trainer.max_epochs", chosen, "trainer.max_epochs=9").splitlines()[1:] == [
        f"  7  stored config  {file}",
        "* 9  override  trainer.max_epochs=9",
    ]
    assert "* 0.001  default of AdamWSpec" in why("optimizer_spec.lr", chosen, "optimizer_spec=adamw")


def test_a_secret_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", "very-secret")
    taken_back = ["logger=[wandb]", "logger.wandb.api_key=very-secret", "logger.wandb.api_key=null"]
    assert "very-secret" not in why("logger.wandb.api_key", *taken_back)
    for value in ("very-secret", "${oc.env:MY_KEY}"):
        words = ["logger=[wandb]", f"logger.wandb.api_key={value}"]
        for path in ("logger.wandb.api_key", "logger.wandb", "logger"):
            text = why(path, *words)
            assert "very-secret" not in text
            assert "********" in text


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("optimizer_spec.lrr", "optimizer_spec.lrr: AdamWSpec has no such field; did you mean 'lr'?"),
        ("optimiser_spec.lr", "optimiser_spec: RunConfig has no such field; did you mean 'optimizer_spec'?"),
        ("max_epochs", "max_epochs: RunConfig has no such field; did you mean 'trainer.max_epochs'?"),
        ("callbacks.chekpoint", "callbacks.chekpoint: callbacks has no 'chekpoint'; did you mean 'checkpoint'?"),
        ("metrics.f1", "metrics.f1: metrics has no 'f1'; it has nothing"),
        ("optimizer_spec.betas[2]", "optimizer_spec.betas[2]: optimizer_spec.betas has no '2'; it has 0, 1"),
        ("optimizer_spec.lr.x", "optimizer_spec.lr.x: optimizer_spec.lr is 0.001, which has nothing in it"),
        ("scheduler_spec.T_max", "scheduler_spec.T_max: scheduler_spec is null, which has nothing in it"),
        ("head", "module.model_config.head: CNNConfig has no such field; it has channels, dropout"),
    ],
)
def test_what_is_not_there_is_refused_with_what_was_meant(path: str, message: str) -> None:
    with pytest.raises(ConfigError) as refused:
        answer([path])
    assert str(refused.value) == message


@pytest.mark.parametrize("path", ["", "[", ".", "callbacks[checkpoint", "callbacks]x[", "callbacks[checkpoint]]"])
def test_a_path_whose_brackets_do_not_close_is_refused(path: str) -> None:
    with pytest.raises(ConfigError) as refused:
        answer([path])
    assert str(refused.value).startswith(f"'{path}' is no path, as optimizer_spec.lr and callbacks[mine] are")


def test_brackets_hold_what_a_dot_would_take_apart() -> None:
    assert answer(["callbacks[checkpoint].monitor"]) == answer(["callbacks.checkpoint.monitor"])
    words = ["optimizer_spec.params={.net: {lr: 0.5}}"]
    assert why("optimizer_spec.params[.net].lr", *words).startswith("optimizer_spec.params[.net].lr = 0.5\n")


def test_a_flag_that_is_not_known_is_refused_with_what_there_is() -> None:
    with pytest.raises(ConfigError, match="no flag --nosuch; there is --help"):
        answer(["--nosuch", "optimizer_spec.lr"])


def test_a_wrong_config_is_refused_with_its_problems() -> None:
    with pytest.raises(ConfigError, match=r"optimizer_spec\.lr: expected a number above 0, found 'fast'"):
        answer(["optimizer_spec.lr", "optimizer_spec.lr=fast"])
    with pytest.raises(ConfigError, match="one value is explained at a time"):
        answer(["optimizer_spec.lr", "trainer"])


def test_without_a_path_all_that_is_no_default_is_told() -> None:
    text = why("optimizer_spec.lr=0.5")
    assert text.startswith("run: RunConfig\n")
    assert "\n  optimizer_spec.lr  0.5  override  optimizer_spec.lr=0.5\n" in text


def test_what_a_schema_fills_in_is_the_last_step() -> None:
    assert why("task.input_shape", "experiment=tabular/wine") == (
        "task.input_shape = [13]\n"
        "  task=digits  default option  app/schemas/run.py\n"
        "  task=tabular  experiment tabular/wine  app/tasks/tabular/experiments/wine.yaml\n"
        "  null  preset of task=tabular  app/tasks/tabular/config.py\n"
        "* [13]  filled in by TabularTaskConfig  app/tasks/tabular/config.py\n"
    )


@pytest.mark.parametrize(
    ("words", "steps"),
    [
        (["table", "task=tabular"], ["* table=breast_cancer  default option  app/tasks/tabular/config.py"]),
        (
            ["table", "experiment=tabular/wine"],
            [
                "  table=breast_cancer  default option  app/tasks/tabular/config.py",
                "* table=wine  experiment tabular/wine  app/tasks/tabular/experiments/wine.yaml:5:5",
            ],
        ),
        (["augmentation"], ["* augmentation=[random_affine]  default option  app/tasks/digits/config.py"]),
        (
            ["augmentation", "experiment=digits/mlp"],
            [
                "  augmentation=[random_affine]  default option  app/tasks/digits/config.py",
                "* augmentation=[]  experiment digits/mlp  app/tasks/digits/experiments/mlp.yaml:6:5",
            ],
        ),
        (["loss", "experiment=tabular/diabetes"], ["* loss=[mse]  default option  app/schemas/task.py"]),
        (
            ["joint_loss.losses.digit_loss.weight", "experiment=multi_head/weighted"],
            [
                "  loss=[cross_entropy]  default option  app/tasks/multi_head/config.py",
                "  1.0  default of CrossEntropyConfig  app/schemas/losses/loss.py",
                "* 10.0  experiment multi_head/weighted  app/tasks/multi_head/experiments/weighted.yaml:6:18",
            ],
        ),
        (
            ["joint_loss.losses.digit_loss.mapping.input", "task=multi_head"],
            ["* digit_logits  default losses of PartsHeadsModuleConfig  app/tasks/multi_head/config.py"],
        ),
    ],
    ids=lambda words: " ".join(words) if len(words[0].split()) == 1 else "",
)
def test_defaults_of_parts_of_parts_are_told(words: list[str], steps: list[str]) -> None:
    told = [line for line in why(*words).splitlines()[1:] if line and not line.startswith(("   ", "  defaults"))]
    marked = next(place for place, line in enumerate(told) if line.startswith("*"))
    assert told[: marked + 1][-len(steps) :] == steps


def test_an_experiment_that_only_chooses_sets_no_value() -> None:
    assert why("trainer.max_epochs", "experiment=retrieval/triplet") == (
        "trainer.max_epochs = 20\n"
        "  trainer=default  default option  app/schemas/run.py\n"
        "* 20  default of TrainerConfig  app/schemas/trainer.py\n"
    )


CONFIGS = [
    [],
    *([f"experiment={name}"] for name in experiment_names()),
    ["module=parts", "neck=fpn", "trainer=debug", "loss=[focal]", "callbacks=[early_stopping,checkpoint]"],
    ["optimizers.a={parameters: [.net], optimizer_spec: {id: adam}}", "optimizer_spec.params={.net: {lr: 0.1}}"],
    [
        "scheduler_spec=sequential",
        "scheduler_spec.schedulers=[{id: linear}, {id: step}]",
        "scheduler_spec.milestones=[2]",
    ],
    ["joint_loss.losses={}", "joint_loss.losses.a={id: cross_entropy}", "optimizer_spec.betas=[0.5, 0.6]"],
]


@pytest.mark.parametrize("words", CONFIGS, ids=str)
def test_the_last_step_of_every_value_is_what_holds(words: list[str]) -> None:
    composed = compose(words)
    origins = Origins(composed)
    written = with_presets(dict(composed.tree), RunConfig)
    plain = to_plain(composed.config)
    places: list[str] = []
    for path in leaves(composed.config, ()):
        *before, last = origins.of(path)
        if last.kind == "filled":  # in place of what was written
            assert value_at(plain, path) == last.value != before[-1].value == value_at(written, path), dotted(path)
            continue
        if last.kind == "choice":  # none chosen, or several of which none is there
            assert value_at(plain, path) in (None, {}), dotted(path)
            continue
        assert value_at(written, path) in (ABSENT, last.value), dotted(path)
        if "${" not in str(last.value):
            assert value_at(plain, path) == last.value, dotted(path)
        if last.kind in ("default", "preset"):
            file, _, line = last.place.rpartition(":")
            places.append(Path(file).read_text().splitlines()[int(line) - 1])
    assert len(places) > 50
    assert all(map(str.strip, places))


def test_a_default_is_where_its_field_is_written() -> None:
    for path, name in (("optimizer_spec.lr", "lr"), ("trainer.max_epochs", "max_epochs"), ("seed_params.seed", "seed")):
        *_, last = Origins(compose()).of(tuple(path.split(".")))
        file, _, line = last.place.rpartition(":")
        assert Path(file).read_text().splitlines()[int(line) - 1].startswith(f"    {name}: ")


def test_what_was_taken_away_is_no_step() -> None:
    words = ["scheduler_spec=step", "scheduler_spec.gamma=0.5", "scheduler_spec=null"]
    assert why("scheduler_spec", *words) == (
        "scheduler_spec = null\n"
        "  scheduler_spec=null  default option  app/schemas/run.py\n"
        "  scheduler_spec=step  override  scheduler_spec=step\n"
        "* scheduler_spec=null  override  scheduler_spec=null\n"
    )
    assert why("scheduler_spec", *words, "scheduler_spec=step").startswith("scheduler_spec: StepLRSpec\n")
    assert why("scheduler_spec.gamma", *words, "scheduler_spec=step").endswith(
        "\n* 0.1  default of StepLRSpec  app/schemas/schedulers.py\n"
    )
