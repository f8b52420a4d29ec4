"""Any augmentation of kornia or albumentations by its name, with its arguments checked before anything is imported."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import field
from typing import Annotated, Any, ClassVar, Final

from annotated_types import Gt, Le
from pydantic import ConfigDict, TypeAdapter, ValidationError

from app.schemas.augmentations import installed
from app.schemas.augmentations.augmentation import EVERY_TARGET, AugmentationConfig, PlacedTarget
from app.schemas.codes import Code
from app.schemas.constraints import NonEmptyText
from app.schemas.expectations import expected
from app.schemas.problems import did_you_mean, missing_extra, show
from app.schemas.registry import register
from app.schemas.rules import Finding, rule
from app.schemas.schema import schema

Scalar = bool | int | float | str | None
ArgumentValue = Scalar | tuple[Scalar, ...] | tuple[tuple[Scalar, ...], ...] | dict[str, Scalar | tuple[Scalar, ...]]
"""What an argument can be in a config; the class itself says which of these it takes."""

_OURS: Final[Mapping[str, str]] = {
    "p": "probability, a field beside it, says how often",
    "always_apply": "probability, a field beside it, says how often",
    "keepdim": "a batch stays a batch",
}


@schema
class LibraryAugmentationConfig(AugmentationConfig):
    """What augmentations of other packages have in common."""

    abstract: ClassVar = True

    package: ClassVar[str]
    folders: ClassVar[tuple[str, ...]]
    """Where in the package the transforms are."""

    roots: ClassVar[frozenset[str]]
    """The classes that transforms of single images derive from."""

    values_only: ClassVar[str]
    """The one of them whose transforms move nothing."""

    unmasked: ClassVar[frozenset[str]] = frozenset()
    """The transforms that move an image and cannot do the same to a mask."""

    transform: NonEmptyText
    """Name of the class, as the package's own documentation has it."""

    arguments: dict[str, ArgumentValue] = field(default_factory=dict)
    """The class's arguments by name, tuples as lists; all but `p`, for which there is `probability`."""

    probability: Annotated[float, Gt(0), Le(1)] = 0.5
    """Chance that an image is changed; the transform's own `p` is always 1."""

    @property
    def moves(self) -> frozenset[PlacedTarget]:
        """A mask follows whatever is moved, boxes do not."""
        moves_nothing = self.values_only in installed.roots_of(self.package, self.folders, self.transform)
        if moves_nothing or not installed.is_installed(self.package):
            return EVERY_TARGET
        return frozenset() if self.transform in self.unmasked else frozenset(("mask",))

    @rule(code=Code.ENVIRONMENT)
    def package_is_installed(self) -> Iterator[Finding]:
        """An extra, which not every installation has."""
        if not installed.is_installed(self.package):
            yield (), missing_extra(self.package, self.package)

    @rule("transform", code=Code.UNKNOWN_OPTION)
    def transform_exists(self) -> Iterator[Finding]:
        """A class of the package as it is installed."""
        known = self._transforms()
        if known and self.transform not in known:
            meant = did_you_mean(self.transform, known) or f"; it has {', '.join(known)}"
            yield "transform", f"{self.package} has no transform '{self.transform}' of single images{meant}"

    @rule("transform", "arguments", code=Code.UNKNOWN_FIELD)
    def arguments_exist(self) -> Iterator[Finding]:
        """An argument that the class has not."""
        for name in self.arguments:
            if name in _OURS:
                yield ("arguments", name), f"is set already: {_OURS[name]}; leave it out"
            elif (taken := self._taken()) is not None and name not in taken:
                choices = [choice for choice in taken if choice not in _OURS]
                meant = did_you_mean(name, choices) or f"; it has {', '.join(choices) or 'none'}"
                yield ("arguments", name), f"{self.transform} has no argument '{name}'{meant}"

    @rule("transform", "arguments", code=Code.MISSING)
    def arguments_are_complete(self) -> Iterator[Finding]:
        """An argument without a default."""
        for name, argument in (self._taken() or {}).items():
            if argument.required and name not in self.arguments:
                yield ("arguments", name), f"{self.transform} needs a value: {expected(argument.annotation)}"

    @rule("transform", "arguments", code=Code.WRONG_VALUE)
    def arguments_are_of_their_types(self) -> Iterator[Finding]:
        """A value of another type than the class's source says, where that is simple enough to be sure."""
        taken = self._taken() or {}
        for name, value in self.arguments.items():
            if name in taken and name not in _OURS and not _is_of(value, taken[name].annotation):
                yield ("arguments", name), f"expected {expected(taken[name].annotation)}, found {show(value)}"

    def _transforms(self) -> Collection[str]:
        return installed.classes(self.package, self.folders, self.roots)

    def _taken(self) -> Mapping[str, installed.Argument] | None:
        if self.transform not in self._transforms():
            return None
        return installed.arguments(self.package, self.folders, self.transform)


@register("augmentation", "kornia", target="app.augmentations.kornia_transforms.KorniaTransform")
@schema
class KorniaConfig(LibraryAugmentationConfig):
    """Any of kornia's augmentations of single images, on whole batches: `transform: RandomGaussianBlur`."""

    package: ClassVar[str] = "kornia"
    folders: ClassVar[tuple[str, ...]] = (
        "augmentation/_2d/geometric",
        "augmentation/_2d/intensity",
        "augmentation/_2d/base",
        "augmentation/base",
    )
    roots: ClassVar[frozenset[str]] = frozenset(
        (
            "AugmentationBase2D",
            "RigidAffineAugmentationBase2D",
            "GeometricAugmentationBase2D",
            "IntensityAugmentationBase2D",
        )
    )
    values_only: ClassVar[str] = "IntensityAugmentationBase2D"
    unmasked: ClassVar[frozenset[str]] = frozenset(("RandomFisheye", "RandomThinPlateSpline"))


@register(
    "augmentation", "albumentations", target="app.augmentations.albumentations_transforms.AlbumentationsTransform"
)
@schema
class AlbumentationsConfig(LibraryAugmentationConfig):
    """Any of albumentations' transforms of single images: `transform: GridDistortion`.

    It changes one image after the other, which takes many times as long as what changes a batch at a time.
    """

    package: ClassVar[str] = "albumentations"
    folders: ClassVar[tuple[str, ...]] = (
        "augmentations/blur",
        "augmentations/crops",
        "augmentations/dropout",
        "augmentations/geometric",
        "augmentations/pixel",
        "augmentations/spectrogram",
        "core/transforms_interface",
    )
    roots: ClassVar[frozenset[str]] = frozenset(("DualTransform", "ImageOnlyTransform"))
    values_only: ClassVar[str] = "ImageOnlyTransform"


def _is_of(value: object, annotation: Any) -> bool:
    try:
        TypeAdapter(annotation, config=ConfigDict(strict=True)).validate_python(value)
    except ValidationError:
        return False
    return True
