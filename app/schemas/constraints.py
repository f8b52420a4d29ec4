"""The narrow types that schema fields are made of: numbers with their ranges, texts with their shape."""

from typing import Annotated

from annotated_types import Ge, Gt, Le, Lt, MinLen

LARGEST_INT = 2**63 - 1
"""Torch keeps whole numbers in 64 bits; a larger one could only fail later."""

PositiveInt = Annotated[int, Ge(1), Le(LARGEST_INT)]
NonNegativeInt = Annotated[int, Ge(0), Le(LARGEST_INT)]
MinusOneOrMore = Annotated[int, Ge(-1), Le(LARGEST_INT)]
"""A count in which -1 stands for "no limit"."""

PositiveFloat = Annotated[float, Gt(0)]
NonNegativeFloat = Annotated[float, Ge(0)]
AtLeastOne = Annotated[float, Ge(1)]
Probability = Annotated[float, Ge(0), Le(1)]
"""A chance or a share, both ends included."""

Fraction = Annotated[float, Gt(0), Le(1)]
"""A share that may not be empty."""

Momentum = Annotated[float, Ge(0), Lt(1)]
"""A decay rate of a running average; 1 would never forget."""

Seed = Annotated[int, Ge(0), Le(2**32 - 1)]
"""A seed that Python, NumPy and torch all take."""

NonEmptyText = Annotated[str, MinLen(1)]
