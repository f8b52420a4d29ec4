"""Types in words."""

from typing import Annotated, Any, Literal

import pytest
from annotated_types import Ge, Le, MaxLen, MinLen

from app.schemas.constraints import NonEmptyText, PositiveFloat, PositiveInt, Probability
from app.schemas.expectations import expected
from app.schemas.seed import SeedParams


@pytest.mark.parametrize(
    ("annotation", "words"),
    [
        (int, "a whole number"),
        (PositiveInt, "a whole number of at least 1"),
        (PositiveFloat | None, "a number above 0 or null"),
        (Probability, "a number of at least 0 and of at most 1"),
        (NonEmptyText, "a text that is not empty"),
        (bool, "true or false"),
        (bool | Literal["warn"] | None, "true, false, 'warn' or null"),
        (Literal["a", "b"], "'a' or 'b'"),
        (Literal[1], "1"),
        (tuple[float, float], "a list of 2 values, each a number"),
        (tuple[int, str], "a list of 2 values"),
        (tuple[PositiveInt, ...], "a list, each a whole number of at least 1"),
        (Annotated[tuple[int, ...], MinLen(1)], "a list that is not empty, each a whole number"),
        (Annotated[tuple[int, ...], MinLen(2)], "a list of at least 2 entries, each a whole number"),
        (Annotated[tuple[int, ...], MinLen(1), MaxLen(3)], "a list of 1 to 3 entries, each a whole number"),
        (PositiveFloat | tuple[float, ...], "a number above 0, or a list, each a number"),
        (dict[str, int], "a mapping, each value a whole number"),
        (SeedParams, "a mapping (SeedParams)"),
        (Annotated[int, Ge(0), Le(4)] | Literal["auto"], "a whole number of at least 0 and of at most 4 or 'auto'"),
        (Any, "any value"),
    ],
)
def test_a_type_in_words(annotation: object, words: str) -> None:
    assert expected(annotation) == words
