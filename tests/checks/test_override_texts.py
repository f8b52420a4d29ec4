"""What is said of overrides in a program: what is wrong on every machine, and nothing that is only missing here."""

import pytest

from app.checks.override_texts import findings
from app.compose import compose
from app.schemas.codes import Code
from app.schemas.problems import ConfigError

LACKING = {
    "timm": ["module=parts", "backbone=timm", "module.model_config.backbone.model_name=resnet18"],
    "torchvision": ["module=parts", "backbone=timm", "module.model_config.backbone.model_name=resnet18"],
    "tensorboard": ["logger=[tensorboard]"],
    "wandb": ["logger=[wandb]", "logger.wandb.mode=offline"],
    "mlflow": ["logger=[mlflow]"],
    "psutil": ["callbacks=[device_stats]"],
    "s3fs": ["callbacks=[checkpoint]", "callbacks.checkpoint.dirpath=s3://mine/x"],
    "transformer_engine": ["trainer.precision=transformer-engine"],
    "mpi4py": ["trainer.plugins=[mpi_environment]"],
}
"""Packages that are not needed everywhere, and what needs each."""


@pytest.mark.parametrize("package", LACKING)
def test_a_package_that_is_not_here_is_no_mistake_in_a_program(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("callbacks", "loggers", "trainer", "parts.backbones"):
        monkeypatch.setattr(f"app.schemas.{module}.find_spec", lambda name: None if name == package else object())

    with pytest.raises(ConfigError, match=f"(?i){package}") as caught:
        compose(LACKING[package])
    environment = [problem for problem in caught.value.problems if problem.code is Code.ENVIRONMENT]
    assert len(environment) == 1

    said = [found.message for found in findings.__wrapped__(tuple(LACKING[package]))]
    assert [message for message in said if package.lower() in message.lower()] == []
    assert len(said) == len(caught.value.problems) - 1


def test_a_key_and_a_variable_that_are_not_here_are_no_mistakes_in_a_program(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.schemas.loggers.find_spec", lambda _: object())
    monkeypatch.setattr("app.schemas.loggers.has_wandb_key", lambda _: False)
    for texts in (["logger=[wandb]", "logger.wandb.mode=online"], ["run_directory.root=${oc.env:NO_SUCH_VARIABLE}"]):
        with pytest.raises(ConfigError) as caught:
            compose(texts)
        assert [problem.code for problem in caught.value.problems] == [Code.ENVIRONMENT]
        assert findings.__wrapped__(tuple(texts)) == ()


def test_a_wrong_value_that_reads_like_an_advice_is_still_wrong() -> None:
    (found,) = findings(("trainer.precision=pip install",))
    assert found.place == 0
    assert "found 'pip install'" in found.message
