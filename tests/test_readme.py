"""Every command and every snippet of the README and of the page on overrides, run as it stands there."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from app.choices import HYDRA_GROUPS
from app.overrides import SETTABLE_OF_HYDRA
from app.schemas.registry import options
from app.schemas.run import DEFAULT_OPTIONS
from docs.write_options import readme

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
PAGES = {page.name: page.read_text() for page in (ROOT / "README.md", ROOT / "docs" / "overrides.md")}
SHORTER = ["trainer.max_epochs=1", "trainer.limit_train_batches=2", "callbacks=[checkpoint]"]


def console() -> list[tuple[str, str]]:
    """The commands of the pages' console blocks with the output shown below each."""
    blocks = [block for page in PAGES.values() for block in re.findall(r"```console\n(.*?)```", page, re.DOTALL)]
    return [
        (command, output)
        for block in blocks
        for command, output in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", block, re.MULTILINE)
    ]


def snippets() -> list[str]:
    return re.findall(r"```python\n(.*?)```", README, re.DOTALL)


def test_the_readme_shows_what_it_is_tested_for() -> None:
    commands = [command for command, _ in console()]
    assert "make train" in commands
    assert sum(command.startswith("app ") for command in commands) >= 4
    assert snippets()


@pytest.mark.slow
@pytest.mark.parametrize(("command", "output"), [shown for shown in console() if shown[0].startswith("app ")])
def test_a_command_of_the_readme_runs(command: str, output: str, tmp_path: Path) -> None:
    _, *words = shlex.split(command)
    shorter = [] if words[0] == "check" else SHORTER

    done = subprocess.run(
        [sys.executable, "-m", "app", *words, *shorter], cwd=tmp_path, capture_output=True, text=True, timeout=240
    )

    if words[0] == "check":
        assert done.stdout + done.stderr == output
        assert done.returncode == (0 if output.startswith("no problem found") else 2)
    else:
        assert done.returncode == 0, done.stderr
        assert list(tmp_path.glob("runs/digits/*/**/result.json"))


@pytest.mark.slow
def test_make_train_trains(tmp_path: Path) -> None:
    arguments = " ".join([*SHORTER, f"run_directory.root={tmp_path}"])

    done = subprocess.run(["make", "train", f"ARGS={arguments}"], cwd=ROOT, capture_output=True, text=True, timeout=600)

    assert done.returncode == 0, done.stderr
    assert "test/accuracy" in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("snippet", snippets())
def test_a_snippet_of_the_readme_runs(snippet: str, tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", snippet], cwd=tmp_path, capture_output=True, text=True, timeout=240)

    assert done.returncode == 0, done.stderr
    assert list(tmp_path.glob("runs/digits/*/metrics.csv"))


def test_the_readme_lists_every_group_and_option() -> None:
    shown = re.search(r"<!-- options -->\n(.*?)<!-- /options -->", README, re.DOTALL)
    assert shown is not None

    named = [name for group in DEFAULT_OPTIONS for name in (group, *options[group])]
    assert sorted(re.findall(r"`(.*?)`", shown[1])) == sorted(named), "type: make docs"
    assert readme(README) == README, "type: make docs"


def test_what_can_be_set_of_hydra_is_documented() -> None:
    shown = re.search(r"<!-- hydra -->\n(.*?)<!-- /hydra -->", PAGES["overrides.md"], re.DOTALL)
    assert shown is not None

    settable = {f"{name}*" if name.endswith(".") else name for name in (*SETTABLE_OF_HYDRA, *HYDRA_GROUPS)}
    assert set(re.findall(r"`(.*?)`", shown[1])) == settable


def test_every_path_in_the_readme_exists() -> None:
    for path in re.findall(r"`((?:app|docs|benchmarks)/[\w/.]+)`", README):
        assert (ROOT / path).exists(), path
