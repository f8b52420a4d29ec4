"""Experiments judged by a validator of JSON Schema, as an editor would."""

import json
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any

import yaml
from jsonschema import Draft7Validator
from jsonschema.exceptions import ValidationError

from app.json_schema.document import document
from app.placed_yaml import read_yaml
from app.schemas.registry import groups

Place = tuple[str | int, ...]


@cache
def validator(task: str = "digits") -> Draft7Validator:
    """What judges a task's experiments; those that a test writes are not known to it."""
    return fresh_validator(task)


def fresh_validator(task: str = "digits") -> Draft7Validator:
    """What judges a task's experiments, the ones that a test has written being known to it."""
    whole = json.loads(document(task))
    Draft7Validator.check_schema(whole)
    return Draft7Validator(whole)


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
