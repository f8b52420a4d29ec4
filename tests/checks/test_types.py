import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import pytest

import app.checks.types
from app.checks.diagnostics import Severity, diagnostics
from app.checks.formats import as_text
from app.checks.lint import Subject, lint
from app.checks.types import cache_folder, type_problems
from app.checks.written_python import WrittenPython, written_python
from app.composing.experiments import Experiment, experiment_at, experiment_names, read_experiment, with_bases
from app.schemas.problems import AppError, ConfigError, FileSource, Problem
from app.schemas.registry import groups, options
from app.schemas.schema import schemas
from app.tasks import import_task_configs
from tests.choosing import NEEDED, UNINSTALLED, task_of
from tests.gate.conftest import Write, experiment, folder
from tests.gate.corpus import Wrong, batches
from tests.gate.test_corpus import CORPUS, RIGHT, written

__all__ = ["experiment", "folder"]

ROOT = Path(__file__).parents[2]
WRONG = sorted((ROOT / "tests/checks/wrong_types").glob("*.yaml"))
CACHE = ROOT / "build/types"
"""Kept between runs of the tests: mypy takes seconds for the schemas when it meets them first."""


@pytest.fixture(scope="module")
def found() -> Sequence[Problem]:
    """What mypy says of all wrong experiments, and of all right ones that are files, in one batch."""
    right = [read_experiment(name) for name in experiment_names()]
    return type_problems([*right, *map(experiment_at, WRONG)], cache=CACHE)


def place(problem: Problem) -> FileSource:
    assert isinstance(problem.source, FileSource)
    return problem.source


def test_every_planted_mistake_is_found_at_its_line_and_column(found: Sequence[Problem]) -> None:
    assert len(WRONG) > 5
    for file in WRONG:
        expected = file.with_suffix(".txt").read_text()
        of_types = diagnostics([each for each in found if Path(place(each).file).name == file.name], Severity.ERROR)
        everything = [*lint([Subject(experiment=experiment_at(file))]).found, *of_types]
        assert " TLA401 " in expected
        assert as_text(sorted(everything, key=lambda each: (each.line, each.column))) == expected.rstrip("\n")


def test_nothing_is_found_in_the_experiments_of_this_project(found: Sequence[Problem]) -> None:
    assert {Path(place(each).file).parent.name for each in found} == {"wrong_types"}


def test_every_finding_knows_its_path_in_the_config(found: Sequence[Problem]) -> None:
    paths = {each.path for each in found}
    assert paths > {"optimizer_spec.lr", "optimizer_spec.params[.body].momentun", "metrics.binary_fairness", "trainer"}


def test_right_values_and_every_option_are_passed_over(experiment: Write, folder: Path) -> None:
    import_task_configs()
    for number, text in enumerate(RIGHT):
        experiment(text, f"right{number}")
    right = [experiment_at(file) for file in sorted(folder.glob("right*.yaml"))]
    chosen = [
        choosing(group, name)
        for group, named in options.items()
        for name in named
        # These need values, or what is not installed everywhere.
        if f"{group}={name}" not in NEEDED and name not in UNINSTALLED
    ]

    assert len(right) + len(chosen) > 200
    assert type_problems([*right, *chosen], cache=CACHE) == []


TYPED = {
    *("text", "number as text", "mapping for scalar", "list for scalar", "scalar for mapping", "text for mapping"),
    *("list for mapping", "null", "fraction for whole number", "number for boolean", "scalar for list"),
    *("number for text", "wrong choice", "misspelt key", "unknown key with ''"),
}
"""The ways of being wrong that types tell of; ranges, lengths and what interpolates are for the gate."""


@pytest.mark.parametrize("layer", range(len(CORPUS)))
def test_whatever_is_of_a_wrong_type_is_found_where_it_stands(experiment: Write, folder: Path, layer: int) -> None:
    choices, wrongs = CORPUS[layer]
    task = choices[0].removeprefix("task=")
    placed: dict[str, Wrong] = {}
    for number, batch in enumerate(batches([wrong for wrong in wrongs if wrong.kind in TYPED])):
        text, places = written([choice.split("=", 1) for choice in choices], batch)
        experiment(text, f"batch{number}", task)
        placed |= {f"{task}/experiments/batch{number}.yaml:{places[wrong.path]}": wrong for wrong in batch}

    files = sorted((folder.parents[1] / task / "experiments").glob("*.yaml"))
    found = type_problems([experiment_at(file) for file in files], cache=CACHE)

    needing = [
        each for each in found if each.message.startswith("Missing named argument")
    ]  # the option was chosen bare
    at = {each.source for each in found if each not in needing}
    assert [wrong for place, wrong in placed.items() if place not in at] == []
    assert at - placed.keys() == set()


def choosing(group: str, name: str) -> Experiment:
    """An experiment that does nothing but choose an option."""
    chosen: dict[str, object] = {group: [name] if groups[group].several else name}
    if groups[group].mount.startswith("module."):
        chosen = {"module": "parts", **chosen}
    file = Path(f"choosing_{group}_{name}.yaml".replace("/", "_"))
    task = task_of(group, name) or "digits"
    return Experiment(
        name=f"{task}/chosen",
        task=task,
        file=file,
        folder=file.parent,
        choices=chosen,
        places={groups[group].path: FileSource(str(file), 1, 1)},
    )


def test_a_value_of_a_base_is_reported_in_the_file_that_set_it(experiment: Write, folder: Path) -> None:
    experiment("trainer: {max_epochs: 2.5}\noptimizer_spec: {lr: slow}\n", "below")
    experiment("defaults: [below]\noptimizer_spec: {lr: 0.1}\nseed_params: {seed: no_number}\n", "above")
    above, below = experiment_at(folder / "above.yaml"), experiment_at(folder / "below.yaml")

    found = type_problems([above], cache=CACHE)

    assert [(each.source, each.path) for each in found] == [
        ("digits/experiments/above.yaml:3:15", "seed_params.seed"),
        ("digits/experiments/below.yaml:1:11", "trainer.max_epochs"),
    ]
    both = type_problems([above, below], cache=CACHE)
    assert {each.path for each in both} - {each.path for each in found} == {"optimizer_spec.lr"}
    assert len(both) == 3, "what both files come upon is said once"


def test_an_experiment_that_cannot_be_read_is_left_to_the_linter(experiment: Write, folder: Path) -> None:
    experiment("trainer: [\n", "broken")
    experiment("trainer: {max_epochs: 2.5}\n", "wrong")

    found = type_problems([experiment_at(file) for file in sorted(folder.glob("*.yaml"))], cache=CACHE)

    assert [place(each).file for each in found] == ["digits/experiments/wrong.yaml"]
    assert type_problems([], cache=CACHE) == []


def test_a_secret_is_not_written_for_mypy_to_read(experiment: Write, folder: Path) -> None:
    experiment(
        "defaults: [override /logger: [wandb]]\nlogger: {wandb: {api_key: very secret, project: mine, api_kee: hidden}}"
    )
    written = written_python(with_bases(experiment_at(folder / "x.yaml"))[0])

    assert written is not None
    assert 'project="mine"' in written.text
    assert "secret" not in written.text
    assert "hidden" not in written.text


def test_what_has_not_changed_is_not_written_again(experiment: Write, folder: Path, tmp_path: Path) -> None:
    experiment("seed_params: {seed: 1}", "same")
    experiment("seed_params: {seed: 1}", "changed")
    app.checks.types._write(rendered(folder, tmp_path))
    before = {file.name: file.stat().st_mtime_ns for file in tmp_path.glob("*.py")}

    experiment("seed_params: {seed: 2}", "changed")
    app.checks.types._write(rendered(folder, tmp_path))

    after = {file.name: file.stat().st_mtime_ns for file in tmp_path.glob("*.py")}
    assert before.keys() == after.keys() == {"same.py", "changed.py"}
    assert {name for name in after if after[name] != before[name]} == {"changed.py"}


def rendered(folder: Path, target: Path) -> dict[str, str]:
    found = {}
    for file in folder.glob("*.yaml"):
        written = written_python(with_bases(experiment_at(file))[0])
        assert written is not None
        found[str(target / f"{file.stem}.py")] = written.text
    return found


def test_without_mypy_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app.checks.types, "find_spec", lambda _: None)
    with pytest.raises(ConfigError, match=r"mypy.+pip install 'typed-lightning-app\[check\]'"):
        type_problems([read_experiment("digits/robust")])


def test_schemas_that_mypy_cannot_read_are_said_to_be_so() -> None:
    error = {"file": "x.py", "line": 3, "message": 'Module "app.schemas.run" has no attribute "RunConfig"', "code": "-"}
    with pytest.raises(AppError, match="cannot read the schemas: Module"):
        app.checks.types._problem(error, {"x.py": WrittenPython("", {})})


@pytest.mark.parametrize("installed", ["site-packages", "dist-packages"])
def test_mypy_is_not_told_where_installed_packages_with_schemas_are(
    installed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, file in {"theirs": f"/usr/lib/python3/{installed}/theirs", "mine": "/home/me/mine"}.items():
        package = ModuleType(name)
        package.__path__ = [file]
        monkeypatch.setitem(sys.modules, name, package)
        monkeypatch.setitem(schemas, f"{name}.Config", type("Config", (), {}))

    path = next(line for line in app.checks.types._settings().splitlines() if line.startswith("mypy_path"))

    assert "/home/me" in path
    assert installed not in path


def test_the_cache_lies_outside_the_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    folder = cache_folder()
    assert folder.is_dir()
    assert folder.is_relative_to(tmp_path / "caches")

    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    other = cache_folder()
    assert other.is_dir(), "where nothing can be written there, another folder is taken"
    assert other.parent.stat().st_mode & 0o777 == 0o700
    assert cache_folder() == other, "the same one each time"


@pytest.mark.parametrize("kind", ["readable", "link", "file"])
def test_a_folder_that_others_may_have_made_is_not_taken(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "home").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    taken = cache_folder().parent
    if kind == "readable":
        taken.chmod(0o777)
    else:
        shutil.move(taken, tmp_path / "elsewhere")
        taken.symlink_to(tmp_path / "elsewhere") if kind == "link" else taken.touch()

    with pytest.raises(AppError, match="typed-lightning-app-"):
        cache_folder()


def test_what_was_rendered_long_ago_of_experiments_that_are_gone_is_removed(tmp_path: Path) -> None:
    folder = tmp_path / "experiments"
    files = {name: str(folder / f"experiment_{name}.py") for name in ("gone", "recent", "checked")}
    app.checks.types._write(dict.fromkeys(files.values(), "config = 1\n"))
    for name in ("gone", "checked"):
        os.utime(files[name], (0, 0))

    app.checks.types._remove_old(folder, [files["checked"]])

    left = {"experiment_recent", "experiment_checked"}
    assert {file.stem for file in folder.iterdir()} == left

    app.checks.types._write({files["checked"]: "config = 1\n"})
    app.checks.types._remove_old(folder, [])
    assert {file.stem for file in folder.iterdir()} == left, "what is checked once a month stays"
