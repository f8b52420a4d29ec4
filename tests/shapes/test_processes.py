"""The shape check from outside: a process without torch asks others, and outlives whatever happens to them."""

import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

from app.checks import shapes
from app.checks.formats import FORMATS
from app.checks.lint import Subject, lint
from app.checks.selection import all_experiments
from app.checks.shapes import shape_reports
from app.compose import compose, load_config, prepare
from app.experiments import experiment_at
from app.schemas.codes import Code

ROOT = Path(__file__).parents[2]
WRONG = sorted((ROOT / "tests/checks/wrong_shapes").glob("*.yaml"))


def test_every_experiment_of_the_project_passes() -> None:
    prepare()
    configs = {experiment.name: compose([], experiment).config for experiment in all_experiments()}
    # Weights are neither fetched nor read.
    configs["from weights"] = load_config(["module=digits/mlp", "load_checkpoint.base_ckpt_path=nowhere.ckpt"])

    reports = shape_reports(configs, processes=2)

    assert list(reports) == list(configs)
    assert {name: report.problems for name, report in reports.items()} == dict.fromkeys(configs, ())
    assert all(report.parameters and report.flops and report.bytes for report in reports.values())


def test_wrong_experiments_are_told_what_is_wrong_and_where(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    prepare()
    expected = "\n".join(file.with_suffix(".txt").read_text().rstrip() for file in WRONG)

    found = lint([Subject(experiment=experiment_at(file)) for file in WRONG], shapes=True).found

    assert len(WRONG) > 10
    assert FORMATS["text"](found).rstrip() == expected
    assert {each.file for each in found} == {str(file.relative_to(ROOT)) for file in WRONG}


def test_who_asks_imports_no_torch() -> None:
    code = """
        import sys
        from app.checks.shapes import report_text, shape_reports
        from app.compose import load_config
        print(report_text(shape_reports({"mlp": load_config(["module=digits/mlp"])}, processes=1)["mlp"]))
        assert not {"torch", "lightning", "torchmetrics"} & set(sys.modules)
    """
    printed = subprocess.run([sys.executable, "-c", dedent(code)], capture_output=True, text=True, check=True, cwd=ROOT)
    assert printed.stdout.startswith("26,122 parameters, all of them trained\n")


def test_a_config_that_ends_its_process_is_named_and_the_others_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    child = """
        import json, os, signal, sys
        for name in json.load(sys.stdin):
            print(json.dumps({"begun": name}), flush=True)
            if name == "crashes":
                os.kill(os.getpid(), signal.SIGSEGV)
            if name == "exits":
                sys.exit("ModuleNotFoundError: No module named 'mine'")
            from app.shapes.report import ShapeReport, to_json
            print(json.dumps({"name": name, "report": to_json(ShapeReport(parameters=len(name)))}), flush=True)
    """

    def process(errors: int) -> "subprocess.Popen[str]":
        pipe = subprocess.PIPE
        return subprocess.Popen(
            [sys.executable, "-c", dedent(child)], stdin=pipe, stdout=pipe, stderr=errors, text=True, cwd=ROOT
        )

    monkeypatch.setattr(shapes, "_process", process)
    config = load_config(["module=digits/mlp"])
    names = ("first", "crashes", "between", "exits", "last")

    reports = shape_reports(dict.fromkeys(names, config), processes=1)

    assert list(reports) == list(names)
    assert [reports[name].parameters for name in names] == [5, 0, 7, 0, 4]
    said = {name: problem.message for name, report in reports.items() for problem in report.problems}
    assert said == {
        "crashes": "a step on tensors without values crashes (SIGSEGV)",
        "exits": "a step on tensors without values ends the process with status 1:"
        " ModuleNotFoundError: No module named 'mine'",
    }
    assert {problem.code for report in reports.values() for problem in report.problems} == {Code.STEP_FAILS}


def test_what_is_left_out_of_the_imports_is_there_for_others() -> None:
    code = """
        import sys
        from app.shapes.quick_imports import quick_imports
        with quick_imports():
            import app.shapes.trial
        assert not {"matplotlib", "scipy"} & set(sys.modules)
        import matplotlib.pyplot, scipy.signal
        from torchmetrics.classification import MulticlassAccuracy
        print(scipy.signal.windows.hamming(3).sum() > 1, matplotlib.pyplot.figure is not None)
    """
    done = subprocess.run([sys.executable, "-c", dedent(code)], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout == "True True\n"
