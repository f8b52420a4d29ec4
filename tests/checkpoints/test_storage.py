import errno
import hashlib
import os
import pickle
import subprocess
from io import BytesIO
from pathlib import Path
from typing import Any

import fsspec  # type: ignore[import-untyped]  # it ships no types
import pytest
import torch

from app.checkpoints import storage
from app.checkpoints.manifest import entries_of
from app.checkpoints.opening import CheckpointError
from app.checkpoints.storage import AsyncVerifiedCheckpointIO, VerifiedCheckpointIO, load_checkpoint


def checkpoint(step: int = 3, **further: Any) -> dict[str, Any]:
    return {
        "state_dict": {"weight": torch.arange(50.0)},
        "epoch": 1,
        "global_step": step,
        "optimizer_states": [],
        "lr_schedulers": [],
        "loops": {"fit_loop": {}},
        **further,
    }


def save(file: Path | str, step: int = 3) -> None:
    VerifiedCheckpointIO().save_checkpoint(checkpoint(step), file)


def step_in(file: Path | str) -> int:
    step: int = load_checkpoint(str(file))["global_step"]
    return step


@pytest.fixture(params=["local", "remote"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return str(tmp_path) if request.param == "local" else f"memory://{tmp_path.name}-{os.getpid()}"


def test_what_is_saved_is_loaded_again(folder: str) -> None:
    save(f"{folder}/deep/a.ckpt", 7)

    loaded = VerifiedCheckpointIO().load_checkpoint(f"{folder}/deep/a.ckpt")

    assert torch.equal(loaded["state_dict"]["weight"], torch.arange(50.0))
    assert loaded["global_step"] == 7


def test_a_save_takes_the_place_of_the_one_before(folder: str) -> None:
    for step in (1, 2):
        save(f"{folder}/a.ckpt", step)

    assert step_in(f"{folder}/a.ckpt") == 2
    entries = entries_of(f"{folder}/a.ckpt")
    assert entries is not None
    assert [(entry.step, entry.epoch, entry.resumable) for entry in entries] == [(2, 1, True)]


def test_removing_leaves_nothing(folder: str) -> None:
    save(f"{folder}/a.ckpt")
    save(f"{folder}/b.ckpt")

    for _ in range(2):
        VerifiedCheckpointIO().remove_checkpoint(f"{folder}/a.ckpt")

    filesystem, path = fsspec.core.url_to_fs(folder)
    assert sorted(Path(name).name for name in filesystem.ls(path, detail=False)) == ["b.ckpt", "b.ckpt.sha256"]


@pytest.mark.parametrize("place", [0, 30, 400, -300, -1])
def test_a_single_flipped_bit_is_found(place: int, folder: str) -> None:
    save(f"{folder}/a.ckpt")
    filesystem, path = fsspec.core.url_to_fs(f"{folder}/a.ckpt")
    content = bytearray(filesystem.cat_file(path))
    content[place] ^= 1
    filesystem.pipe_file(path, bytes(content))

    with pytest.raises(CheckpointError, match=r"a\.ckpt: is damaged: its SHA-256 is not the one in its manifest"):
        load_checkpoint(f"{folder}/a.ckpt")


def test_coreutils_agree_with_the_manifest(tmp_path: Path) -> None:
    save(tmp_path / "a.ckpt")

    checked = subprocess.run(["sha256sum", "--check", "a.ckpt.sha256"], cwd=tmp_path, capture_output=True, text=True)

    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "a.ckpt: OK\n", "")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"no checkpoint", "is damaged, or no checkpoint: File is not a zip file"),
        (pickle.dumps({"state_dict": {}}), "is damaged, or no checkpoint: File is not a zip file"),
    ],
)
def test_a_file_that_is_no_checkpoint_is_named(content: bytes, message: str, tmp_path: Path) -> None:
    file = tmp_path / "a.ckpt"
    file.write_bytes(content)

    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(str(file))

    assert str(caught.value) == f"{file}: {message}"


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_a_truncated_file_is_named_without_a_manifest_too(share: float, tmp_path: Path) -> None:
    file = tmp_path / "a.ckpt"
    save(file)
    Path(f"{file}.sha256").unlink()
    content = file.read_bytes()
    file.write_bytes(content[: int(len(content) * share)])

    with pytest.raises(CheckpointError, match=r"a\.ckpt: is damaged, or no checkpoint: "):
        load_checkpoint(str(file))


def test_code_in_a_checkpoint_is_not_run(folder: str) -> None:
    class Runs:
        def __reduce__(self) -> tuple[Any, tuple[str, str]]:
            return os.putenv, ("HARM", "done")

    content = BytesIO()
    torch.save(checkpoint(harm=Runs()), content)
    filesystem, path = fsspec.core.url_to_fs(f"{folder}/a.ckpt")
    filesystem.pipe_file(path, content.getvalue())

    with pytest.raises(CheckpointError, match="is not a checkpoint of weights and plain values"):
        load_checkpoint(f"{folder}/a.ckpt")


def test_a_folder_and_a_missing_file_are_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="is a folder"):
        load_checkpoint(str(tmp_path))
    with pytest.raises(CheckpointError, match="no such file"):
        load_checkpoint(str(tmp_path / "a.ckpt"))


def test_weights_without_their_mapping_are_no_checkpoint(tmp_path: Path) -> None:
    torch.save([1, 2], tmp_path / "a.ckpt")
    torch.save({"weight": torch.ones(2)}, tmp_path / "b.ckpt")

    with pytest.raises(CheckpointError, match="it holds a list"):
        load_checkpoint(str(tmp_path / "a.ckpt"))
    with pytest.raises(CheckpointError, match="it holds no state_dict"):
        load_checkpoint(str(tmp_path / "b.ckpt"))


def test_a_full_disk_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path / "a.ckpt", 1)

    def full(*_: Any) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(storage._DigestWriter, "write", full)
    with pytest.raises(CheckpointError) as caught:
        save(tmp_path / "a.ckpt", 2)
    monkeypatch.undo()

    file = tmp_path / "a.ckpt"
    assert str(caught.value) == (
        f"{file}: could not be saved: No space left on device; what stood there before still does"
    )
    assert step_in(file) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.ckpt", "a.ckpt.sha256"]


def test_a_folder_that_cannot_be_made_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")

    with pytest.raises(CheckpointError, match=r"taken/a\.ckpt: could not be saved: "):
        save(tmp_path / "taken" / "a.ckpt")


def test_what_killed_saves_have_left_goes_at_the_next_save(tmp_path: Path) -> None:
    (tmp_path / ".a.ckpt.0123abcd.partial").write_bytes(b"half")
    with storage._partial_file(tmp_path / "b.ckpt") as (busy, _):
        save(tmp_path / "c.ckpt")

        assert sorted(path.name for path in tmp_path.iterdir()) == sorted([busy.name, "c.ckpt", "c.ckpt.sha256"])


def test_a_file_without_a_manifest_can_be_replaced(tmp_path: Path) -> None:
    torch.save(checkpoint(1), tmp_path / "a.ckpt")
    digest = hashlib.sha256((tmp_path / "a.ckpt").read_bytes()).hexdigest()

    assert storage._entries_before(tmp_path / "a.ckpt")[0].digest == digest
    save(tmp_path / "a.ckpt", 2)

    assert step_in(tmp_path / "a.ckpt") == 2


def test_a_link_is_replaced_and_what_it_stood_for_is_not(tmp_path: Path) -> None:
    save(tmp_path / "a.ckpt", 1)
    (tmp_path / "last.ckpt").symlink_to("a.ckpt")
    assert step_in(tmp_path / "last.ckpt") == 1

    save(tmp_path / "last.ckpt", 2)

    assert (step_in(tmp_path / "a.ckpt"), step_in(tmp_path / "last.ckpt")) == (1, 2)


def test_saves_on_a_thread_come_before_the_removals_they_make_possible(tmp_path: Path) -> None:
    plugin = AsyncVerifiedCheckpointIO()
    for step in range(1, 6):
        plugin.save_checkpoint(checkpoint(step), tmp_path / f"{step}.ckpt")
        plugin.remove_checkpoint(tmp_path / f"{step - 1}.ckpt")
    plugin.teardown()

    assert sorted(path.name for path in tmp_path.iterdir()) == ["5.ckpt", "5.ckpt.sha256"]
    assert step_in(tmp_path / "5.ckpt") == 5


def test_a_save_that_fails_on_a_thread_removes_nothing_and_is_told(tmp_path: Path) -> None:
    plugin = AsyncVerifiedCheckpointIO()
    plugin.save_checkpoint(checkpoint(1), tmp_path / "1.ckpt")
    (tmp_path / "taken").write_text("a file")
    plugin.save_checkpoint(checkpoint(2), tmp_path / "taken" / "2.ckpt")
    plugin.remove_checkpoint(tmp_path / "1.ckpt")

    with pytest.raises(CheckpointError, match=r"2\.ckpt"):
        plugin.teardown()

    assert step_in(tmp_path / "1.ckpt") == 1


def test_an_address_that_cannot_be_written_is_an_error_that_names_it() -> None:
    for address, message in (
        (
            "nosuch://user:hunter2@a/b.ckpt",
            r"^nosuch://\*{8}@a/b\.ckpt: could not be %s: ValueError: Protocol not known",
        ),
        ("simplecache::memory://a/b.ckpt", r"^simplecache::memory://a/b\.ckpt: expected one address"),
    ):
        with pytest.raises(CheckpointError, match=message.replace("%s", "saved")):
            save(address)
        with pytest.raises(CheckpointError, match=message.replace("%s", "removed")):
            VerifiedCheckpointIO().remove_checkpoint(address)


def test_a_local_name_is_never_taken_for_a_chain(tmp_path: Path) -> None:
    file = tmp_path / "memory::a" / "b.ckpt"
    save(file)
    assert step_in(file) == 3

    VerifiedCheckpointIO().remove_checkpoint(file)

    assert list(file.parent.iterdir()) == []
