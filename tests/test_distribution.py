import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PINS = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]


def test_every_pin_is_a_version_that_any_machine_can_install() -> None:
    assert len(PINS) > 100
    assert [pin for pin in PINS if not re.fullmatch(r"[A-Za-z0-9_.-]+==[A-Za-z0-9_.]+", pin)] == []
    names = [pin.partition("==")[0].casefold() for pin in PINS]
    assert names == sorted(names)


def test_torch_is_pinned_and_torchvision_stays_out() -> None:
    names = {pin.partition("==")[0].casefold() for pin in PINS}
    assert {"torch", "lightning", "setuptools", "tensorboard", "mlflow"} <= names
    # The package index has it built for GPUs; beside a CPU's torch it breaks the import of Lightning.
    assert "torchvision" not in names


def test_everything_that_is_asked_for_is_pinned() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = [
        *project["dependencies"],
        # Timm needs torchvision, whose wheel on the package index does not go with every build of torch.
        *(entry for name, extra in project["optional-dependencies"].items() if name != "timm" for entry in extra),
    ]
    names = {re.split(r"[^A-Za-z0-9_.-]", entry)[0].casefold().replace("_", "-") for entry in asked}
    assert names <= {pin.partition("==")[0].casefold().replace("_", "-") for pin in PINS}


def test_make_keeps_any_torch_that_the_project_allows() -> None:
    requirements = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    (allowed,) = [entry for entry in requirements if entry.startswith("torch>")]
    first, last = re.fullmatch(r"torch>=(\d+\.\d+),<(\d+)", allowed).groups()  # type: ignore[union-attr]  # fails if not
    assert f"({first.replace('.', ', ')}) <= " in (ROOT / "Makefile").read_text()
    assert f"< ({last},)" in (ROOT / "Makefile").read_text()


@pytest.mark.slow
def test_a_wheel_holds_the_experiments_and_the_types(tmp_path: Path) -> None:
    source = tmp_path / "source"
    shutil.copytree(ROOT / "app", source / "app", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source / name)
    pip = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--no-index", "-q", "-q"]
    subprocess.run([*pip, "--wheel-dir", str(tmp_path), str(source)], check=True)
    (wheel,) = tmp_path.glob("*.whl")
    held = set(zipfile.ZipFile(wheel).namelist())
    kept = [file for file in (ROOT / "app").rglob("*") if file.is_file() and "__pycache__" not in file.parts]
    assert {str(file.relative_to(ROOT)) for file in kept} == {name for name in held if name.startswith("app/")}
    assert "app/py.typed" in held
    assert any(re.fullmatch(r"app/tasks/digits/experiments/\w+\.yaml", name) for name in held)
    assert not [name for name in held if not name.startswith(("app/", "typed_lightning_app-"))]
