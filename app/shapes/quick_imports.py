"""Importing Lightning without what it only draws and filters audio with, which takes a third of the time.

Torchmetrics imports matplotlib and scipy.signal as it is imported, wherever they are installed, for methods that a
check never calls. Whatever else imports them finds them as ever.
"""

import gc
import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, Final

_UNNEEDED: Final = ("matplotlib", "matplotlib.axes", "matplotlib.pyplot", "scipy", "scipy.signal")


class _Stand(ModuleType):
    """Stands where a module would: whatever is looked up in it is there, and can be a decorator."""

    __path__: list[str] = []  # noqa: RUF012  # as every package has it

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _Stand(name)

    def __call__(self, *arguments: Any) -> Any:
        return arguments[0] if len(arguments) == 1 and callable(arguments[0]) else self


@contextmanager
def quick_imports() -> Iterator[None]:
    """Import torch and Lightning inside; nothing is done if they are there already."""
    if "torchmetrics" in sys.modules:
        yield
        return
    stands: dict[str, _Stand] = {}
    for name in _UNNEEDED:
        package, _, child = name.rpartition(".")
        if (package or name) in sys.modules:
            continue
        stands[name] = _Stand(name)
        stands[name].__spec__ = ModuleSpec(name, None)
        if package:
            setattr(stands[package], child, stands[name])
    sys.modules.update(stands)
    gc.disable()  # what modules make as they are imported is there to stay
    try:
        importlib.import_module("torchmetrics")
        for name, stand in stands.items():
            if sys.modules.get(name) is stand:
                del sys.modules[name]
        yield
    finally:
        gc.enable()
        gc.freeze()
