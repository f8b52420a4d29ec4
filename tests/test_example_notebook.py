from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).parent.parent / "examples" / "digits.ipynb"


@pytest.mark.slow
def test_the_notebook_runs_from_top_to_bottom(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a kernel of its own, whose folder is the test's, so that its run leaves nothing elsewhere."""
    monkeypatch.setenv("PYTHONPATH", str(NOTEBOOK.parents[1]))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    notebook = read(NOTEBOOK)

    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()

    shown = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    texts = "\n".join(output.get("text", "") or output.get("data", {}).get("text/plain", "") for output in shown)
    assert "TrainerConfig.max_epochs: expected a whole number of at least -1, found 'many'" in texts
    assert "optimizer_spec.lerning_rate: AdamWSpec has no such field; did you mean 'lr'?" in texts
    assert any("image/png" in output.get("data", {}) for output in shown)


def read(path: Path) -> Any:
    return nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]  # nbformat leaves it untyped


def test_the_notebook_is_kept_without_what_it_printed() -> None:
    cells = read(NOTEBOOK).cells
    assert [cell for cell in cells if cell.get("outputs") or cell.get("execution_count")] == []
