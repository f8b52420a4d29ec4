"""What a run never reaches: each remark on what it is for, and none on what is reached just in time."""

import pytest

from app.compose import load_config
from app.schemas.codes import Code
from app.schemas.problems import ConfigError, dotted
from app.schemas.rules import remarks

IN_STEPS = ["trainer.max_epochs=-1", "trainer.max_steps=100"]
"""The only length in steps that is known without the data."""

CYCLE = ["scheduler_spec=one_cycle", "optimizer_spec=sgd", "scheduler_spec.cycle_momentum=false"]
CYCLIC = ["scheduler_spec=cyclic", "optimizer_spec=sgd", "scheduler_spec.cycle_momentum=false"]
SEQUENCE = [
    "scheduler_spec=sequential",
    "scheduler_spec.schedulers=[{id:linear,total_iters:5},{id:cosine_annealing,T_max:20},{id:constant}]",
]
HEAD = "parameters: [.head], optimizer_spec: {id: sgd}"


def late(*overrides: str) -> dict[str, str]:
    """What a run with these overrides never reaches, with what is said of it."""
    found = [fault for fault in remarks(load_config(overrides)) if fault.code is Code.SCHEDULE]
    return {dotted(fault.path): fault.message for fault in found}


# What is chosen, the value that matters, what it may be in 20 epochs or 100 steps, and what is too much.
LIMITS: list[tuple[list[str], str, object, object]] = [
    (["scheduler_spec=step"], "scheduler_spec.step_size", 19, 20),
    (["scheduler_spec=step", "scheduler_spec.frequency=3"], "scheduler_spec.step_size", 5, 6),
    (["scheduler_spec=step", "scheduler_spec.interval=step", *IN_STEPS], "scheduler_spec.step_size", 99, 100),
    (["scheduler_spec=multi_step"], "scheduler_spec.milestones", [19, 30], [20, 30]),
    (["scheduler_spec=constant"], "scheduler_spec.total_iters", 19, 20),
    (["scheduler_spec=linear"], "scheduler_spec.total_iters", 20, 21),
    (["scheduler_spec=polynomial"], "scheduler_spec.total_iters", 20, 21),
    (["scheduler_spec=cosine_annealing"], "scheduler_spec.T_max", 20, 21),
    (["scheduler_spec=cosine_annealing_warm_restarts"], "scheduler_spec.T_0", 20, 21),
    (["scheduler_spec=reduce_on_plateau"], "scheduler_spec.patience", 19, 20),
    ([*CYCLE, "scheduler_spec.interval=epoch"], "scheduler_spec.total_steps", 20, 21),
    ([*CYCLE, *IN_STEPS], "scheduler_spec.total_steps", 100, 101),
    ([*CYCLIC, *IN_STEPS], "scheduler_spec.step_size_up", 100, 101),
    (["trainer.limit_train_batches=5", *CYCLIC], "scheduler_spec.step_size_up", 100, 101),
    (["callbacks=[checkpoint]"], "callbacks.checkpoint.every_n_epochs", 20, 21),
    (
        ["callbacks=[checkpoint]", "callbacks.checkpoint.monitor=null", *IN_STEPS],
        "callbacks.checkpoint.every_n_train_steps",
        100,
        101,
    ),
    (["callbacks=[early_stopping]"], "callbacks.early_stopping.patience", 19, 20),
    (
        ["callbacks=[early_stopping]", "trainer.check_val_every_n_epoch=2"],
        "callbacks.early_stopping.patience",
        9,
        10,
    ),
    (["callbacks=[ema]"], "callbacks.ema.update_starting_at_epoch", 19, 20),
    (["callbacks=[ema]", *IN_STEPS], "callbacks.ema.update_starting_at_step", 99, 100),
    (["callbacks=[ema]", *IN_STEPS], "callbacks.ema.update_every_n_steps", 100, 101),
    (["callbacks=[gradient_norm]", *IN_STEPS], "callbacks.gradient_norm.every_n_steps", 100, 101),
    (["task.monitor=train/loss"], "trainer.check_val_every_n_epoch", 20, 21),
    (["task.monitor=train/loss", *IN_STEPS], "trainer.val_check_interval", 100, 101),
    (
        ["task.monitor=train/loss", "trainer.accumulate_grad_batches=3", *IN_STEPS],
        "trainer.val_check_interval",
        300,
        301,
    ),
    (
        ["task.monitor=train/loss", "trainer.limit_train_batches=5", "trainer.check_val_every_n_epoch=null"],
        "trainer.val_check_interval",
        100,
        101,
    ),
    (IN_STEPS, "trainer.log_every_n_steps", 100, 101),
]


@pytest.mark.parametrize(("words", "path", "reached", "too_late"), LIMITS)
def test_what_comes_too_late_is_named_and_what_is_just_in_time_is_not(
    words: list[str], path: str, reached: object, too_late: object
) -> None:
    assert path not in late(*words, f"{path}={reached}")

    found = late(*words, f"{path}={too_late}")

    assert found.keys() == {path}
    assert str(too_late) in found[path] or path == "trainer.check_val_every_n_epoch"


@pytest.mark.parametrize(("words", "path", "reached", "too_late"), LIMITS)
def test_a_run_of_unknown_length_or_for_a_trial_reaches_everything(
    words: list[str], path: str, reached: object, too_late: object
) -> None:
    del reached
    known = [word for word in words if not word.startswith("trainer.")]
    unknown = ["trainer.max_epochs=-1", "trainer.max_steps=-1", "trainer.max_time='00:01:00:00'"]
    assert late(*known, f"{path}={too_late}", *unknown) == {}
    assert late(*words, f"{path}={too_late}", "trainer.limit_train_batches=null", "trainer.fast_dev_run=true") == {}


def test_batches_whose_gradients_a_callback_adds_up_are_counted() -> None:
    """A step takes as many of them as it says, so that validation may come in time."""
    words = ["task.monitor=train/loss", "callbacks=[gradient_accumulation]", *IN_STEPS]
    words.append("callbacks.gradient_accumulation.scheduling={0: 1, 4: 8}")
    assert late(*words, "trainer.val_check_interval=800") == {}
    assert late(*words, "trainer.val_check_interval=801").keys() == {"trainer.val_check_interval"}


def test_entries_of_mappings_are_named_one_by_one() -> None:
    scheduling = "callbacks.gradient_accumulation.scheduling"
    assert late("callbacks=[gradient_accumulation]", f"{scheduling}={{0: 1, 19: 2, 20: 4}}").keys() == {
        f"{scheduling}[20]"
    }
    parts = "callbacks.freeze.parts"
    assert late("callbacks=[freeze]", f"{parts}={{.a: {{until: 19}}, .b: {{until: 20}}, .c: {{}}}}").keys() == {
        f"{parts}[.b].until"
    }


def test_a_part_of_a_sequence_that_never_begins_is_named() -> None:
    assert late(*SEQUENCE, "scheduler_spec.milestones=[5,19]") == {}
    assert late(*SEQUENCE, "scheduler_spec.milestones=[5,20]").keys() == {"scheduler_spec.milestones[1]"}
    assert late(*SEQUENCE, "scheduler_spec.milestones=[4,19]") == {
        "scheduler_spec.schedulers[0].total_iters": "is cut off after 4 times by milestones, found 5"
    }


def test_each_part_of_a_chain_is_looked_at() -> None:
    parts = "scheduler_spec.schedulers=[{id:constant,total_iters:5},{id:step,step_size:30}]"
    assert late("scheduler_spec=chained", parts).keys() == {"scheduler_spec.schedulers[1].step_size"}


def test_further_optimizers_are_looked_at() -> None:
    step = "scheduler_spec: {id: step, step_size: 30}"
    assert late(f"optimizers.head={{{HEAD}, {step}}}").keys() == {"optimizers.head.scheduler_spec.step_size"}
    assert late(f"optimizers.head={{{HEAD}, every_n_steps: 100}}", *IN_STEPS) == {}
    assert late(f"optimizers.head={{{HEAD}, every_n_steps: 101}}", *IN_STEPS).keys() == {
        "optimizers.head.every_n_steps"
    }


def test_patience_is_not_judged_where_a_threshold_may_stop_the_run() -> None:
    impatient = ["callbacks=[early_stopping]", "callbacks.early_stopping.patience=30"]
    assert late(*impatient) != {}
    assert late(*impatient, "callbacks.early_stopping.stopping_threshold=0.1") == {}
    assert late(*impatient, "callbacks.early_stopping.divergence_threshold=0.0") == {}
    assert late(*impatient, "trainer.val_check_interval=0.25") == {}


def test_a_cycle_that_torch_steps_no_further_is_refused() -> None:
    short = [*CYCLE, "scheduler_spec.interval=epoch", "scheduler_spec.total_steps=19"]
    with pytest.raises(ConfigError, match="ends before the run's 20 epochs, and torch steps it no further") as caught:
        load_config(short)
    assert [problem.code for problem in caught.value.problems] == [Code.SCHEDULE]
    # Which of two limits comes first, the data decides.
    load_config([*short, "trainer.max_steps=1000"])
    with pytest.raises(ConfigError, match="ends before the run's 100 steps"):
        load_config([*CYCLE, *IN_STEPS, "scheduler_spec.total_steps=99"])
    load_config([*CYCLE, "trainer.max_steps=100", "scheduler_spec.total_steps=99"])


def test_nothing_of_the_defaults_comes_too_late() -> None:
    assert late() == {}
