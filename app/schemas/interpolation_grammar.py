"""OmegaConf's grammar of interpolations, for those that are more than a path."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any, cast

from omegaconf.errors import GrammarParseError, OmegaConfBaseException
from omegaconf.grammar_parser import parse
from omegaconf.grammar_visitor import GrammarVisitor

_parsed = lru_cache(maxsize=1024)(parse)
"""A thousand experiments hold a handful of different interpolations."""


def evaluate(
    text: str,
    rule: tuple[str, str],
    follow: Callable[[str], object],
    call: Callable[[str, tuple[object, ...], tuple[str, ...]], object],
) -> object:
    """The value of a text, its interpolations looked up by `follow`, its resolvers called by `call`.

    Raises:
        SyntaxError: when it cannot be read.
        ValueError: when OmegaConf finds something else wrong with it.
    """
    visitor = GrammarVisitor(
        node_interpolation_callback=lambda reference, _: cast(Any, follow(reference)),
        resolver_interpolation_callback=call,
        memo=None,
    )
    try:
        return visitor.visit(_parsed(text, *rule))
    except GrammarParseError as error:
        raise SyntaxError(str(error)) from error
    except OmegaConfBaseException as error:
        raise ValueError(str(error)) from error
