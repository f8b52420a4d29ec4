"""From a `JointLossConfig` to the live joint loss."""

from collections.abc import Callable, Mapping
from typing import Any, Final, cast

import torch
from torch import Tensor, nn

from app.builders.targets import keyword_arguments, live_class
from app.losses.contrastive import cosine_distance
from app.losses.joint import JointLoss, Term
from app.schemas.losses.joint import JointLossConfig
from app.schemas.losses.loss import LossConfig
from app.schemas.losses.torch_losses import (
    BCEWithLogitsConfig,
    ClassWeightedLoss,
    TripletMarginWithDistanceConfig,
)
from app.schemas.problems import ConfigError, Problem, dotted

_OF_THE_TERM: Final = frozenset({"mapping", "phases", "weight"})

_DISTANCES: Final[Mapping[str, Callable[[Tensor, Tensor], Tensor]]] = {
    "euclidean": nn.PairwiseDistance(),
    "chebyshev": nn.PairwiseDistance(p=float("inf")),
    "cosine": cosine_distance,
}


def build_joint_loss(config: JointLossConfig) -> JointLoss:
    """The weighted sum of losses that `config` describes.

    Raises:
        ConfigError: when a loss has parameters to train: optimizers are given those of the model.
    """
    terms = {
        tag: Term(
            loss=_build_loss(loss),
            mapping=loss.output_of(),
            weight=loss.weight,
            phases=loss.phases,
            same_shape=loss.same_shape,
            real_valued=loss.real_valued,
        )
        for tag, loss in config.losses.items()
    }
    problems = [
        Problem(
            path=dotted(("joint_loss", "losses", tag)),
            message=f"{type(term.loss).__name__} has parameters, which nothing would train; they belong to the model",
        )
        for tag, term in terms.items()
        if any(parameter.requires_grad for parameter in term.loss.parameters())
    ]
    if problems:
        raise ConfigError(problems)
    return JointLoss(terms, normalize_weights=config.normalize_weights)


def _build_loss(config: LossConfig) -> nn.Module:
    arguments = keyword_arguments(config, without=_OF_THE_TERM)
    if isinstance(config, ClassWeightedLoss):
        arguments["weight"] = _tensor(arguments.pop("class_weights"))
    if isinstance(config, BCEWithLogitsConfig):
        arguments["pos_weight"] = _tensor(config.pos_weight)
    if isinstance(config, TripletMarginWithDistanceConfig):
        arguments["distance_function"] = _DISTANCES[arguments.pop("distance")]
    loss = cast(nn.Module, live_class(config)(**arguments))
    if isinstance(config, ClassWeightedLoss):
        _keep_out_of_checkpoints(loss)
    return loss


def _tensor(values: Any) -> Tensor | None:
    return None if values is None else torch.tensor(values, dtype=torch.get_default_dtype())


def _keep_out_of_checkpoints(loss: nn.Module) -> None:
    """The weights of classes are the config's; from a checkpoint they would come back when these were changed."""
    for name, buffer in loss.named_buffers(recurse=False):
        loss.register_buffer(name, buffer, persistent=False)
