import pytest
import yaml

from app.compose import compose, load_config
from app.inspection.python_source import python_source
from app.inspection.show import answer
from app.schemas.plain import to_plain
from app.schemas.problems import ConfigError

TYPED = ["optimizer_spec=sgd", "scheduler_spec=cosine_annealing", "scheduler_spec.T_max=${trainer.max_epochs}"]


def test_the_config_is_shown_as_it_is_written() -> None:
    shown = yaml.safe_load(answer(TYPED))

    assert shown["scheduler_spec"]["T_max"] == "${trainer.max_epochs}"
    assert shown["optimizer_spec"]["_target_"] == "app.schemas.optimizers.SGDSpec"


def test_resolved_it_is_what_a_run_keeps() -> None:
    config = load_config(TYPED)
    assert yaml.safe_load(answer([*TYPED, "--resolve"])) == to_plain(config)


def test_a_part_is_shown_alone() -> None:
    assert yaml.safe_load(answer(["--package", "trainer.max_epochs"])) == load_config().trainer.max_epochs
    assert answer(["--package=seed_params"]) == answer(["-p", "seed_params"])
    with pytest.raises(ConfigError, match="the config has no part 'trainr'; did you mean 'trainer'"):
        answer(["--package", "trainr.max_epochs"])


def test_as_python_it_is_the_source_of_the_config() -> None:
    composed = compose(["experiment=digits/robust", "trainer.max_epochs=3"])

    shown = answer(["experiment=digits/robust", "--python", "trainer.max_epochs=3"])

    assert f"{shown}\n" == python_source(composed.config, composed.tree)
    assert "trainer=TrainerConfig(max_epochs=3)" in shown


def test_no_secret_is_shown() -> None:
    words = ["logger=[wandb]", "logger.wandb.api_key=very-secret"]
    for flags in ([], ["--resolve"], ["--python"]):
        assert "very-secret" not in answer([*words, *flags])


def test_what_cannot_be_shown_is_said_all_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        answer(["--pyton", "optimizer_spec"])
    assert list(map(str, caught.value.problems)) == [
        "no flag --pyton; did you mean '--python'?   --pyton",
        "expected key=value   optimizer_spec",
    ]
    with pytest.raises(ConfigError, match="--python writes the whole config, and resolved"):
        answer(["--python", "--package", "trainer"])
    wrong = "optimizer_spec.lr=fast"
    with pytest.raises(ConfigError, match="expected a number above 0, found 'fast'"):
        answer([wrong])
