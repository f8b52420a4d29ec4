"""Any backbone of PyTorch Image Models (timm, an extra of this distribution), its weights too."""

from collections.abc import Sequence
from importlib import import_module
from typing import Any

import torch
from torch import Tensor, nn

from app.models.part import Backbone, UnfitPartError
from app.schemas.problems import did_you_mean


class TimmBackbone(Backbone):
    """The stages of a timm model without its classifier; the first convolution is adapted to `in_channels`.

    Raises:
        UnfitPartError: when timm has no such model, or cannot make it as asked for or with these weights.
    """

    def __init__(
        self,
        in_channels: int,
        *,
        model_name: str,
        pretrained: bool = False,
        checkpoint_path: str | None = None,
        out_indices: Sequence[int] | None = None,
        image_size: tuple[int, int] | None = None,
    ) -> None:
        super().__init__()
        timm = import_module("timm")  # not before it is needed: it takes seconds, and may be absent
        _require_model(timm, model_name)
        arguments: dict[str, Any] = {"features_only": True, "in_chans": in_channels}
        if out_indices is not None:
            arguments["out_indices"] = tuple(out_indices)
        if image_size is not None:
            arguments["img_size"] = image_size
        weights: dict[str, Any] = {"pretrained": pretrained}
        if checkpoint_path is not None:
            # By the way of the published weights, on which timm adapts a file to the channels and leaves out its head.
            weights = {"pretrained": True, "pretrained_cfg_overlay": {"file": checkpoint_path}}
        try:
            self.model: Any = timm.create_model(model_name, **weights, **arguments)
        except Exception as error:
            _require_arguments(timm, model_name, arguments)
            if not weights["pretrained"]:
                raise UnfitPartError("model_name", f"{model_name} cannot be made: {_said(error)}") from error
            raise _unfit_weights(model_name, checkpoint_path, error) from error
        if checkpoint_path is not None and not _holds(timm, checkpoint_path, self.model):
            raise UnfitPartError(
                "checkpoint_path",
                f"{checkpoint_path} holds no weights of {model_name}; a run's checkpoint goes into load_checkpoint",
            )
        self.out_channels = tuple(self.model.feature_info.channels())
        self.reductions = tuple(self.model.feature_info.reduction())
        # Some transformers keep the channels last.
        self._channels_last = getattr(self.model, "output_fmt", "NCHW") == "NHWC"

    def forward(self, images: Tensor) -> list[Tensor]:
        """A map from each stage."""
        maps: list[Tensor] = list(self.model(images))
        return [features.permute(0, 3, 1, 2) for features in maps] if self._channels_last else maps


def _require_model(timm: Any, model_name: str) -> None:
    named: list[str] = timm.list_pretrained() if "." in model_name else timm.list_models()
    if model_name not in named:
        choices = did_you_mean(model_name, named) or "; timm.list_models() has them all"
        raise UnfitPartError("model_name", f"timm {timm.__version__} has no model '{model_name}'{choices}")


def _require_arguments(timm: Any, model_name: str, arguments: dict[str, Any]) -> None:
    """Find out whether it is because of what was asked for that a model cannot be made, and of which argument."""
    with torch.device("meta"):
        plain = timm.create_model(model_name, features_only=True)
        num_stages = len(plain.feature_info.info)
        stages = arguments.get("out_indices", ())
        if stages and max(stages) >= num_stages:
            raise UnfitPartError("out_indices", f"{model_name} has stages 0 to {num_stages - 1}, found {max(stages)}")
        if "img_size" in arguments:
            try:
                timm.create_model(model_name, features_only=True, img_size=arguments["img_size"])
            except TypeError as error:
                raise UnfitPartError("image_size", f"{model_name} takes images of any size; expected null") from error
            except Exception as error:
                height, width = arguments["img_size"]
                message = f"{model_name} cannot be made for images of {height} by {width}: {_said(error)}"
                raise UnfitPartError("image_size", message) from error


def _unfit_weights(model_name: str, checkpoint_path: str | None, error: Exception) -> UnfitPartError:
    if isinstance(error, FileNotFoundError) and checkpoint_path is not None:
        return UnfitPartError("checkpoint_path", f"there is no file {checkpoint_path}")
    if checkpoint_path is not None and "weights_only" in str(error):  # where torch and timm advise to read it anyway
        found = "is damaged, or holds more than weights, and is not read"
        return UnfitPartError("checkpoint_path", f"{checkpoint_path} {found}")
    if checkpoint_path is not None:
        return UnfitPartError("checkpoint_path", f"{checkpoint_path} does not fit {model_name}: {_said(error)}")
    advice = "a file that is there goes into checkpoint_path"
    return UnfitPartError("pretrained", f"cannot get the weights of {model_name}: {_said(error)}; {advice}")


def _said(error: Exception) -> str:
    """What timm, torch or the hub say is wrong; torch says what it was doing first, and what is wrong second."""
    lines = [line.strip().rstrip(".:") for line in str(error).strip().splitlines() if line.strip()]
    return ": ".join([type(error).__name__, *lines[:2]])


def _holds(timm: Any, checkpoint_path: str, model: nn.Module) -> bool:
    """Whether any of a file's weights is in the model: timm passes over names that it does not know."""
    weights: dict[str, Tensor] = timm.models.load_state_dict(checkpoint_path)
    matrices = [weight for weight in weights.values() if weight.ndim > 1]
    return any(
        weight.shape == parameter.shape and torch.equal(weight.to(parameter), parameter)
        for parameter in model.parameters()
        for weight in matrices
    )
