"""What tasks share stands apart: it leads to no task, and what does not share it changes nothing in it."""

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from app.json_schema.common import common_definitions
from app.json_schema.document import OPTIONS, document
from app.tasks import task_folders

Documents = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def shared() -> Documents:
    return {file: json.loads(text) for file, text in common_definitions().documents().items()}


def references(value: Any) -> Iterator[tuple[str, str]]:
    """The file and the definition that each reference leads to."""
    if isinstance(value, dict):
        if isinstance(reference := value.get("$ref"), str):
            file, _, name = reference.partition("#/definitions/")
            yield file, name
        yield from (found for item in value.values() for found in references(item))
    elif isinstance(value, list):
        yield from (found for item in value for found in references(item))


def test_every_reference_leads_to_a_definition_of_what_is_shared(shared: Documents) -> None:
    found = {(file or own, name) for own, one in shared.items() for file, name in references(one)}

    assert len(found) > 500
    assert {(file, name) for file, name in found if name not in shared.get(file, {}).get("definitions", {})} == set()


@pytest.mark.parametrize("task", task_folders())
def test_every_reference_of_a_task_leads_to_a_definition(task: str, shared: Documents) -> None:
    documents = {"": json.loads(document(task)), **{f"{OPTIONS}/{file}": one for file, one in shared.items()}}
    found = {*references(documents[""])}

    assert {file for file, _ in found} > {"", f"{OPTIONS}/metrics.schema.json"}
    assert {place for place in found if place[1] not in documents.get(place[0], {}).get("definitions", {})} == set()


def test_they_name_no_task(shared: Documents) -> None:
    named = {name for one in shared.values() for name in one["definitions"]}
    of_tasks = tuple(f"{kind}={task}" for kind in ("task", "module", "datamodule") for task in task_folders())

    assert {name for name in named if name.removeprefix("if-").startswith(of_tasks)} == set()
    assert {name for name in named if "app.tasks." in name} == set()


def test_fewer_tasks_leave_them_as_they_are() -> None:
    # What the only task imports is registered first then, and would come first in an order that depended on it.
    program = (
        "import json, app.tasks as tasks; found = tasks.task_folders(); kept = {'tabular': found['tabular']};"
        "tasks.task_folders = lambda: kept; import app.tasks.tabular.config;"
        "from app.json_schema.common import common_definitions; print(json.dumps(common_definitions().documents()))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert json.loads(done.stdout) == common_definitions().documents()
