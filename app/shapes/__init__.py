"""The shape check: a module takes its steps on tensors without values, with no data, no GPU and hardly any memory.

`report` is what it finds, free of torch; `python -m app.shapes` is the process that finds it.
"""

from typing import Final

SECONDS: Final = 30
"""Time for one config, after which the process is ended."""

SECONDS_TO_START: Final = 120
"""Time for the imports before the first."""
