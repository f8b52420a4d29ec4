"""What editors are given is what the schemas and experiments say now."""

import subprocess
import sys

import pytest

from app.composing.experiments import experiment_names, read_experiment
from app.json_schema.command import HEADER, is_stale, options_folder, schema_file
from app.json_schema.common import common_definitions
from app.tasks import task_folders


@pytest.mark.parametrize("task", task_folders())
def test_the_file_is_up_to_date(task: str) -> None:
    assert not is_stale(task), f"run: app schema {task}"


@pytest.mark.parametrize("name", experiment_names())
def test_every_experiment_leads_editors_to_the_file(name: str) -> None:
    experiment = read_experiment(name)
    lines = experiment.file.read_text().splitlines()

    assert HEADER in lines[:2]
    named = HEADER.partition("$schema=")[2]
    assert (experiment.file.parent / named).resolve() == schema_file(experiment.task).resolve()


def test_an_editor_can_load_them_quickly() -> None:
    # It works through a whole file for each reference into it.
    assert max(file.stat().st_size for file in options_folder().iterdir()) < 250_000
    for task in task_folders():
        assert schema_file(task).stat().st_size < 150_000
        assert schema_file(task).read_text().count('"../options/') < 200


def test_nothing_else_stands_among_what_tasks_share() -> None:
    assert {file.name for file in options_folder().iterdir()} == common_definitions().documents().keys()


def test_making_it_imports_no_torch() -> None:
    program = (
        "import sys; from app.json_schema.document import document; assert len(document('digits')) > 10_000;"
        "print(sorted({'torch', 'lightning', 'torchmetrics', 'sklearn'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout == "[]\n"
