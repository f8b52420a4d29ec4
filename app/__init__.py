"""Typed structured configs for training PyTorch models.

`load_config` composes and checks a config, `load_from_config` makes the trainer, module and datamodule it describes.
Importing this package imports nothing else: each name below is loaded when it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

__all__ = [
    "AppError",
    "ConfigError",
    "Problem",
    "Run",
    "RunConfig",
    "__version__",
    "check",
    "load_config",
    "load_from_checkpoint",
    "load_from_config",
]

if TYPE_CHECKING:
    from app.builders.run import Run, load_from_config
    from app.compose import load_config
    from app.from_checkpoint import load_from_checkpoint
    from app.schemas.problems import AppError, ConfigError, Problem
    from app.schemas.run import RunConfig
    from app.schemas.validation import check

    __version__: str
else:
    # Hidden from type checkers: to them a module with `__getattr__` has every name there is, misspelt ones too.

    _HOMES: Final = {
        "AppError": "app.schemas.problems",
        "ConfigError": "app.schemas.problems",
        "Problem": "app.schemas.problems",
        "Run": "app.builders.run",
        "RunConfig": "app.schemas.run",
        "check": "app.schemas.validation",
        "load_config": "app.compose",
        "load_from_checkpoint": "app.from_checkpoint",
        "load_from_config": "app.builders.run",
    }

    def __getattr__(name: str) -> Any:
        if name == "__version__":
            from importlib.metadata import version

            found = version("typed-lightning-app")
        elif name in _HOMES:
            found = getattr(import_module(_HOMES[name]), name)
        else:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        globals()[name] = found
        return found

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
