"""Exporters tell whoever works on them what they do, in logs, warnings and prints; a user has nothing to act on."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from io import StringIO
from typing import Final

_LOGGERS: Final = ("torch", "torch.export", "torch.onnx", "onnxscript", "onnx_ir")


@contextmanager
def quietly() -> Iterator[None]:
    """Let nothing but errors through for a while; what went wrong comes as an exception."""
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        with warnings.catch_warnings(), redirect_stdout(StringIO()), redirect_stderr(StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
