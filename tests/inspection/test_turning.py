import random
import shlex

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.compose import load_config
from app.composing.experiments import experiment_names
from app.inspection.sides import Side, side
from app.inspection.turning import NoWayError, overrides_between
from app.schemas.optimizers import ParamGroupSpec
from app.schemas.plain import to_plain
from app.schemas.problems import ConfigError
from app.schemas.registry import groups, options
from tests.choosing import UNINSTALLED, choosing

NAMES = experiment_names()
TASKS = list(dict.fromkeys(name.partition("/")[0] for name in NAMES))

WORDS = [
    "optimizer_spec=sgd",
    "optimizer_spec=adagrad",
    "optimizer_spec.lr=1e-4",
    "optimizer_spec.params={.net:{lr:0.5},.head:{weight_decay:0.0}}",
    "optimizer_spec.params={.net:{lr:0.25}}",
    "optimizer_spec.paramwise.bias_decay=0.0",
    "'optimizer_spec.paramwise.custom={.*.bias:{lr:2.0}}'",
    "scheduler_spec=cosine_annealing",
    "scheduler_spec=step",
    "scheduler_spec={id:step,gamma:0.5}",
    "scheduler_spec=sequential 'scheduler_spec.schedulers=[{id:linear},{id:step}]' scheduler_spec.milestones=[2]",
    "scheduler_spec=sequential 'scheduler_spec.schedulers=[{id:step},{id:linear}]' scheduler_spec.milestones=[3]",
    "module=mlp",
    "module=mlp module.model_config.hidden_dims=[7]",
    "module=mlp module.model_config.hidden_dims=[7840] module.model_config.dropout=0.0",  # as another task's option has
    "module=parts",
    "module=parts head=arcface",
    "module=parts backbone=conv neck=fpn module.model_config.neck.width=9",
    "module.compute_loss_on_valid=true",
    "trainer=debug",
    "trainer=profile",
    "trainer.max_epochs=33",
    "trainer.devices=[0]",
    "callbacks=[checkpoint]",
    "callbacks=[]",
    "callbacks=[early_stopping,checkpoint] callbacks.early_stopping.patience=9",
    "'callbacks.mine={id:early_stopping,patience:4}'",
    "callbacks.checkpoint.save_top_k=2",
    "logger=[]",
    "logger=[csv,tensorboard]",
    "loss=[focal]",
    "loss=[focal,cross_entropy] joint_loss.losses.focal.gamma=3.0",
    "'joint_loss.losses.soft={id:cross_entropy,label_smoothing:0.2}'",
    "metrics=[auroc]",
    "'metrics.top3={id:accuracy,top_k:3}' 'metrics.top2={id:accuracy,top_k:2}'",
    "'optimizers.a={parameters:[.head],optimizer_spec:{id:adam}}'",
    "seed_params.seed=5",
    "load_checkpoint.base_ckpt_path=some.ckpt",
    "\"run_directory.root='my runs/\\${x}'\"",
    "datamodule.train_val_split=[0.5,0.5]",
    "datamodule.dataloader.num_workers=2 datamodule.dataloader.prefetch_factor=3",
]
"""What one might type; some of it does not go together."""


def task_of(name: str) -> str:
    """The task of an experiment."""
    return name.partition("/")[0]


def task_alone(task: str) -> Side:
    """A task as it is without an experiment."""
    return Side(name=task, words=(f"task={task}",))


def check_turning(before: Side, after: Side) -> list[str]:
    """That the overrides give what they promise, and that none of them can be left out."""
    wanted = after.config()
    words = overrides_between(before, wanted)
    assert before.config(words) == wanted
    for place in range(len(words)):
        try:
            found = before.config(words[:place] + words[place + 1 :])
        except ConfigError:
            continue
        assert found != wanted, f"{words[place]} can be left out"
    return words


@pytest.mark.parametrize("name", NAMES)
def test_an_experiment_becomes_what_its_task_is_without_it_and_others_of_the_task(name: str) -> None:
    of_task = [other for other in NAMES if task_of(other) == task_of(name)]
    following = of_task[(of_task.index(name) + 1) % len(of_task)]
    for other in (task_alone(task_of(name)), side(following)):
        assert bool(check_turning(side(name), other)) == (other.name != name)


@pytest.mark.parametrize("task", TASKS)
def test_a_task_becomes_an_experiment_of_any_task(task: str) -> None:
    """All experiments are met, since each of the tasks takes another one of those that a task has."""
    for other in TASKS:
        of_task = [name for name in NAMES if task_of(name) == other]
        words = check_turning(task_alone(task), side(of_task[TASKS.index(task) % len(of_task)]))
        assert words
        assert (words[0] == f"task={other}") == (other != task)


def test_a_stored_run_becomes_one_of_another_task() -> None:
    stored = Side(name="stored", stored=to_plain(load_config(experiment="digits/augmented")))
    for other in ("tabular/diabetes", "multi_head/weighted", "segmentation/dice_only"):
        assert check_turning(stored, side(other))[0] == f"task={task_of(other)}"


@pytest.mark.parametrize("group", list(groups))
def test_every_option_can_be_put_in_and_taken_out(group: str) -> None:
    for name in options[group].keys() - UNINSTALLED:
        words = choosing(group, name)
        named = [word.startswith(f"{group}=") for word in words]
        around = words[: named.index(True)] if any(named) else []
        start, chosen = Side(name="start", words=tuple(around)), Side(name=name, words=tuple(words))
        there, back = check_turning(start, chosen), check_turning(chosen, start)
        assert len(there) <= max(2, len(words) - len(around)), there
        # Facts of the task that interpolate its table are told one by one where an `id` puts in another table.
        assert len(back) <= (7 if group == "table" else 4), back


@given(st.lists(st.sampled_from(WORDS), max_size=5), st.lists(st.sampled_from(WORDS), max_size=5), st.randoms())
@settings(max_examples=20, deadline=None, derandomize=True, database=None)
def test_any_config_becomes_any_other(before: list[str], after: list[str], chance: random.Random) -> None:
    sides = []
    for words in (before, after):
        found = Side(name="x", words=tuple(word for text in words for word in shlex.split(text)))
        try:
            found.config()
        except ConfigError:
            found = side(chance.choice(["default", *(name for name in NAMES if task_of(name) == "digits")]))
        sides.append(found)
    check_turning(*sides)


@pytest.mark.parametrize("words", WORDS)
def test_each_of_the_words_comes_and_goes(words: str) -> None:
    one, other = Side(name="x"), Side(name="y", words=tuple(shlex.split(words)))
    assert bool(check_turning(one, other)) == (one.config() != other.config())
    check_turning(other, one)


def test_what_overrides_cannot_say_is_said_plainly() -> None:
    config = load_config()
    config.optimizer_spec.params = {"a'b": ParamGroupSpec(lr=0.5)}
    with pytest.raises(NoWayError, match=r"optimizer_spec\.params\[a'b\] cannot be written as an override"):
        overrides_between(Side(name="default"), config)
