"""The shape check from outside: a process without torch asks others, and outlives whatever happens to them."""

import pickle
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent
from typing import IO, Final

import pytest

from app.checks import shapes
from app.checks.formats import as_text
from app.checks.lint import Subject, lint
from app.checks.selection import all_experiments
from app.checks.shapes import shape_reports
from app.compose import compose, load_config
from app.composing.experiments import experiment_at
from app.composing.with_hydra import register_all
from app.schemas.codes import Code
from app.schemas.plain import to_plain
from app.schemas.problems import AppError, ConfigError
from app.schemas.registry import groups, options
from app.schemas.run import RunConfig
from app.tasks import import_task_configs

ROOT = Path(__file__).parents[2]
WRONG = sorted((ROOT / "tests/checks/wrong_shapes").glob("*.yaml"))
CHECK_ONE: Final = """
    from app.checks.shapes import shape_reports
    from app.compose import load_config
    from app.schemas.problems import AppError
    try:
        print(shape_reports({"mlp": load_config(["module=mlp"])}, processes=1)["mlp"].problems)
    except AppError as error:
        print("AppError:", error)
"""


def test_every_experiment_of_the_project_passes() -> None:
    import_task_configs()
    configs = {experiment.name: compose([], experiment).config for experiment in all_experiments()}
    # Weights are neither fetched nor read.
    configs["from weights"] = load_config(["module=mlp", "load_checkpoint.base_ckpt_path=nowhere.ckpt"])

    reports = shape_reports(configs, processes=2)

    assert list(reports) == list(configs)
    assert {name: report.problems for name, report in reports.items()} == dict.fromkeys(configs, ())
    assert all(report.parameters and report.flops and report.bytes for report in reports.values())


def test_wrong_experiments_are_told_what_is_wrong_and_where(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    import_task_configs()
    expected = "\n".join(file.with_suffix(".txt").read_text().rstrip() for file in WRONG)

    found = lint([Subject(experiment=experiment_at(file)) for file in WRONG], shapes=True).found

    assert len(WRONG) > 10
    assert as_text(found).rstrip() == expected
    assert {each.file for each in found} == {str(file.relative_to(ROOT)) for file in WRONG}


def test_every_option_that_a_run_takes_is_tried() -> None:
    prepared = dict(every_option())

    reports = shape_reports(prepared, processes=2)

    said = {name: [problem.code for problem in report.problems] for name, report in reports.items() if report.problems}
    assert len(prepared) > 70
    # Their parameters have shapes that the module's have not.
    assert said == {"optimizer_spec=muon": [Code.UNTRAINED], "optimizer_spec=sparse_adam": [Code.UNTRAINED]}
    assert all(report.flops for name, report in reports.items() if name not in said)


def every_option() -> Iterator[tuple[str, RunConfig]]:
    """A config with each option of the task that a run would take as it stands; several losses or metrics in one."""
    register_all()
    for group, named in options.items():
        taken = [name for name in named if taken_config(group, name) is not None]
        together = group in ("loss", "metrics")
        for chosen in [",".join(taken)] if together else taken:
            config = taken_config(group, chosen)
            assert config is not None, (group, chosen)
            yield f"{group}={chosen}", config


def taken_config(group: str, chosen: str) -> RunConfig | None:
    words = [f"{group}=[{chosen}]" if groups[group].several else f"{group}={chosen}"]
    if group != "module":
        words += ["module=parts" if groups[group].mount.startswith("module.") else "module=mlp"]
    try:
        return load_config(words)
    except ConfigError:
        return None


def test_mappings_keep_their_keys() -> None:
    words = ["module=mlp", "callbacks=[gradient_accumulation]"]
    config = load_config([*words, "callbacks.gradient_accumulation.scheduling={0: 1, 4: 2}"])

    (report,) = shape_reports({"numbers": config}, processes=1).values()

    assert report.problems == ()


def test_who_asks_imports_no_torch() -> None:
    code = """
        import sys
        from app.checks.shapes import shape_reports
        from app.compose import load_config
        from app.shapes.report import report_text
        print(report_text(shape_reports({"mlp": load_config(["module=mlp"])}, processes=1)["mlp"]))
        assert not {"torch", "lightning", "torchmetrics"} & set(sys.modules)
    """
    printed = subprocess.run([sys.executable, "-c", dedent(code)], capture_output=True, text=True, check=True, cwd=ROOT)
    assert printed.stdout.startswith("26,122 parameters, all of them trained\n")


def answered_by(child: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have another process than the real one asked."""

    def process(configs: IO[bytes], errors: IO[str]) -> "subprocess.Popen[str]":
        code = [sys.executable, "-c", dedent(child)]
        return subprocess.Popen(code, stdin=configs, stdout=subprocess.PIPE, stderr=errors, text=True, cwd=ROOT)

    monkeypatch.setattr(shapes, "_process", process)


def test_a_config_that_ends_its_process_is_named_and_the_others_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    child = """
        import json, os, pickle, signal, sys
        for name in pickle.load(sys.stdin.buffer):
            print(json.dumps({"begun": name}), flush=True)
            if name == "crashes":
                os.kill(os.getpid(), signal.SIGSEGV)
            if name == "never ends":
                signal.setitimer(signal.ITIMER_REAL, 0.01)
                while True:
                    pass
            if name == "exits":
                sys.exit("ModuleNotFoundError: No module named 'mine'")
            from app.shapes.report import ShapeReport, to_json
            print(json.dumps({"name": name, "report": to_json(ShapeReport(parameters=len(name)))}), flush=True)
    """

    answered_by(child, monkeypatch)
    config = load_config(["module=mlp"])
    names = ("first", "crashes", "between", "never ends", "exits", "last")

    reports = shape_reports(dict.fromkeys(names, config), processes=1)

    assert list(reports) == list(names)
    assert [reports[name].parameters for name in names] == [5, 0, 7, 0, 0, 4]
    said = {name: problem.message for name, report in reports.items() for problem in report.problems}
    assert said == {
        "crashes": "a step on tensors without values crashes (SIGSEGV)",
        "never ends": "a step on tensors without values takes longer than 30 seconds, and is not waited for",
        "exits": "a step on tensors without values ends the process with status 1:"
        " ModuleNotFoundError: No module named 'mine'",
    }
    assert {problem.code for report in reports.values() for problem in report.problems} == {Code.STEP_FAILS}


def test_a_process_that_ends_before_it_reads_is_no_finding_about_a_config(monkeypatch: pytest.MonkeyPatch) -> None:
    answered_by("raise SystemExit('no torch here')", monkeypatch)
    config = load_config(["module=mlp"])
    configs = {str(number): config for number in range(250)}
    assert len(pickle.dumps([to_plain(config) for _ in configs])) > 2**17, "more than a pipe holds"

    with pytest.raises(AppError) as raised:
        shape_reports(configs, processes=2)

    assert str(raised.value) == (
        "shapes cannot be checked: the start of the check ends the process with status 1: no torch here"
    )


@pytest.mark.parametrize(
    ("kilobytes", "expected"),
    [
        (4_000_000, "()"),
        pytest.param(
            100_000,
            "AppError: shapes cannot be checked: the start of the check ",
            marks=pytest.mark.skipif(sys.platform != "linux", reason="others hold no process to its limit"),
        ),
    ],
)
def test_a_limit_of_memory_is_kept(kilobytes: int, expected: str) -> None:
    limited = ["bash", "-c", f'ulimit -d {kilobytes}; exec "$@"', "limited"]
    done = subprocess.run(
        [*limited, sys.executable, "-c", dedent(CHECK_ONE)], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout.startswith(expected)


def test_a_system_that_limits_no_memory_is_told() -> None:
    missing = "import signal, sys\ndel signal.SIGALRM, signal.SIGKILL\nsys.modules['resource'] = None\n"
    done = subprocess.run(
        [sys.executable, "-c", missing + dedent(CHECK_ONE)], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout == (
        "AppError: the check of shapes needs Linux or macOS, where the memory of a process can be limited\n"
    )


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
