import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import torch

from app.checkpoints.finding import find_checkpoint
from app.checkpoints.manifest import Entry, manifest_of, written
from app.checkpoints.opening import CheckpointError
from app.checkpoints.storage import VerifiedCheckpointIO
from tests.checkpoints.lightning_parts import trained
from tests.checkpoints.test_storage import checkpoint, save


def found_in(folder: Path | str) -> tuple[str, list[str]]:
    found = find_checkpoint(str(folder))
    return Path(found.path).name, [f"{Path(error.path).name} {error.message}" for error in found.skipped]


def test_a_file_is_found_as_itself(tmp_path: Path) -> None:
    save(tmp_path / "a.ckpt", 5)

    found = find_checkpoint(str(tmp_path / "a.ckpt"))

    assert (found.path, found.step, found.epoch, found.skipped) == (str(tmp_path / "a.ckpt"), 5, 1, ())


def test_the_furthest_one_is_found_whatever_the_times_of_the_files(tmp_path: Path) -> None:
    for step in (9, 20, 3):
        save(tmp_path / "checkpoints" / f"{step}.ckpt", step)
        os.utime(tmp_path / "checkpoints" / f"{step}.ckpt", (1000 - step, 1000 - step))

    assert found_in(tmp_path) == found_in(tmp_path / "checkpoints") == ("20.ckpt", [])


def test_of_two_at_one_step_the_later_is_found(tmp_path: Path) -> None:
    for name in ("a", "c", "b"):
        save(tmp_path / f"{name}.ckpt")

    assert found_in(tmp_path)[0] == "b.ckpt"


def test_damaged_ones_are_skipped_with_the_reason(tmp_path: Path) -> None:
    for step in range(1, 6):
        save(tmp_path / f"{step}.ckpt", step)
    (tmp_path / "5.ckpt").write_bytes((tmp_path / "5.ckpt").read_bytes()[:-1])
    (tmp_path / "4.ckpt").write_bytes(b"")
    Path(manifest_of(str(tmp_path / "3.ckpt"))).write_text("nothing")
    VerifiedCheckpointIO().save_checkpoint({"state_dict": {}, "epoch": 9, "global_step": 9}, tmp_path / "weights.ckpt")
    (tmp_path / "gone.ckpt").symlink_to("removed.ckpt")

    assert found_in(tmp_path) == (
        "2.ckpt",
        [
            "3.ckpt its manifest 3.ckpt.sha256 is damaged",
            "gone.ckpt no such file",
            "weights.ckpt holds the weights alone, from which no run can go on; load_checkpoint takes them",
            "5.ckpt is damaged: its SHA-256 is not the one in its manifest",
            "4.ckpt is empty",
        ],
    )


def test_a_save_that_was_cut_short_counts_as_what_is_there(tmp_path: Path) -> None:
    save(tmp_path / "last.ckpt", 1)
    old = (tmp_path / "last.ckpt").read_bytes()
    old_manifest = Path(manifest_of(str(tmp_path / "last.ckpt"))).read_text()
    save(tmp_path / "last.ckpt", 8)
    manifest = Path(manifest_of(str(tmp_path / "last.ckpt")))
    manifest.write_text(old_manifest + manifest.read_text())
    (tmp_path / "last.ckpt").write_bytes(old)
    save(tmp_path / "5.ckpt", 5)

    found = find_checkpoint(str(tmp_path))

    assert (Path(found.path).name, found.step, found.skipped) == ("5.ckpt", 5, ())


def test_files_of_other_programs_are_found_too(tmp_path: Path) -> None:
    torch.save(checkpoint(4), tmp_path / "a.ckpt")
    torch.save(checkpoint(6), tmp_path / "b.ckpt")
    content = bytearray((tmp_path / "b.ckpt").read_bytes())
    content[content.index(torch.arange(50.0).numpy().tobytes()) + 100] ^= 1
    (tmp_path / "b.ckpt").write_bytes(content)

    name, skipped = found_in(tmp_path)

    assert name == "a.ckpt"
    assert len(skipped) == 1
    assert skipped[0].startswith("b.ckpt is damaged")


def test_a_link_to_another_of_the_files_is_no_second_one(tmp_path: Path) -> None:
    save(tmp_path / "a.ckpt")
    (tmp_path / "last.ckpt").symlink_to("a.ckpt")

    assert found_in(tmp_path) == ("a.ckpt", [])


def test_other_places_than_this_machine_can_be_searched() -> None:
    folder = f"memory://{os.getpid()}-found"
    for step in (1, 2):
        save(f"{folder}/checkpoints/{step}.ckpt", step)

    found = find_checkpoint(folder)

    assert found.path.startswith("memory://")
    assert found.path.endswith("/checkpoints/2.ckpt")
    assert VerifiedCheckpointIO().load_checkpoint(found.path)["global_step"] == 2


def test_a_folder_without_any_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        CheckpointError, match=r"is a folder without a checkpoint: no \*\.ckpt in it, or in checkpoints/$"
    ):
        find_checkpoint(str(tmp_path))


def test_a_folder_of_damaged_ones_is_refused_with_each_reason(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.ckpt").write_bytes(b"")

    with pytest.raises(CheckpointError, match=r"no checkpoint that a run can go on from: a\.ckpt .*; b\.ckpt "):
        find_checkpoint(str(tmp_path))


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    save(tmp_path / "a.ckpt")
    (tmp_path / "a.ckpt").write_bytes(b"x")

    with pytest.raises(CheckpointError, match=r"a\.ckpt: is damaged"):
        find_checkpoint(str(tmp_path / "a.ckpt"))


def test_finding_needs_no_torch(tmp_path: Path) -> None:
    save(tmp_path / "a.ckpt")
    shutil.copy(tmp_path / "a.ckpt", tmp_path / "b.ckpt")
    code = (
        "import sys; from app.checkpoints.finding import find_checkpoint;"
        f"print(find_checkpoint({str(tmp_path)!r}).step, 'torch' in sys.modules)"
    )

    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "3 False\n"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What Lightning saves, read again."""
    file = trained(tmp_path_factory.mktemp("whole"))[1]
    assert find_checkpoint(str(file)).step == 2
    return dict(torch.load(file, weights_only=True))


BATCHES = "epoch_loop.batch_progress"


@pytest.mark.parametrize(
    ("place", "instead", "message"),
    [
        (("loops",), None, r"loops\.fit_loop should be a mapping"),
        (("loops",), {"fit_loop": None}, r"loops\.fit_loop should be a mapping"),
        (("loops", "fit_loop", BATCHES), [], f"{BATCHES}/total should count ready, started"),
        (("loops", "fit_loop", BATCHES, "current", "ready"), "3", f"{BATCHES}/current should count"),
        (("loops", "fit_loop", BATCHES, "is_last_batch"), 1, "in is_last_batch whether"),
        (("loops", "fit_loop", "epoch_progress"), 3, "epoch_progress/total should count"),
        (("loops", "fit_loop", "epoch_loop.state_dict"), {}, "_batches_that_stepped"),
        (("state_dict",), {3: torch.ones(1)}, "should have texts for names, not 3"),
        (("state_dict", "model.weight"), "none", r"should have a tensor under model\.weight"),
        (("state_dict",), [], "state_dict should be a mapping"),
        (("optimizer_states",), {}, "optimizer_states should be a list"),
        (("optimizer_states",), [{"state": 3}], r"optimizer_states\[0\] should hold"),
        (("lr_schedulers",), None, "lr_schedulers should be a list"),
        (("callbacks",), 3, "callbacks should be a mapping"),
        (("exact_resume",), {"moment": "batch_end"}, "exact_resume should hold moment, should_stop"),
        (("epoch",), "1", "epoch should be a number"),
        (("global_step",), -1, "global_step should be a number"),
    ],
)
@pytest.mark.parametrize("has_manifest", [True, False])
def test_a_file_without_a_whole_state_is_refused_by_name(
    whole: dict[str, Any], place: tuple[str, ...], instead: object, message: str, has_manifest: bool, tmp_path: Path
) -> None:
    content = deepcopy(whole)
    *around, last = place
    part: Any = content
    for key in around:
        part = part[key]
    part[last] = instead
    file = tmp_path / "a.ckpt"
    torch.save(content, file)
    if has_manifest:
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        Path(manifest_of(str(file))).write_text(
            written([Entry(step=2, epoch=1, saved="now", digest=digest)], file.name)
        )
    elif place == ("epoch",):
        message = "says neither its epoch nor its step"

    with pytest.raises(CheckpointError, match=rf"a\.ckpt: .*{message}"):
        find_checkpoint(str(file))


def test_a_file_without_a_whole_state_is_passed_over_in_a_folder(whole: dict[str, Any], tmp_path: Path) -> None:
    VerifiedCheckpointIO().save_checkpoint(whole, tmp_path / "good.ckpt")
    VerifiedCheckpointIO().save_checkpoint({**whole, "global_step": 9, "loops": 3}, tmp_path / "bad.ckpt")

    name, skipped = found_in(tmp_path)

    assert name == "good.ckpt"
    assert len(skipped) == 1
    assert skipped[0].startswith("bad.ckpt holds no state that a run can go on from: loops.fit_loop")


@contextmanager
def refusing() -> Iterator[tuple[str, list[str]]]:
    """A server that answers every request with 403, and what it was asked for."""
    asked: list[str] = []

    class Refusing(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(403)

        def do_HEAD(self) -> None:
            self.do_GET()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Refusing) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_port}", asked
        finally:
            server.shutdown()
            thread.join()


def test_a_chain_of_addresses_is_refused_before_anything_is_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with refusing() as (server, asked):
        with pytest.raises(CheckpointError, match="expected one address, found a chain"):
            find_checkpoint(f"reference://::http://{server}/list.json")
        assert asked == []


def test_an_address_that_refuses_is_an_error_that_keeps_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with refusing() as (server, asked):
        with pytest.raises(CheckpointError) as caught:
            find_checkpoint(f"http://user:hunter2@{server}/a.ckpt")
        assert asked
    assert str(caught.value).startswith(f"http://********@{server}/a.ckpt: cannot be fetched: ")
    assert "hunter2" not in f"{caught.value}{caught.value.path}{caught.value.args}"


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("nosuch://a/b.ckpt", "cannot be fetched: ValueError: Protocol not known: nosuch"),
        ("http://127.0.0.1:1/a.ckpt", "cannot be fetched: ConnectionRefusedError"),
        ("s3://127.0.0.1/no-such-bucket/a.ckpt", "cannot be fetched: "),
    ],
)
def test_an_address_that_cannot_be_reached_is_named(
    address: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setitem(sys.modules, "s3fs", None)

    with pytest.raises(CheckpointError, match=rf"^{address}: {message}"):
        find_checkpoint(address)
