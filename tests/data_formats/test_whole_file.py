from pathlib import Path

import pytest

from app.data_formats.whole_file import partial_file, write_whole


def test_a_file_is_put_in_its_place_with_the_folders_around_it(tmp_path: Path) -> None:
    file = tmp_path / "made" / "here.txt"
    write_whole(file, b"first")
    write_whole(file, b"second")

    assert file.read_bytes() == b"second"
    assert [path.name for path in file.parent.iterdir()] == ["here.txt"]


def test_what_was_there_stays_until_the_new_one_is_complete_and_when_it_never_is(tmp_path: Path) -> None:
    file = tmp_path / "here.txt"
    file.write_bytes(b"before")

    def fail() -> None:
        with partial_file(file, b"after") as partial:
            assert (partial.read_bytes(), file.read_bytes()) == (b"after", b"before")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()

    assert file.read_bytes() == b"before"
    assert [path.name for path in tmp_path.iterdir()] == ["here.txt"]
