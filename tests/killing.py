"""Kills a real training at every file operation of its saves, and looks at what each resume makes of what is left.

Run as a program, in a process with one thread: each training is a fork of it, which costs no imports. It prints one
line of JSON: how many operations there were, and what was wrong.
"""

import json
import os
import signal
import sys
import tempfile
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.callbacks import ModelCheckpoint

from app.checkpoints import storage
from app.checkpoints.finding import find_checkpoint
from app.checkpoints.opening import CheckpointError
from app.checkpoints.storage import AsyncVerifiedCheckpointIO, VerifiedCheckpointIO
from tests.test_resume import differences, outcome, run

EVENTS = {"open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.symlink", "os.link", "shutil.copyfile"}

WRITES = 50
"""Of so many writes one counts: where exactly a file is torn makes no difference."""

KINDS: dict[str, dict[str, Any]] = {
    "best and last": {"saves": {"monitor": "val/loss", "save_last": True}},
    "last is a link": {"saves": {"monitor": "val/loss", "save_last": "link"}},
    "within epochs": {"saves": {"every_n_train_steps": 2, "save_last": True, "save_top_k": 1}},
    "on a thread": {"saves": {"every_n_train_steps": 3, "save_last": True}, "plugin": AsyncVerifiedCheckpointIO},
}


class FileOperations:
    """Counts what changes the files of a folder, and kills the process at one of them."""

    def __init__(self, folder: Path, fatal: int | None, journal: Path) -> None:
        self.folder, self.fatal, self.journal = str(folder), fatal, journal
        self.count = self.writes = 0
        self.is_counting = True
        sys.addaudithook(self._audit)
        self._wrap(os, "fsync")
        self._wrap(storage._DigestWriter, "write")
        self._wrap(VerifiedCheckpointIO, "save_checkpoint", is_save=True)

    def _audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.is_counting or event not in EVENTS or not str(arguments[0]).startswith(self.folder):
            return
        if event == "open" and isinstance(arguments[1], str) and "r" in arguments[1]:
            return
        self._operation(lambda: None)

    def _wrap(self, owner: Any, name: str, *, is_save: bool = False) -> None:
        wrapped = getattr(owner, name)

        def counted(*arguments: Any, **named: Any) -> Any:
            if name == "write":
                self.writes += 1
                if self.writes % WRITES == 1:
                    writer, content = arguments
                    self._operation(partial(self._write_half, writer, bytes(content)))
            elif not is_save:
                self._operation(lambda: None)
            result = wrapped(*arguments, **named)
            if is_save:
                self._note(arguments[1]["global_step"])
            return result

        setattr(owner, name, counted)

    def _operation(self, before_death: Callable[[], None]) -> None:
        self.count += 1
        if self.count == self.fatal:
            self.is_counting = False
            before_death()
            os.kill(os.getpid(), signal.SIGKILL)

    @staticmethod
    def _write_half(writer: Any, content: bytes) -> None:
        writer._file.write(content[: len(content) // 2])
        writer._file.flush()

    def _note(self, step: int) -> None:
        """What is saved by now, for whoever looks at it after this process."""
        self.is_counting = False
        with self.journal.open("a") as journal:
            journal.write(f"{step}\n")
        self.is_counting = True


def train(kind: dict[str, Any], folder: Path, ckpt_path: Path | None = None) -> dict[str, Any]:
    """A training, from its start or from a checkpoint: what it ends with."""
    saves = ModelCheckpoint(folder / "checkpoints", "{epoch}-{step}", **kind["saves"])
    variation = {
        "scheduler": "cosine/step",
        "trainer": {
            "max_epochs": 2,
            "accumulate_grad_batches": 2,
            "plugins": [kind.get("plugin", VerifiedCheckpointIO)()],
        },
    }
    return outcome(run(folder, variation, [saves], ckpt_path))


def in_a_fork(work: Callable[[], Any], result: Path) -> int:
    """Do some work in a child process; its result goes to a file. Returns the status the child ended with."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            torch.save(work(), result)
            status = 0
        finally:
            os._exit(status)
    return os.waitpid(child, 0)[1]


def killed(kind: dict[str, Any], expected: dict[str, Any], fatal: int, place: Path) -> list[str] | None:
    """What is wrong after a training was killed at an operation; None when the training ended before it."""
    folder, journal, result = place / "run", place / "journal", place / "result"

    def work() -> int:
        operations = FileOperations(folder, fatal, journal)
        train(kind, folder)
        return operations.count

    status = in_a_fork(work, result)
    if status == 0:
        return None
    if status != signal.SIGKILL:
        return [f"the training ended with {status}"]
    saved = [int(line) for line in journal.read_text().split()] if journal.exists() else []
    start: Path | None = None
    wrong: list[str] = []
    try:
        found = find_checkpoint(str(folder))
    except CheckpointError as error:
        if saved or not _is_missing(error):
            wrong.append(str(error))
    else:
        start = Path(found.path)
        wrong += [f"skipped {error}" for error in found.skipped if "no such file" not in error.message]
        if found.step < max(saved, default=0):
            wrong.append(f"step {max(saved)} was saved, and {found.step} is found")
    status = in_a_fork(lambda: differences(expected, train(kind, place / "resumed", start)), result)
    return wrong + (torch.load(result) if status == 0 else [f"the resumed training ended with {status}"])


def _is_missing(error: CheckpointError) -> bool:
    return "without a checkpoint" in error.message or "no such file" in error.message


def main(name: str, stride: int) -> None:
    """Kill at every `stride`-th operation of one kind of run."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    kind = KINDS[name]
    wrong: dict[int, list[str]] = {}
    with tempfile.TemporaryDirectory() as folder:
        expected_file = Path(folder) / "expected"
        assert in_a_fork(lambda: train(kind, Path(folder) / "whole"), expected_file) == 0
        expected = torch.load(expected_file)
        fatal = 1
        while (problems := killed(kind, expected, fatal, _new(Path(folder) / str(fatal)))) is not None:
            if problems:
                wrong[fatal] = problems
            fatal += stride
    sys.stdout.write(json.dumps({"operations": fatal - 1, "wrong": wrong}) + "\n")


def _new(folder: Path) -> Path:
    folder.mkdir()
    return folder


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
