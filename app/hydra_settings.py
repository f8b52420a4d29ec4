"""What Hydra is told of its own: where a run's folder is, and what `--help` says."""

from collections.abc import Mapping
from typing import Any, Final

_HELP: Final = """\
app [command] [group=option ...] [path.to.a.field=value ...] [flags]

$APP_COMMANDS

resume_path=<file or run directory> goes on with a training where it was saved.

== Options ==
$APP_CONFIG_GROUPS
experiment=<task>/<name> chooses a kept set of overrides.
Tune several of a kind by name: callbacks=[checkpoint,early_stopping] callbacks.early_stopping.patience=9

== Flags ==
  --cfg job            print the composed config; --package <part> prints one part of it
  --info defaults      print which options make it up
  --multirun, -m       run every combination: app -m optimizer_spec.lr=1e-3,1e-4
  --shell-completion   install=bash, install=fish; eval "$$(app -sc install=bash)"
  --version, --help
"""

HYDRA_SETTINGS: Final[Mapping[str, Any]] = {
    "run": {"dir": "${run_directory.root}/${task.name}/${run_name:}"},
    "sweep": {"dir": "${run_directory.root}/${task.name}/${run_name:}", "subdir": "${hydra.job.num}"},
    "job": {"name": "app", "chdir": False},
    "output_subdir": None,
    "help": {"app_name": "app", "template": _HELP},
}
"""What composing gives Hydra: a run's folder and the help. The record of a run is ours: Hydra's would hold secrets."""
