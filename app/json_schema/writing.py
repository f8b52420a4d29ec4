"""How documents refer to each other, and how they are written."""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from app.json_schema.types import Json

HERE: Final = "#/definitions/"
"""How a reference to a definition of the same document starts."""


def written(document: Json, own: Mapping[str, Json], others: Mapping[str, str], kept: Iterable[str] = ()) -> str:
    """The text of a document with the definitions that it needs; where one changes, one line does.

    `own` are its definitions by name, `others` the files that have further ones; `kept` are needed elsewhere.

    yaml-language-server works through a whole file for each reference into it. So there is one reference to what is
    elsewhere, to which others lead; in a list of one, for it would be followed anew by whatever is nothing else. Only
    what a property is has to stand there itself, for editors to complete it. For a file with a `$schema` the same work
    is done several times over, so what others lead to has none.
    """
    away = {name: f"{file}{HERE}{name}" for name, file in others.items() if name not in own}
    root = _linked(document, away)
    needed: dict[str, Json] = {}
    left = [*_references(root), *kept]
    while left:
        name = left.pop()
        if name not in needed:
            needed[name] = {"allOf": [{"$ref": away[name]}]} if name in away else _linked(own[name], away)
            left += _references(needed[name])
    return _lines({**root, "definitions": dict(sorted(needed.items()))}, levels=2) + "\n"


def has_references(definition: Json) -> bool:
    """Whether a definition leads to others."""
    return any(_references(definition))


def _linked(value: Any, away: Mapping[str, str]) -> Any:
    """A part of a document, its properties leading straight to what is elsewhere."""
    if isinstance(value, list):
        return [_linked(item, away) for item in value]
    if not isinstance(value, dict):
        return value
    found = {key: _linked(item, away) for key, item in value.items()}
    for name, made in found.get("properties", {}).items():
        if isinstance(made, dict) and (to := made.get("$ref", "").removeprefix(HERE)) in away:
            found["properties"][name] = {**made, "$ref": away[to]}
    return found


def _references(value: Any) -> Iterator[str]:
    """The names of the definitions of the same document that some part of it leads to."""
    if isinstance(value, list):
        for item in value:
            yield from _references(item)
    elif isinstance(value, dict):
        if isinstance(reference := value.get("$ref"), str) and reference.startswith(HERE):
            yield reference.removeprefix(HERE)
        for item in value.values():
            yield from _references(item)


def _lines(value: Json | list[Json], *, levels: int) -> str:
    """JSON with a line for each item of the outer levels."""
    if not levels or not isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    if isinstance(value, dict):
        inner = [f"{json.dumps(key)}: {_lines(item, levels=levels - 1)}" for key, item in value.items()]
        return "{\n" + ",\n".join(inner) + "\n}"
    return "[\n" + ",\n".join(_lines(item, levels=levels - 1) for item in value) + "\n]"
