"""Every command and every snippet of the README and of the pages in `docs`, run as it stands there."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from app.choices import HYDRA_GROUPS
from app.commands import COMMANDS
from app.composing.overrides import SETTABLE_OF_HYDRA
from app.schemas.registry import options
from app.schemas.run import groups_in_order
from app.tasks import import_task_configs
from docs.write_options import readme

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
PAGES = {
    page.name: page.read_text()
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
    if page.name != "options.md"
}
RUN_ALL = """
import contextlib, io, json, sys
from app.cli import main

done = []
for words in json.loads(sys.argv[1]):
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        status = main(words)
    done.append([status, out.getvalue()])
json.dump(done, open("done.json", "w"))
"""
"""Runs commands one after the other in one process, which imports torch once."""


def commands(page: str) -> list[tuple[str, str]]:
    """The commands of a page with the output shown below each."""
    blocks = [text for language, text in fenced(page) if language == "console"]
    return [
        (command, output)
        for block in blocks
        for command, output in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", block, re.MULTILINE)
    ]


def fenced(page: str) -> list[tuple[str, str]]:
    """The blocks of a page with their languages."""
    return re.findall(r"^```(\w+)\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)


def file_of(block: str) -> str | None:
    """The file that a block's first line names."""
    named = re.match(r"# (app/[\w/.]+)\n", block)
    return None if named is None else named[1]


def add_files(page: str, folder: Path) -> None:
    """Put each block that names a file at the end of that."""
    for _, text in fenced(page):
        if (file := file_of(text)) is not None:
            with (folder / file).open("a", encoding="utf-8") as stream:
                stream.write("".join(text.splitlines(keepends=True)[1:]))


def snippets(page: str) -> list[str]:
    """The Python of a page that is to be run as it is."""
    return [text for language, text in fenced(page) if language == "python" and file_of(text) is None]


def shorter(words: list[str]) -> list[str]:
    """What makes a training short, and nothing for another command."""
    if words[0] in COMMANDS and words[0] != "train":
        return []
    epochs = 2 if any(word.startswith("resume_path=") for word in words) else 1
    limits = [f"trainer.limit_{split}_batches=2" for split in ("train", "val", "test")]
    return [*limits, f"trainer.max_epochs={epochs}"]


def without_lines(text: str) -> str:
    """Without the lines of the project's own sources, which every edit moves."""
    return re.sub(r"(\.py):\d+", r"\1", text)


def test_the_readme_shows_what_it_is_tested_for() -> None:
    words = [command for command, _ in commands(README)]
    assert "make train" in words
    assert sum(command.startswith("app ") for command in words) >= 4
    assert snippets(README)


@pytest.mark.slow
@pytest.mark.parametrize("name", PAGES)
def test_a_page_does_what_it_shows_from_top_to_bottom(name: str, tmp_path: Path) -> None:
    page = PAGES[name]
    shutil.copytree(ROOT / "app", tmp_path / "app", ignore=shutil.ignore_patterns("__pycache__"))
    add_files(page, tmp_path)
    shown = [(shlex.split(command)[1:], output) for command, output in commands(page) if command.startswith("app ")]
    words = [[*each, *shorter(each)] for each, _ in shown]

    run_all = [sys.executable, "-c", RUN_ALL, json.dumps(words)]
    one_thread = {**os.environ, "OMP_NUM_THREADS": "1"}  # steps as small as these only wait for more
    subprocess.run(run_all, cwd=tmp_path, env=one_thread, check=True, timeout=240)

    done = json.loads((tmp_path / "done.json").read_text())
    assert len(done) == len(shown) >= 1
    for (each, output), (status, found) in zip(shown, done, strict=True):
        if each[0] in COMMANDS and COMMANDS[each[0]].answer is not None:
            assert without_lines(found) == without_lines(output)
        if each[0] == "check" and re.search(r"^\d+ problems? found", output, re.MULTILINE):
            assert status in (1, 2)
        else:
            assert status == 0, f"app {shlex.join(each)}\n{found}"
    for snippet in snippets(page) if name != "README.md" else ():
        subprocess.run([sys.executable, "-c", snippet], cwd=tmp_path, check=True, timeout=240)


def test_what_a_page_shows_of_an_experiment_is_in_one() -> None:
    """But for the page on experiments, which shows one that is made up, and what is no experiment."""
    experiments = [file.read_text() for file in (ROOT / "app").glob("tasks/*/experiments/*.yaml")]
    for name, page in PAGES.items():
        for language, text in fenced(page):
            if (
                language == "yaml"
                and name not in ("README.md", "overrides.md", "checking.md")
                and file_of(text) is None
            ):
                assert any(text in experiment for experiment in experiments), f"{name}\n{text}"


@pytest.mark.slow
def test_make_train_trains(tmp_path: Path) -> None:
    arguments = " ".join([*shorter(["train"]), f"run_directory.root={tmp_path}"])

    done = subprocess.run(["make", "train", f"ARGS={arguments}"], cwd=ROOT, capture_output=True, text=True, timeout=600)

    assert done.returncode == 0, done.stderr
    assert "test/accuracy" in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("snippet", snippets(README))
def test_a_snippet_of_the_readme_runs(snippet: str, tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", snippet], cwd=tmp_path, capture_output=True, text=True, timeout=240)

    assert done.returncode == 0, done.stderr
    assert list(tmp_path.glob("runs/digits/*/metrics.csv"))


def test_the_readme_lists_every_group_and_option() -> None:
    shown = re.search(r"<!-- options -->\n(.*?)<!-- /options -->", README, re.DOTALL)
    assert shown is not None
    import_task_configs()

    rows = re.findall(r"^\| `(\w+)` \| (.*?)(?: and (\d+) more)? \|$", shown[1], re.MULTILINE)
    assert [group for group, *_ in rows] == [group.name for group in groups_in_order()], "type: make docs"
    for group, listed, more in rows:
        names = re.findall(r"`(.*?)`", listed)
        assert set(names) <= set(options[group]), "type: make docs"
        assert len(names) + int(more or 0) == len(options[group]), "type: make docs"
    assert readme(README) == README, "type: make docs"


def test_what_can_be_set_of_hydra_is_documented() -> None:
    shown = re.search(r"<!-- hydra -->\n(.*?)<!-- /hydra -->", PAGES["overrides.md"], re.DOTALL)
    assert shown is not None

    settable = {f"{name}*" if name.endswith(".") else name for name in (*SETTABLE_OF_HYDRA, *HYDRA_GROUPS)}
    assert set(re.findall(r"`(.*?)`", shown[1])) == settable


def test_every_path_in_the_readme_exists() -> None:
    for path in re.findall(r"`((?:app|docs|benchmarks)/[\w/.]+)`", README):
        assert (ROOT / path).exists(), path
