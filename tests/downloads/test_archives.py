import io
import random
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.data_formats.errors import DataFileError
from app.downloads.archives import extract_folder


def archive(file: Path, *members: tarfile.TarInfo, mode: str = "w:gz") -> Path:
    with tarfile.open(file, mode) as tar:  # type: ignore[call-overload]  # the mode is not a literal
        for member in members:
            content = b"content" if member.isreg() else b""
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return file


def entry(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, link
    return member


@pytest.mark.parametrize("mode", ["w:gz", "w:bz2", "w:xz", "w"])
def test_the_folder_is_there_with_all_that_is_in_it(tmp_path: Path, mode: str) -> None:
    packed = archive(tmp_path / "a.tar", entry("data", tarfile.DIRTYPE), entry("data/deep/one.bin"), mode=mode)

    extract_folder(packed, tmp_path / "data")

    assert (tmp_path / "data" / "deep" / "one.bin").read_bytes() == b"content"
    assert sorted(path.name for path in tmp_path.iterdir() if path.name[0] != ".") == ["a.tar", "data"]


def test_a_folder_that_is_there_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()

    extract_folder(tmp_path / "missing.tar", tmp_path / "data")

    assert not list((tmp_path / "data").iterdir())


@pytest.mark.parametrize(
    ("member", "found"),
    [
        (entry("data/../../evil"), "a path outside"),
        (entry("/data/evil"), "a path outside"),
        (entry("other/file"), "a path outside"),
        (entry("data-2/file"), "a path outside"),
        (entry("data/link", tarfile.SYMTYPE, "one.bin"), "a link or device"),
        (entry("data/link", tarfile.SYMTYPE, "/etc/passwd"), "a link or device"),
        (entry("data/link", tarfile.LNKTYPE, "data/one.bin"), "a link or device"),
        (entry("data/pipe", tarfile.FIFOTYPE), "a link or device"),
        (entry("data/disk", tarfile.BLKTYPE), "a link or device"),
        (entry("data", tarfile.SYMTYPE, "/tmp"), "a link or device"),
    ],
)
def test_what_could_do_harm_is_refused_and_nothing_appears(tmp_path: Path, member: tarfile.TarInfo, found: str) -> None:
    packed = archive(tmp_path / "a.tar.gz", entry("data/one.bin"), member)

    with pytest.raises(DataFileError, match=found) as caught:
        extract_folder(packed, tmp_path / "data")

    assert caught.value.position == member.name
    assert [path.name for path in tmp_path.iterdir() if path.name[0] != "."] == ["a.tar.gz"]


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        (lambda content: content[: len(content) // 2], "a whole tar archive"),
        (lambda content: content[:40] + b"damaged" + content[47:], "a whole tar archive"),
        (lambda _: b"no archive at all", "a whole tar archive"),
        (lambda _: b"", "a whole tar archive"),
    ],
)
def test_a_damaged_archive_is_refused(tmp_path: Path, damage: Callable[[bytes], bytes], expected: str) -> None:
    packed = archive(tmp_path / "a.tar.gz", entry("data/one.bin"), entry("data/two.bin"))
    packed.write_bytes(damage(packed.read_bytes()))

    with pytest.raises(DataFileError, match=expected):
        extract_folder(packed, tmp_path / "data")

    assert not (tmp_path / "data").exists()


def test_damage_in_the_middle_of_a_bzip2_archive_is_told_as_damage(tmp_path: Path) -> None:
    content = random.Random(5).randbytes(1_200_000)  # more than one block, so that only the second is damaged
    with tarfile.open(tmp_path / "a.tar.bz2", "w:bz2") as tar:
        member = entry("data/one.bin")
        member.size = len(content)
        tar.addfile(member, io.BytesIO(content))
    packed = bytearray((tmp_path / "a.tar.bz2").read_bytes())
    packed[-100_000] ^= 255
    (tmp_path / "a.tar.bz2").write_bytes(packed)

    with pytest.raises(DataFileError, match=r"a\.tar\.bz2: expected a whole tar archive, found Invalid data stream"):
        extract_folder(tmp_path / "a.tar.bz2", tmp_path / "data")

    assert not (tmp_path / "data").exists()


def test_an_archive_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataFileError, match=r"a\.tar: expected an archive that can be read, found No such file"):
        extract_folder(tmp_path / "a.tar", tmp_path / "data")


def test_an_archive_without_the_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataFileError, match="a folder data in it, found none"):
        extract_folder(archive(tmp_path / "a.tar.gz"), tmp_path / "data")


def test_where_nothing_can_be_written_the_place_is_named(tmp_path: Path) -> None:
    packed = archive(tmp_path / "a.tar.gz", entry("data/one.bin"))

    with pytest.raises(DataFileError, match=r"data: expected a place to unpack into, found .*(directory|File exists)"):
        extract_folder(packed, packed / "data")


@settings(max_examples=60, deadline=None)
@given(place=st.integers(0, 10**4), byte=st.integers(0, 255), packed=st.booleans())
def test_a_changed_byte_gives_the_folder_or_a_refusal(
    tmp_path_factory: pytest.TempPathFactory, place: int, byte: int, packed: bool
) -> None:
    folder = tmp_path_factory.mktemp("changed")
    file = archive(folder / "a.tar", entry("data/one.bin"), entry("data/two.bin"), mode="w:gz" if packed else "w")
    content = bytearray(file.read_bytes())
    content[place % len(content)] = byte
    file.write_bytes(bytes(content))

    try:
        extract_folder(file, folder / "data")
    except DataFileError:
        assert not (folder / "data").exists()
    else:
        assert (folder / "data").is_dir()
