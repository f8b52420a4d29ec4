"""An exported model in a module's place: the task's own steps, metrics and data measure what the file computes."""

from typing import Any, NoReturn, cast

import torch
from lightning import LightningModule
from torch import nn

from app.export.contents import ExportedModelError
from app.export.exported_model import load_exported
from app.tasks.shared.module import BaseModule


def put_in_place(module: LightningModule, path: str) -> None:
    """Let a module compute what stands in the file of an exported model.

    What is exported is `forward`. Where that only names what the model gives, the file's takes the place of the model's
    own `forward`, and otherwise that of the module's. The model stays for what else it knows, such as where its outputs
    lie in the image, but its weights, which nobody trained, become NaN: a step that used them would show it.

    Raises:
        ExportedModelError: when the file is damaged, or cannot be run.
        CheckpointError: when it is not there, or is not as its manifest says.
    """
    exported = load_exported(path)
    model = cast(nn.Module, module.model)
    with torch.no_grad():
        for weights in model.parameters():
            if weights.is_floating_point():
                weights.fill_(torch.nan)

    def went_around(*_: Any) -> NoReturn:
        message = "holds what the module's forward computes, but a step of the module calls its model itself"
        raise ExportedModelError(path, message)

    if type(module).forward is BaseModule.forward:
        model.forward = exported.forward
    else:
        module.forward = exported.forward  # type: ignore[method-assign]  # the point
        model.forward = went_around
