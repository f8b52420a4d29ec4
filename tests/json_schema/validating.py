"""Experiments judged by a validator of JSON Schema, as an editor would."""

import json
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any
from urllib.parse import urljoin

import yaml
from jsonschema import Draft7Validator
from jsonschema.exceptions import ValidationError
from referencing import Registry
from referencing.jsonschema import DRAFT7

from app.composing.placed_yaml import read_yaml
from app.json_schema.common import common_definitions
from app.json_schema.document import OPTIONS, document
from app.schemas.registry import Option, groups

Place = tuple[str | int, ...]


@cache
def validator(task: str = "digits") -> Draft7Validator:
    """What judges a task's experiments; those that a test writes are not known to it."""
    return fresh_validator(task)


def fresh_validator(task: str = "digits") -> Draft7Validator:
    """What judges a task's experiments, the ones that a test has written being known to it."""
    common = common_definitions()
    # As an editor knows them, by where they stand.
    whole = {"$id": f"file:///tasks/{task}/experiments.schema.json", **json.loads(document(task, common))}
    folder = urljoin(whole["$id"], OPTIONS)
    shared = {f"{folder}/{file}": json.loads(text) for file, text in common.documents().items()}
    for one in (whole, *shared.values()):
        Draft7Validator.check_schema(one)
    resources = [(name, DRAFT7.create_resource(one)) for name, one in shared.items()]
    return Draft7Validator(whole, registry=Registry[Any]().with_resources(resources))


def task_of(option: Option) -> str | None:
    """The only task whose experiments can choose an option, None when all can."""
    if option.group.name == "task":
        return option.name
    if (of_group := option.group.base.__module__).startswith("app.tasks."):
        return of_group.split(".")[2]
    return option.owner


def data(text: str) -> Any:
    """What a text says, in JSON: its keys are texts."""
    root, _ = read_yaml(text)
    assert root is not None
    return _with_texts_as_keys(root.plain())


def _with_texts_as_keys(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _with_texts_as_keys(item) for key, item in value.items()}
    return [_with_texts_as_keys(item) for item in value] if isinstance(value, list) else value


def errors(text: str, judge: Draft7Validator | None = None) -> list[tuple[Place, str]]:
    """The places that are wrong, each with the keyword that says so."""
    judge = judge or validator()
    return [found for error in judge.iter_errors(data(text)) for found in _places(error)]


def _places(error: ValidationError) -> Iterator[tuple[Place, str]]:
    place = tuple(error.absolute_path)
    schema: Any = error.schema
    instance: Any = error.instance
    if error.validator == "additionalProperties":
        yield from (((*place, key), "additionalProperties") for key in instance if key not in schema["properties"])
    else:
        yield place, str(error.validator)


def as_experiment(overrides: Iterable[str]) -> str:
    """Overrides as a file says them."""
    choices: list[dict[str, object]] = []
    values: dict[str, Any] = {}
    for override in overrides:
        key, _, text = override.partition("=")
        value = yaml.safe_load(text)
        if key in groups:
            choices.append({f"override /{key}": value})
        else:
            *around, name = key.split(".")
            node = values
            for part in around:
                node = node.setdefault(part, {})
            node[name] = value
    return yaml.safe_dump({"defaults": choices, **values})
