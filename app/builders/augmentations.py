"""From the augmentations of a config to the one live change of a batch that they make together."""

from collections.abc import Mapping
from typing import Final

from pydantic import ValidationError

from app.augmentations.composition import InTurn, OneOf, SomeOf, Sometimes
from app.augmentations.views import ImageAugmentation
from app.builders.targets import keyword_arguments, live_class
from app.schemas.augmentations.augmentation import AugmentationConfig
from app.schemas.augmentations.composition import CompositionConfig, OneOfConfig, SomeOfConfig
from app.schemas.augmentations.libraries import LibraryAugmentationConfig
from app.schemas.problems import ConfigError, Path, Problem, dotted, first_line

_OF_THE_STEP: Final = frozenset({"probability"})


def build_augmentations(configs: Mapping[str, AugmentationConfig]) -> ImageAugmentation | None:
    """All of them, one after another in the order of the config; None where there are none.

    Raises:
        ConfigError: when another package refuses the arguments of its transform.
    """
    steps = _build_each(configs, ("datamodule", "augmentations"))
    return InTurn(steps) if steps else None


def _build_each(configs: Mapping[str, AugmentationConfig], path: Path) -> list[ImageAugmentation]:
    return [_build(config, (*path, name)) for name, config in configs.items()]


def _build(config: AugmentationConfig, path: Path) -> ImageAugmentation:
    step = _build_step(config, path)
    return step if config.probability == 1 else Sometimes(step, config.probability)


def _build_step(config: AugmentationConfig, path: Path) -> ImageAugmentation:
    if isinstance(config, CompositionConfig):
        return _build_composition(config, _build_each(config.steps, (*path, "steps")))
    made: ImageAugmentation
    try:
        made = live_class(config)(**keyword_arguments(config, without=_OF_THE_STEP))
    except Exception as error:
        # Whatever a constructor of ours raises is our fault; others judge what only they can know.
        if not isinstance(config, LibraryAugmentationConfig):
            raise
        problem = Problem(path=dotted((*path, "arguments")), message=f"{config.transform} refuses them: {_said(error)}")
        raise ConfigError([problem]) from error
    return made


def _said(error: Exception) -> str:
    """What another package says is wrong; albumentations hands on pydantic's words, whose first line says nothing."""
    if isinstance(error.__cause__, ValidationError):
        details = error.__cause__.errors(include_url=False)
        return "; ".join(": ".join((*map(str, detail["loc"]), detail["msg"])) for detail in details)
    return first_line(error)


def _build_composition(config: CompositionConfig, steps: list[ImageAugmentation]) -> ImageAugmentation:
    if isinstance(config, OneOfConfig):
        return OneOf(steps, [config.weights.get(name, 1.0) for name in config.steps])
    return SomeOf(steps, config.count) if isinstance(config, SomeOfConfig) else InTurn(steps)
