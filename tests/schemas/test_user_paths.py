import pickle
from pathlib import Path

import pytest

from app.schemas.user_paths import UnknownHomeError, user_path


def test_a_path_may_start_in_the_users_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))

    assert user_path("~/cells/train") == tmp_path / "cells" / "train"
    assert user_path("cells/~") == Path("cells/~")


def test_a_home_that_is_not_there_is_named() -> None:
    with pytest.raises(UnknownHomeError) as caught:
        user_path("~nobody-here/cells")

    message = "there is no home folder '~nobody-here' on this machine; './~nobody-here/cells' would be one called so"
    assert str(caught.value) == f"~nobody-here/cells: {message}"
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)
