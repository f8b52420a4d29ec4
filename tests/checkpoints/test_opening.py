import pickle
from pathlib import Path

import pytest

from app.checkpoints.manifest import entries_of
from app.checkpoints.opening import CheckpointError, MissingCheckpointError, located, without_user_info


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://user:pass@host/a@b.ckpt", "https://********@host/a@b.ckpt"),
        ("x=ftp://user@host, y=s3://key:se@cret@bucket/b", "x=ftp://********@host, y=s3://********@bucket/b"),
        ("https://host/a@b.ckpt?c=d@e", "https://host/a@b.ckpt?c=d@e"),
        ("runs/a@b.ckpt", "runs/a@b.ckpt"),
    ],
)
def test_what_an_address_logs_in_with_is_masked(text: str, shown: str) -> None:
    assert without_user_info(text) == without_user_info(shown) == shown


def test_an_error_has_no_password_in_it_even_when_pickled() -> None:
    error = CheckpointError("https://user:hunter2@host/a", "GET https://user:hunter2@host/a")
    assert b"hunter2" not in pickle.dumps(error)
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_an_error_of_a_file_system_names_the_address() -> None:
    with (
        pytest.raises(CheckpointError, match=r"^memory://a: could not be saved: PermissionError: no$"),
        located("memory://a", failing="could not be saved"),
    ):
        raise PermissionError("no")


@pytest.mark.parametrize("cause", [KeyError("a"), ConnectionRefusedError("a")])
def test_a_file_system_is_believed_that_says_there_is_no_such_file(cause: Exception) -> None:
    """Some look elsewhere first, or translate what their server says."""
    with pytest.raises(MissingCheckpointError, match=r"^memory://a: no such file$"), located("memory://a"):
        raise FileNotFoundError("a") from cause


def test_a_web_server_that_does_not_answer_does_not_say_that_there_is_no_file() -> None:
    with pytest.raises(CheckpointError, match=r": cannot be fetched: ConnectionRefused"), located("http://127.0.0.1/a"):
        raise FileNotFoundError("a") from ConnectionRefusedError("a")


def test_a_manifest_that_cannot_be_read_is_an_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "a.ckpt.sha256").mkdir()
    with pytest.raises(CheckpointError, match=r"a\.ckpt\.sha256: cannot be read: "):
        entries_of(str(tmp_path / "a.ckpt"))
    with pytest.raises(CheckpointError, match=r"^nosuch://b\.sha256: cannot be fetched: "):
        entries_of("nosuch://b")
