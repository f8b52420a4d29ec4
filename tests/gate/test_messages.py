"""What a person reads at a terminal, whole: the text that was typed, and the answer."""

import pytest

from app.compose import load_config
from app.schemas.problems import ConfigError
from app.schemas.registry import options
from app.tasks import import_task_configs
from tests.gate.conftest import Write

import_task_configs()

OPTIMIZERS = ", ".join(options["optimizer_spec"])
LISTED = f"app --help lists all {len(options['module'])}"
BETAS = "expected a list of 2 values, each a number of at least 0 and below 1"
ADVICE = "names joined by dots, as in optimizer_spec.lr=0.1"

TYPED = {
    "optimizer_spec.lr=fast": "optimizer_spec.lr: expected a number above 0, found 'fast'",
    "optimizer_spec.lr='1e-3'": (
        "optimizer_spec.lr: expected a number above 0, found '1e-3', a text; write it as a number, without quotes"
    ),
    "optimizer_spec.learning_rate=0.1": (
        "optimizer_spec.learning_rate: AdamWSpec has no such field; did you mean 'lr'?"
    ),
    "+optimizer_spec.weight_decya=0.1": (
        "optimizer_spec.weight_decya: AdamWSpec has no such field; did you mean 'weight_decay'?"
    ),
    "lr=0.1": "lr: RunConfig has no such field; did you mean 'optimizer_spec.lr'?",
    "module.model_config.hidden_dims=[3]": (
        "module.model_config.hidden_dims: CNNConfig has no such field; it has channels, dropout"
    ),
    "table=wine": "task.table: DigitsTaskConfig has no such field; table=<option> goes with task=tabular",
    "backbone=conv": (
        "module.model_config.backbone: CNNConfig has no such field; backbone=<option> goes with module=parts"
    ),
    "module=cnn": f"module: no option 'cnn'; did you mean 'digits/cnn' or 'mnist/cnn'? {LISTED}",
    "optimizer_spec.betas=[0.9]": f"optimizer_spec.betas: {BETAS}, found the list [0.9]",
    "optimizer_spec.betas=[0.9,2]": ("optimizer_spec.betas[1]: expected a number of at least 0 and below 1, found 2"),
    "optimizer_spec.betas[1]=2": "list positions are written with a dot: optimizer_spec.betas.1=<value>",
    "optimizer_spec=adamx": (f"optimizer_spec: no option 'adamx'; did you mean 'adamax'? options: {OPTIMIZERS}"),
    "module=digits/cnm": (
        "module: no option 'digits/cnm'; did you mean 'digits/cnn'? options for task digits:"
        " mlp, parts, digits/cnn, digits/default"
    ),
    "optimiser_spec=adamw": "optimiser_spec: RunConfig has no such field; did you mean 'optimizer_spec'?",
    "task=digit": f"task: no option 'digit'; did you mean 'digits'? options: {', '.join(options['task'])}",
    "trainer.accelerator=cpuu": (
        "trainer.accelerator: expected 'auto', 'cpu', 'gpu', 'cuda', 'mps' or 'tpu', found 'cpuu'; did you mean 'cpu'?"
    ),
    "trainer.deterministic=on": ("trainer.deterministic: expected true, false or 'warn', found 'on'; write true"),
    "trainer.max_epochs=???": "trainer.max_epochs: needs a value: a whole number of at least -1",
    "trainer.max_epochs=${trainer.max_epoch}": (
        "trainer.max_epochs: '${trainer.max_epoch}' interpolates something that does not exist;"
        " did you mean 'trainer.max_epochs'?"
    ),
    "trainer.max_epochs=${trainer.max_epochs}": "trainer.max_epochs: interpolates itself",
    "seed_params.seed.x=1": "seed_params.seed.x: cannot be set inside seed_params.seed, which is 0",
    "optimizer_spec.lr=${oc.env:NOT_THERE}": "optimizer_spec.lr: the environment has no variable NOT_THERE",
    "optimizer_spec.lr=1e-3,1e-4": (
        "optimizer_spec.lr: is a list of alternatives, a sweep for `app --multirun`; write one value"
        " (a list stands in brackets: 'optimizer_spec.lr=[…]')"
    ),
    "optimizer_spec._target_=os.system": (
        "optimizer_spec._target_: '_target_' is not for users to set; choose an option instead: optimizer_spec=<option>"
    ),
    "callbacks.early_stopping.patience=3": (
        "callbacks.early_stopping: is not chosen;"
        " to choose it: callbacks=[checkpoint,progress_bar,model_summary,early_stopping]"
    ),
    "callbacks.checkpoint=null": (
        "callbacks.checkpoint: expected a mapping of its fields, found null; callbacks=[…] says what is chosen"
    ),
    "scheduler_spec.T_max=3": (
        "scheduler_spec: no option is chosen, as by scheduler_spec=<option>; with T_max there is cosine_annealing"
    ),
    "~trainer.max_epochs": (
        "trainer.max_epochs: nothing can be removed:"
        " give a value, null where absence means something, or a list of options without it"
    ),
    "seed_params=3": "seed_params: expected a mapping (SeedParams), found 3",
    "task.mode=max": "task.mode: val/loss is better the smaller it is: expected 'min', found 'max'",
    "experiment=y": "experiment: no experiment 'y'; did you mean 'digits/y'? experiments: digits/y",
    "experiment=../../x": "experiment: no experiment '../../x'; experiments: digits/y",
    "hydra.searchpath=[x]": (
        "hydra.searchpath: cannot be set; of Hydra itself there is hydra.run.dir, hydra.sweep.dir, hydra.sweep.subdir,"
        " hydra.job.name, hydra.output_subdir, hydra.verbose, hydra.launcher.*, hydra.sweeper.*,"
        " hydra/launcher, hydra/sweeper"
    ),
    "a b=1": f"'a b' is no key: {ADVICE}",
    "datamodule.data_dir=~/x": (
        "the value cannot be read (token recognition error at: '~'); put it in quotes: \"datamodule.data_dir='~/x'\""
    ),
    "predictions.inputs=pic.png": (
        "predictions.inputs: expected a list that is not empty, each a text that is not empty, or null,"
        " found 'pic.png'; write it in brackets: [pic.png]"
    ),
    "optimizer_spec.lr=a=b": (
        "the value cannot be read (mismatched input '='); put it in quotes: \"optimizer_spec.lr='…'\""
    ),
}

WRITTEN = {
    "trainer:\n\tmax_epochs: 3": "experiment=digits/x: found a tab; indent with spaces   digits/experiments/x.yaml:2:1",
    "trainer: {max_epochs: 3, max_epochs: 4}": (
        "trainer.max_epochs: is written twice, first in line 1; keep one   digits/experiments/x.yaml:1:26"
    ),
    "trainer:\n  deterministic: on": (
        "trainer.deterministic: found on: YAML 1.1 reads it as a boolean: write true, false, or quotes around it"
        "   digits/experiments/x.yaml:2:18"
    ),
    "trainer.max_epochs: 3": (
        "[trainer.max_epochs]: RunConfig has no such field; write it nested, trainer: {max_epochs: …}"
        "   digits/experiments/x.yaml:1:1"
    ),
    "defaults:\n  - overide /task: x": (
        "defaults[0]: found 'overide /task'; did you mean 'override /task'?   digits/experiments/x.yaml:2:5"
    ),
    "optimizer_spec: sgd": (
        "optimizer_spec: expected a mapping, found 'sgd';"
        " options are chosen in defaults: [override /optimizer_spec: sgd]   digits/experiments/x.yaml:1:1"
    ),
    "defaults: [z]": "defaults[0]: no experiment 'z' beside this one; there is y   digits/experiments/x.yaml:1:12",
    "hydra: {}": (
        "hydra: an experiment cannot set it; Hydra is set on the command line   digits/experiments/x.yaml:1:1"
    ),
}


@pytest.mark.parametrize(("typed", "message"), TYPED.items())
def test_the_message_for_what_was_typed(experiment: Write, typed: str, message: str) -> None:
    experiment("trainer: {}", "y")
    with pytest.raises(ConfigError) as caught:
        load_config([typed])

    assert str(caught.value) == f"{message}   {typed}"


@pytest.mark.parametrize(("written", "message"), WRITTEN.items())
def test_the_message_for_what_was_written(experiment: Write, written: str, message: str) -> None:
    experiment("trainer: {}", "y")
    with pytest.raises(ConfigError) as caught:
        load_config([experiment(written)])

    assert str(caught.value) == message
