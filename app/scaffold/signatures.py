"""What a class takes, from its signature and docstring: names, types, defaults, and what is said of each."""

import collections.abc
import inspect
import re
import textwrap
import typing
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

NEEDED: Final = inspect.Parameter.empty
"""Stands for the default of an argument that has none."""

_ROLE = re.compile(r":[\w:]+:`~?([^`<]*?)\s*(?:<[^`>]*>)?`")
_ASCII: Final = str.maketrans(
    {
        **dict.fromkeys('\u2018\u2019\u201c\u201d"', "'"),
        **dict.fromkeys("\u2013\u2014\u2212", "-"),
    }
)
"""Quotation marks and dashes of print, as they are typed."""

_QUOTED: Final = "`{0,2}['\"\u2018\u201c]([\\w-]+)['\"\u2019\u201d]`{0,2}"
_CHOICES = re.compile(rf"{_QUOTED}(?:\s*(?:\||,\s*or|,|or)\s*{_QUOTED})+")


@dataclass(frozen=True, kw_only=True)
class Argument:
    """One argument of a constructor."""

    name: str

    annotation: object
    """A type; `NEEDED` where there is none."""

    default: object
    """`NEEDED` where a value has to be given."""

    said: str
    """The first sentence of its description; empty where there is none."""

    said_type: str
    """Its type in words, as the docstring has it."""

    choices: tuple[str, ...]
    """The texts that the docstring names as the only ones."""


def arguments_of(target: type) -> list[Argument]:
    """What a class takes, its bases' arguments included where it hands on whatever it is given.

    Raises:
        ValueError, TypeError: when the class does not say, or says it of its `__new__` alone.
    """
    has_constructor = any("__init__" in vars(owner) for owner in target.__mro__ if owner is not object)
    if inspect.signature(target).parameters and not has_constructor:
        raise ValueError("it has no __init__ of its own")
    found: dict[str, Argument] = {}
    for owner in target.__mro__:
        if "__init__" not in vars(owner):
            continue
        constructor = vars(owner)["__init__"]
        signature = inspect.signature(target if owner is target else constructor)
        hints = _hints(constructor)
        said = _descriptions(owner)
        hands_on = False
        for name, parameter in signature.parameters.items():
            if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
                hands_on |= parameter.kind is parameter.VAR_KEYWORD
                continue
            if name == "self" or (owner is not target and (name in found or parameter.default is NEEDED)):
                continue  # a base's own need, which the class sees to
            type_words, description = said.get(name, ("", ""))
            found[name] = Argument(
                name=name,
                annotation=hints.get(name, NEEDED),
                default=parameter.default,
                said=first_sentence(description),
                said_type=type_words,
                choices=_choices(f"{type_words} {description}"),
            )
        if not hands_on:
            break
    return list(found.values())


def summary_of(target: type) -> str:
    """The first sentence of a class's docstring; empty where it has none."""
    own = vars(target).get("__doc__") or ""
    return first_sentence(re.sub(r"^This \w+ ", "", inspect.cleandoc(own).partition("\n\n")[0]))


def inputs_of(function: Any) -> list[str]:
    """The arguments of a method that have to be given, without `self`."""
    parameters = list(inspect.signature(function).parameters.values())[1:]
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return [each.name for each in parameters if each.default is NEEDED and each.kind in positional]


def first_sentence(text: str) -> str:
    """The first sentence in plain words; empty where it is a formula, or says hardly anything."""
    plain = _ROLE.sub(r"`\1`", " ".join(text.split())).replace("``", "`").translate(_ASCII)
    plain = unicodedata.normalize("NFKC", plain)
    plain = re.split(r"(?<=[^.]{3})\.(?=\s)|\s*\(default|\s*Default:", plain, maxsplit=1)[0].strip(" .,;:")
    if not plain.isascii() or "\\" in plain or len(plain.split()) < 3:
        return ""
    return f"{textwrap.shorten(plain[0].upper() + plain[1:], 300, placeholder=' …')}."


def _hints(constructor: Any) -> Mapping[str, object]:
    """The types of the arguments; what is imported for type checkers alone counts as any object there."""
    function = inspect.unwrap(constructor)
    known = {**vars(typing), **vars(collections.abc), **getattr(function, "__globals__", {})}
    while True:
        try:
            return typing.get_type_hints(function, known, include_extras=True)
        except NameError as error:
            known[str(error.name)] = object
        except (TypeError, AttributeError, SyntaxError):
            return {}


def _descriptions(owner: type) -> dict[str, tuple[str, str]]:
    """The type and the description of each argument, as the docstrings have them."""
    from docstring_parser import parse

    found: dict[str, tuple[str, str]] = {}
    for text in (vars(owner).get("__doc__"), vars(owner)["__init__"].__doc__):
        for each in parse(text or "").params:
            found.setdefault(each.arg_name.strip("`*"), (each.type_name or "", each.description or ""))
    return found


def _choices(text: str) -> tuple[str, ...]:
    match = _CHOICES.search(text)
    return tuple(dict.fromkeys(_each_choice(match[0]))) if match else ()


def _each_choice(text: str) -> Iterator[str]:
    for match in re.finditer(_QUOTED, text):
        yield match[1]
