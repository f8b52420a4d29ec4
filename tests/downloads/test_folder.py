from pathlib import Path

import pytest

from app.downloads.folder import data_folder
from app.schemas.problems import AppError


def test_without_a_folder_it_is_the_user_s_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    assert data_folder(None, "digits") == tmp_path / "typed-lightning-app" / "digits"


def test_a_folder_is_read_as_a_shell_would(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)

    assert data_folder("~/data", "digits") == data_folder("data", "digits") == tmp_path / "data"


def test_nobody_s_home_is_an_error_that_names_it() -> None:
    with pytest.raises(AppError, match="~no_such_user/data: there is no home folder '~no_such_user'"):
        data_folder("~no_such_user/data", "digits")
