"""The narrow types that schema fields are made of: numbers with their ranges, texts with their shape."""

import re
from typing import Annotated, Final

from annotated_types import Ge, Gt, Le, Lt, MinLen
from pydantic import AfterValidator

LARGEST_INT = 2**63 - 1
"""Torch keeps whole numbers in 64 bits; a larger one could only fail later."""

PositiveInt = Annotated[int, Ge(1), Le(LARGEST_INT)]
NonNegativeInt = Annotated[int, Ge(0), Le(LARGEST_INT)]
MinusOneOrMore = Annotated[int, Ge(-1), Le(LARGEST_INT)]
"""A count in which -1 stands for "no limit"."""

PositiveFloat = Annotated[float, Gt(0)]
NonNegativeFloat = Annotated[float, Ge(0)]
NonPositiveFloat = Annotated[float, Le(0)]
AtLeastOne = Annotated[float, Ge(1)]
Probability = Annotated[float, Ge(0), Le(1)]
"""A chance or a share, both ends included."""

Fraction = Annotated[float, Gt(0), Le(1)]
"""A share that may not be empty."""

PartialShare = Annotated[float, Ge(0), Lt(1)]
"""A share that leaves something over."""

OpenShare = Annotated[float, Gt(0), Lt(1)]
"""A share that is neither nothing nor everything."""

Momentum = Annotated[float, Ge(0), Lt(1)]
"""A decay rate of a running average; 1 would never forget."""

Seed = Annotated[int, Ge(0), Le(2**32 - 1)]
"""A seed that Python, NumPy and torch all take."""

NonEmptyText = Annotated[str, MinLen(1)]

DURATION: Final = "[0-9]{1,6}:[0-9]{2}:[0-9]{2}:[0-9]{2}"
DEVICE: Final = "(cpu|cuda|mps|xla|xpu)(:[0-9]{1,4})?"
FILE_NAME: Final = r"(?!\.{1,2}$)[^/\\\x00]+"


def duration_fault(text: str) -> str | None:
    """What is wrong with a length of time, or None when it is written as `DD:HH:MM:SS`."""
    if re.fullmatch(DURATION, text):
        return None
    return f"expected a length of time as 'DD:HH:MM:SS' (days, hours, minutes, seconds), found {text!r}"


def _duration(text: str) -> str:
    if fault := duration_fault(text):
        raise ValueError(fault)
    return text


def _file_name(text: str) -> str:
    if not re.fullmatch(FILE_NAME, text):
        raise ValueError(f"expected a file's name without folders, found {text!r}")
    return text


def _device(text: str) -> str:
    if not re.fullmatch(DEVICE, text):
        raise ValueError(f"expected a device such as 'cpu', 'cuda' or 'cuda:1', found {text!r}")
    return text


FileName = Annotated[str, MinLen(1), AfterValidator(_file_name)]
"""The name of a file or folder in a folder that is known otherwise; `..` would lead out of it."""

Duration = Annotated[str, AfterValidator(_duration)]
"""A length of time as Lightning writes it: `00:12:00:00` is half a day."""

DeviceName = Annotated[str, AfterValidator(_device)]
"""A torch device: `cpu`, `cuda`, `cuda:1`."""
