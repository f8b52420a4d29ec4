from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import app.run_directory as run_directory_module
from app.compose import compose, load_config
from app.run_directory import environment, new_run_directory, run_name, value_sources, write_record


def test_64_runs_started_in_one_second_have_64_names() -> None:
    with ThreadPoolExecutor(8) as pool:
        names = list(pool.map(lambda _: run_name(), range(64)))

    assert len(set(names)) == 64


def test_a_run_lies_below_its_root_and_task() -> None:
    folder = new_run_directory(load_config(["run_directory.root=elsewhere"]))

    assert folder.parts[:2] == ("elsewhere", "digits")
    assert not folder.exists()


def test_the_source_of_every_value_is_known() -> None:
    composed = compose(["optimizer_spec=sgd", "optimizer_spec.lr=0.1"])

    sources = value_sources(composed.config, composed.sources)

    assert sources["optimizer_spec.lr"] == "optimizer_spec.lr=0.1"
    assert sources["optimizer_spec.momentum"] == "optimizer_spec=sgd"
    assert sources["trainer.max_epochs"] == "default"
    assert sources["module.model_config.channels"] == "default"


def test_versions_and_commit_are_looked_up_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    monkeypatch.setattr(run_directory_module, "git_state", lambda: calls.append(1))
    environment.cache_clear()

    write_record(tmp_path / "one", load_config())
    write_record(tmp_path / "two", load_config())

    environment.cache_clear()
    assert calls == [1]
