import importlib.util
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app import load_config
from app.schemas.augmentations import installed
from app.schemas.augmentations.libraries import AlbumentationsConfig, KorniaConfig, LibraryAugmentationConfig
from app.schemas.codes import Code
from app.schemas.problems import ConfigError
from tests.schemas.augmentations.problems import PREFIX, all_of, problems_of

kornia = pytest.mark.skipif(not installed.is_installed("kornia"), reason="needs the extra kornia")
albumentations = pytest.mark.skipif(not installed.is_installed("albumentations"), reason="needs the extra")
_SOURCE = '''
__all__ = [
    "Shown",
    "Handed",
]

@decorated
class Shown(Base, Generic[T]):
    """Begins here
and ends here."""

    def __init__(
        self, size: "int" = 3, *, names: Sequence[str], rest: Optional[Tuple[int, ...]] = None
    ) -> None: ...


class Handed(Shown):
    def other(self) -> None: ...


class Hidden(Shown): ...
'''
LIBRARIES = [
    pytest.param(KorniaConfig, marks=kornia, id="kornia"),
    pytest.param(AlbumentationsConfig, marks=albumentations, id="albumentations"),
]


@pytest.fixture
def without_packages(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    there = importlib.util.find_spec
    monkeypatch.setattr(
        installed, "find_spec", lambda name: None if name in ("kornia", "albumentations") else there(name)
    )
    for cached in (installed._known, installed.classes, installed.arguments):
        cached.cache_clear()
    yield
    for cached in (installed._known, installed.classes, installed.arguments):
        cached.cache_clear()


@kornia
def test_every_slip_in_a_transform_is_reported_with_its_path() -> None:
    found = all_of(
        "a={id: kornia, transform: RandomGausianBlur}",
        "b={id: kornia, transform: RandomGaussianBlur, arguments: {kernel_size: [3, 3.5], sigmas: [1, 2]}}",
        "c={id: kornia, transform: RandomHorizontalFlip, arguments: {p: 1.0}}",
        "d={id: kornia, transform: RandomMixUpV2}",
        "e={id: kornia}",
    )

    said = {problem.path.removeprefix(PREFIX): (problem.code, problem.message) for problem in found}
    unknown = "kornia has no transform 'RandomMixUpV2' of single images"
    assert said.pop("d.transform")[1].startswith(unknown)
    assert said == {
        "a.transform": (
            Code.UNKNOWN_OPTION,
            "kornia has no transform 'RandomGausianBlur' of single images; did you mean 'RandomGaussianBlur'?",
        ),
        "b.arguments.sigmas": (
            Code.UNKNOWN_FIELD,
            "RandomGaussianBlur has no argument 'sigmas'; did you mean 'sigma'?",
        ),
        "b.arguments.sigma": (
            Code.MISSING,
            "RandomGaussianBlur needs a value: a list of 2 values, each a number",
        ),
        "b.arguments.kernel_size": (
            Code.WRONG_VALUE,
            "expected a list of 2 values, each a whole number, or a whole number, found the list [3, 3.5]",
        ),
        "c.arguments.p": (
            Code.UNKNOWN_FIELD,
            "is set already: probability, a field beside it, says how often; leave it out",
        ),
        "e.transform": (Code.MISSING, "needs a value: a text that is not empty"),
    }


@albumentations
def test_arguments_of_albumentations_are_checked_too() -> None:
    found = problems_of(
        "a={id: albumentations, transform: GridDistortion, arguments: {num_step: 4}}",
        "b={id: albumentations, transform: GaussianBlur, arguments: {blur_limit: [3, wide]}}",
        "c={id: albumentations, transform: Affine, arguments: {rotate_method: circle}}",
        "d={id: albumentations, transform: MixUp}",
    )

    assert found.pop("d.transform").startswith("albumentations has no transform 'MixUp' of single images")
    assert found == {
        "a.arguments.num_step": "GridDistortion has no argument 'num_step'; did you mean 'num_steps'?",
        "b.arguments.blur_limit": "expected a list of 2 values, each a whole number, or a whole number,"
        " found the list [3, 'wide']",
        "c.arguments.rotate_method": "expected 'largest_box' or 'ellipse', found 'circle'",
    }


@pytest.mark.usefixtures("without_packages")
@pytest.mark.parametrize("package", ["kornia", "albumentations"])
def test_without_its_package_an_option_says_which_extra_to_install(package: str) -> None:
    [problem] = all_of(f"a={{id: {package}, transform: Whatever, arguments: {{anything: 1}}}}")

    assert problem.code == Code.ENVIRONMENT
    assert problem.message == f"{package} is not installed; type: pip install 'typed-lightning-app[{package}]'"


@pytest.mark.usefixtures("without_packages")
def test_without_the_packages_everything_else_works() -> None:
    config = load_config(["datamodule.augmentations.mirror={id: horizontal_flip}"])

    assert list(config.datamodule.augmentations) == ["random_affine", "mirror"]


@pytest.mark.parametrize("library", LIBRARIES)
def test_what_the_source_says_is_what_the_live_class_takes(library: type[LibraryAugmentationConfig]) -> None:
    program = (
        "import importlib, inspect, json, os, sys, warnings; os.environ['NO_ALBUMENTATIONS_UPDATE'] = '1';"
        "warnings.simplefilter('ignore');"
        "package = importlib.import_module(sys.argv[1]);"
        "taken = lambda name: inspect.signature(getattr(package, name)).parameters.values();"
        "print(json.dumps({name: {each.name: each.default is each.empty for each in taken(name) if each.kind != 4}"
        " for name in sys.argv[2:]}))"
    )
    names = installed.classes(library.package, library.folders, library.roots)
    module = "kornia.augmentation" if library is KorniaConfig else library.package
    done = subprocess.run([sys.executable, "-c", program, module, *names], capture_output=True, text=True, check=True)

    live = json.loads(done.stdout)
    read = {name: installed.arguments(library.package, library.folders, name) for name in names}
    assert len(names) > 50
    assert [name for name in names if read[name] is None] == (["RandomDissolving"] if library is KorniaConfig else [])
    assert {
        name: {argument: each.required for argument, each in found.items()}
        for name, found in read.items()
        if found is not None
    } == {name: live[name] for name in names if read[name] is not None}


@pytest.mark.parametrize("library", LIBRARIES)
def test_what_moves_nothing_leaves_every_target_right(library: type[LibraryAugmentationConfig]) -> None:
    values, places = {
        KorniaConfig: ("RandomInvert", "RandomHorizontalFlip"),
        AlbumentationsConfig: ("InvertImg", "HorizontalFlip"),
    }[library]

    assert library(transform=values).moves == {"mask", "boxes", "labels"}
    assert library(transform=places).moves == {"mask"}


@kornia
def test_what_cannot_move_masks_says_so() -> None:
    assert KorniaConfig(transform="RandomThinPlateSpline").moves == set()


@kornia
def test_a_transform_that_moves_is_refused_where_boxes_are_learnt() -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(["task=detection", f"{PREFIX}mirror={{id: kornia, transform: RandomHorizontalFlip}}"])

    found = [problem.message for problem in caught.value.problems if problem.path == "datamodule.augmentations.mirror"]
    assert any("cannot move 'boxes' (boxes) along" in message for message in found)


@pytest.mark.parametrize("library", LIBRARIES)
def test_checking_imports_neither_the_package_nor_torch(library: type[LibraryAugmentationConfig]) -> None:
    transform = "RandomInvert" if library is KorniaConfig else "InvertImg"
    program = (
        "import sys; from app.compose import load_config;"
        f"load_config(['datamodule.augmentations.a={{id: {library.package}, transform: {transform}}}']);"
        f"print({{'torch', 'numpy', 'cv2', {library.package!r}}} & set(sys.modules))"
    )

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)

    assert done.stdout == "set()\n", done.stderr


def test_a_class_is_found_whatever_stands_around_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "some_package" / "parts"
    folder.mkdir(parents=True)
    (tmp_path / "some_package" / "__init__.py").touch()
    (folder / "one.py").write_text(_SOURCE)
    (folder / "two.py").write_text("class Base:\n    def __init__(self, **anything: object) -> None: ...\n")
    monkeypatch.syspath_prepend(tmp_path)

    assert installed.classes("some_package", ("parts",), frozenset({"Base"})) == ("Handed", "Shown")
    taken = installed.arguments("some_package", ("parts",), "Handed")
    assert taken == {
        "size": installed.Argument(annotation=Any, required=False),
        "names": installed.Argument(annotation=tuple[str, ...], required=True),
        "rest": installed.Argument(annotation=tuple[int, ...] | None, required=False),
    }
    assert installed.arguments("some_package", ("parts",), "Base") is None
