"""The container file names what is there; building it needs a base image, and so the network."""

import re
import subprocess
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LINES = (ROOT / "Containerfile").read_text(encoding="utf-8").splitlines()


def test_what_is_copied_is_there_and_sent_to_the_builder() -> None:
    copied = [name for line in LINES if line.startswith("COPY ") for name in line.split()[1:-1]]
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    sent = [pattern.removeprefix("!") for pattern in ignored if pattern.startswith("!")]

    assert sorted(copied) == sorted(sent)
    assert all((ROOT / name).exists() for name in copied)
    assert not (ROOT / ".containerignore").exists(), "podman would read it, and docker the other"


def test_the_package_needs_nothing_else_of_the_source() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    copied = " ".join(line for line in LINES if line.startswith("COPY "))

    assert [name for name in (project["project"]["readme"], *project["project"]["license-files"]) if name in copied]
    packages = project["tool"]["setuptools"]["packages"]["find"]["include"]
    assert all(fnmatch("app", pattern) for pattern in packages)


@pytest.mark.parametrize(("extras", "installed"), [("", "."), ("onnx", ".[onnx]"), ("onnx,parquet", ".[onnx,parquet]")])
def test_extras_are_installed_on_request(extras: str, installed: str) -> None:
    extra = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    [line] = [line for line in LINES if line.startswith("RUN pip install") and "EXTRAS" in line]
    assert 'ARG EXTRAS=""' in LINES[: LINES.index(line)]

    shown = f'pip() {{ echo $#: "$@"; }}; {line.removeprefix("RUN ")}'
    done = subprocess.run(["sh", "-c", shown], env={"EXTRAS": extras}, capture_output=True, text=True, check=True)

    assert {*filter(None, extras.split(","))} <= extra.keys()
    assert done.stdout.splitlines()[-1] == f"5: install -c constraints.txt --no-build-isolation {installed}"


def test_whoever_it_is_run_as_can_write_where_it_writes() -> None:
    [line] = [line for line in LINES if "chmod" in line]
    writable = line.partition("chmod 1777 ")[2].split()
    settings = dict(each.split("=", 1) for line in LINES if line.startswith("ENV ") for each in line.split()[1:])

    assert {settings["HOME"], settings["XDG_CACHE_HOME"]} <= {*writable}
    assert settings["USER"], "of a user that is not known there, Python finds no name elsewhere"
    assert {"/work", "/work/runs"} <= {*writable}
    mounted = [folder for line in LINES if line.startswith("#") for folder in re.findall(r"-v [^:]+:([\w/]+)", line)]
    assert mounted
    assert {*mounted} <= {*writable}


def test_it_starts_the_program_with_a_python_that_is_supported() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    [version] = re.findall(r"^FROM python:3\.(\d+)-slim$", "\n".join(LINES), re.M)

    assert 11 <= int(version) <= 13
    assert project["requires-python"] == ">=3.11.4,<3.14"
    [command] = [line for line in LINES if line.startswith("ENTRYPOINT ")]
    assert command == f'ENTRYPOINT ["{next(iter(project["scripts"]))}"]'
