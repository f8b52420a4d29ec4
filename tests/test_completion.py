"""What the shell offers: everything that may be typed next, and nothing that the gate would refuse."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from app.commands import COMMANDS, HYDRA_FLAGS
from app.completion import answer, complete
from app.compose import compose
from app.composing.experiments import experiment_names
from app.inspection.explain import answer as explain
from app.schemas.registry import groups, options
from app.tasks import task_folders

FLAGS = {name: flag.short for name, flag in HYDRA_FLAGS.items()}


def test_commands_stand_first_only() -> None:
    assert set(COMMANDS) <= set(complete("app "))
    assert complete("app tes") == ["test"]
    assert set(COMMANDS).isdisjoint(complete("app train "))
    assert complete("app train tes") == []


@pytest.mark.parametrize(
    "program",
    ["app", "./bin/app", "  app", "python -m app", "/usr/bin/python3.12 -m app", "python -I -m app", "python app.py"],
)
def test_the_program_may_be_called_in_any_way(program: str) -> None:
    assert complete(f"{program} tr") == ["train", "trainer=", "trainer."]
    assert complete(f"{program} check -m seed_p") == ["seed_params."]


def test_the_program_itself_is_the_shells_to_complete() -> None:
    assert [complete(line) for line in ("", "app", "python -m", "python -m app")] == [[]] * 4


def test_flags_are_those_of_the_command_line_with_the_words_they_take() -> None:
    assert complete("app -") == list(FLAGS)
    assert complete("app check --mu") == ["--multirun"]
    assert complete("app --cfg ") == complete("app -c ") == ["job", "hydra", "all"]
    assert complete("app --cfg=h") == ["--cfg=hydra"]
    assert complete("app --package ") == []


@pytest.mark.parametrize("group", groups)
def test_every_option_of_every_group_is_offered_by_its_whole_name_where_it_fits(group: str) -> None:
    around = {"table": "task=tabular", **dict.fromkeys(("backbone", "neck", "pooling", "head"), "module=parts")}
    line = f"app {around.get(group, 'task=mnist')}"
    task = around.get(group, "task=mnist").removeprefix("task=")
    assert f"{group}=" in complete(f"{line} ")
    offered = complete(f"{line} {group}=")
    assert [word for word in offered if word not in (f"{group}=null", f"{group}=[")] == [
        f"{group}={name}" for name, option in options[group].items() if option.serves(task)
    ]


def test_options_are_those_of_the_task_that_is_chosen() -> None:
    assert {"module=mlp", "module=digits/cnn"} <= set(complete("app module="))
    assert complete("app task=mnist module=m") == ["module=mlp", "module=mnist/default", "module=mnist/cnn"]
    assert complete("app experiment=retrieval/triplet datamodule=retrieval/t") == ["datamodule=retrieval/triplets"]
    assert complete("app task=mnist module=digits") == []


def test_a_group_is_offered_where_something_has_such_a_part() -> None:
    assert complete("app task=tabular tab") == ["table="]
    assert complete("app task=tabular table=w") == ["table=wine"]
    assert complete("app tab") == complete("app table=") == complete("app backb") == []
    assert complete("app module=parts neck=n") == ["neck=null"]
    assert complete("app module=parts head=n") == []


def test_none_is_offered_where_a_group_may_be_left_out() -> None:
    assert complete("app scheduler_spec=n") == ["scheduler_spec=null"]
    assert complete("app optimizer_spec=n") == ["optimizer_spec=nadam"]


def test_options_in_folders_and_experiments_are_completed_from_any_part_of_their_names() -> None:
    assert complete("app module=digits/c") == ["module=digits/cnn"]
    assert complete("app expe") == ["experiment="]
    assert complete("app experiment=") == [f"experiment={name}" for name in experiment_names()]
    assert complete("app experiment=digits/ro") == ["experiment=digits/robust"]


def test_inside_a_list_the_options_that_are_not_in_it_yet_are_offered() -> None:
    assert complete("app callbacks=[checkpoint,ear") == ["callbacks=[checkpoint,early_stopping"]
    assert complete("app callbacks=[che") == ["callbacks=[checkpoint"]
    assert complete("app callbacks=[checkpoint,che") == []
    assert len(complete("app callbacks=[checkpoint,")) == len(options["callbacks"]) - 1
    assert complete("app callbacks=[checkpoint") == ["callbacks=[checkpoint]", "callbacks=[checkpoint,"]
    assert complete("app callbacks=[checkpoint]") == []
    assert {"logger=[csv", "logger=[]"} <= set(complete("app logger=["))


def test_only_a_sweep_takes_several_alternatives() -> None:
    assert complete("app -m optimizer_spec=adam,sg") == ["optimizer_spec=adam,sgd"]
    assert complete("app --multirun trainer.benchmark=true,f") == ["trainer.benchmark=true,false"]
    assert complete("app optimizer_spec=adam,sg") == []


def test_fields_are_those_of_the_options_chosen_before() -> None:
    assert "optimizer_spec.momentum=" not in complete("app optimizer_spec.")
    assert "optimizer_spec.momentum=" in complete("app optimizer_spec=sgd optimizer_spec.")
    assert complete("app callbacks=[early_stopping] callbacks.") == ["callbacks.early_stopping."]
    assert complete("app experiment=digits/mlp module.model_config.h") == ["module.model_config.hidden_dims="]
    assert complete("app scheduler_spec.") == []


def test_a_command_is_offered_what_it_takes_besides_overrides() -> None:
    names = experiment_names()
    assert complete("app schema ") == [*task_folders()]
    assert complete("app check digit")[-1:] == ["digits"]
    assert complete("app diff HEAD:") == [f"HEAD:{name}" for name in names]
    assert complete("app diff digits/m HEAD~3:digits/ro") == ["HEAD~3:digits/robust"]
    assert complete("app diff defa") == ["default"]
    assert complete("app diff digits/r optimizer_spec=sg") == ["optimizer_spec=sgd"]
    assert complete("app explain optimizer_spec=sg") == complete("app diff optimizer_spec=sg") == ["optimizer_spec=sgd"]
    assert complete("app explain backb") == ["backbone"]
    assert complete("app why optimizer_spec=sgd optimizer_spec.mom") == [
        "optimizer_spec.momentum",
        "optimizer_spec.momentum=",
    ]
    assert complete("app why exper") == ["experiment="]


def test_all_that_is_offered_to_explain_is_explained() -> None:
    offered = complete("app explain ")
    for word in offered:
        offered += complete(f"app explain {word}") if word.endswith(".") else ()
    assert {"optimizer_spec", "optimizer_spec.lr", "seed_params.seed"} <= set(offered)
    for word in offered:
        assert word.endswith(".") or explain([word])


def test_a_wrong_word_costs_only_itself() -> None:
    expected = ["module.model_config.hidden_dims="]
    for wrong in ("optimizer_spec.lr=fast", "optimizer_spec=adm", "nonsense", "--cfg job", "_target_=x", "a=[", "~a"):
        assert complete(f"app module=mlp {wrong} module.model_config.h") == expected, wrong


def test_what_holds_fields_ends_in_a_dot_and_a_value_in_an_equals_sign() -> None:
    assert complete("app optim") == ["optimizer_spec=", "optimizer_spec.", "optimizers="]
    assert complete("app module.model") == ["module.model_config."]
    assert complete("app trainer.max_e") == ["trainer.max_epochs="]
    assert complete("app optimizer_spec.par") == ["optimizer_spec.params=", "optimizer_spec.paramwise."]
    assert complete("app check") == ["check", "checkpoint", "checkpoint="]
    assert complete("app checkpoint ") == ["plan"]
    assert complete("app ++trainer.max_e") == ["++trainer.max_epochs="]


def test_closed_values_are_all_offered() -> None:
    assert set(complete("app trainer.deterministic=")) == {
        f"trainer.deterministic={value}" for value in ("true", "false", "warn")
    }
    assert complete("app trainer.precision=bf") == ["trainer.precision=bf16-mixed", "trainer.precision=bf16-true"]
    assert complete("app callbacks.checkpoint.mode=") == [
        "callbacks.checkpoint.mode=min",
        "callbacks.checkpoint.mode=max",
        "callbacks.checkpoint.mode=null",
    ]


def test_of_other_values_the_present_one_is_offered() -> None:
    assert complete("app trainer.max_epochs=") == ["trainer.max_epochs=20"]
    assert complete("app trainer.max_epochs=7 trainer.max_epochs=") == ["trainer.max_epochs=7"]
    assert complete("app optimizer_spec.betas=") == ["optimizer_spec.betas=[0.9,0.999]"]
    assert complete("app callbacks.checkpoint.monitor=v") == ["callbacks.checkpoint.monitor=val/loss"]


def test_what_would_need_quotes_and_what_is_secret_is_left_to_the_user() -> None:
    assert compose().config.callbacks["checkpoint"].filename == "epoch_{epoch:03d}"  # type: ignore[attr-defined]  # of this option
    assert complete("app callbacks.checkpoint.filename=") == []
    secret = "logger=wandb logger.wandb.api_key=a1b2c3"
    assert complete(f"app {secret} logger.wandb.api_k") == ["logger.wandb.api_key="]
    assert complete(f"app {secret} logger.wandb.api_key=") == []


@pytest.mark.parametrize(
    "word", ["_", "_target_=", "hydra.", "module/", "module._", "trainer._t", "nothing.", "a b=", "="]
)
def test_what_the_gate_refuses_is_not_offered(word: str) -> None:
    assert complete(f"app {word}") == []


def test_every_present_value_that_is_offered_passes_the_gate() -> None:
    keys = [word for word in complete("app train ") if word.endswith(".")]
    present = []
    for key in keys:
        offered = complete(f"app train {key}")
        keys += [word for word in offered if word.endswith(".")]
        values = [complete(f"app train {word}") for word in offered if word.endswith("=")]
        present += [value for (value, *others) in filter(None, values) if not others]
    assert len(present) > 40
    assert compose(present).config == compose().config


@pytest.mark.parametrize("key", ["optimizer_spec", "module", "experiment", "task", "seed_params.workers"])
def test_every_choice_that_is_offered_passes_the_gate(key: str) -> None:
    offered = complete(f"app train {key}=")
    assert offered
    for word in offered:
        assert compose([word]).overrides == (word,)


def test_an_opened_quote_stays_outside_of_what_is_offered() -> None:
    assert complete("app 'callbacks=[checkpoint,ear") == ["callbacks=[checkpoint,early_stopping"]
    assert complete('app "optimizer_spec=sgd" optimizer_spec.mo') == ["optimizer_spec.momentum="]


def test_bash_is_answered_up_to_the_cursor(monkeypatch: pytest.MonkeyPatch) -> None:
    line = "app logger.é=1 module=digits/c trainer=cpu"
    monkeypatch.setenv("COMP_LINE", line)
    monkeypatch.setenv("COMP_POINT", str(len(line.partition(" trainer")[0].encode())))
    assert answer(["query=bash"]) == answer(["query=zsh"]) == "module=digits/cnn"


def test_bash_is_answered_from_the_last_colon_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMP_LINE", "app diff HEAD:digits/ro")
    monkeypatch.delenv("COMP_POINT", raising=False)
    assert answer(["query=bash"]) == "digits/robust"
    assert answer(["query=fish"]) == answer(["query=zsh"]) == "HEAD:digits/robust"


def test_fish_is_answered_one_candidate_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMP_LINE", "app tra")
    monkeypatch.delenv("COMP_POINT", raising=False)
    assert answer(["query=fish"]) == "train\ntrainer=\ntrainer."


def test_only_queries_are_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMP_LINE", "app tra")
    for words in ((), ("install=bash",), ("uninstall=fish",), ("query=nushell",), ("query=bash", "query=fish")):
        assert answer(words) is None


@pytest.mark.parametrize("typed", ["module=digits/c", "callbacks=[checkpoint,ear", "callbacks.checkpoint.f"])
def test_bash_takes_the_candidates_as_they_are(typed: str) -> None:
    offered = complete(f"app {typed}")
    script = 'COMPREPLY=($( compgen -W "$1" -- "$2" )); printf "%s\\n" "${COMPREPLY[@]}"'
    taken = subprocess.run(
        ["bash", "-c", script, "bash", "\n".join(offered), typed],
        capture_output=True,
        text=True,
        check=True,
    )
    assert taken.stdout.splitlines() == offered != []
    assert taken.stderr == ""


def test_completing_loads_nothing_heavy() -> None:
    code = (
        "import sys; from app.completion import complete\n"
        "print(complete('app experiment=digits/robust trainer.max_e'))\n"
        "print({'torch', 'lightning', 'sklearn', 'wandb', 'torchmetrics'} & set(sys.modules))"
    )
    root = Path(__file__).parent.parent
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root, env=dict(os.environ), capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == ["['trainer.max_epochs=']", "set()"]
