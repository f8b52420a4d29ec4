import pickle
import socket
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import pytest

from app.data_formats.errors import DataFileError
from app.downloads.errors import DownloadError
from app.downloads.fetching import Patience, fetch
from app.schemas.downloads import DownloadConfig
from tests.downloads.server import Fault, FileServer

CONTENT = b"\x1f\x8b" + bytes(range(256)) * 40
HASTE = Patience(connect=0.3, silence=0.3, attempts=3, pause=0.001)
WHOLE = [("data.gz", None)]
SETTING = "datamodule.files.images"


def config(*mirrors: str, content: bytes | None = CONTENT) -> DownloadConfig:
    digest = None if content is None else sha256(content).hexdigest()
    return DownloadConfig(file_name="local.gz", mirrors=mirrors, sha256=digest)


def reasons(error: DownloadError) -> list[str]:
    return [reason for _, reason in error.failures]


def test_a_file_is_downloaded_once_and_then_there(server: FileServer, tmp_path: Path) -> None:
    download = config(server.serve("data.gz", CONTENT))

    first = fetch(download, tmp_path / "new" / "folder", SETTING)
    again = fetch(download, tmp_path / "new" / "folder", SETTING)

    assert first == again == tmp_path / "new" / "folder" / "local.gz"
    assert first.read_bytes() == CONTENT
    assert server.requests == WHOLE
    assert not list(first.parent.glob("*.part"))


@pytest.mark.parametrize(
    ("faults", "ranges"),
    [
        (("slow",), [None]),
        (("packed",), [None]),
        (("busy",), [None, None]),
        (("silent",), [None, None]),
        (("cut off",), [None, "bytes=5121-"]),
        (("cut off", "cut off"), [None, "bytes=5121-", "bytes=7681-"]),
        (("cut off", "ignores the range"), [None, "bytes=5121-"]),
        (("cut off", "other part"), [None, "bytes=5121-", None]),
        (("cut off", "none of it"), [None, "bytes=5121-", None]),
        (("cut off", "other bytes"), [None, "bytes=5121-", None]),
        (("says more",), [None, "bytes=10242-"]),
    ],
)
def test_a_fault_that_passes_is_got_over(
    server: FileServer, tmp_path: Path, faults: tuple[Fault, ...], ranges: list[str | None]
) -> None:
    file = fetch(config(server.serve("data.gz", CONTENT, *faults)), tmp_path, SETTING, patience=HASTE)

    assert file.read_bytes() == CONTENT
    assert [asked for _, asked in server.requests] == ranges


@pytest.mark.parametrize(
    ("faults", "reason", "asked"),
    [
        (("not there",), "answered 404 Not Found", 1),
        (("busy", "busy", "busy"), "answered 503 Service Unavailable", 3),
        (("silent", "silent", "silent"), "sent nothing for 0.3 seconds", 3),
        (("cut off", "cut off", "cut off"), "broke off after 8,961 bytes", 3),
        (("other bytes",), f"sent a file with SHA-256 {sha256(bytes(10242)).hexdigest()}, expected", 1),
        (("says less",), f"sent a file with SHA-256 {sha256(CONTENT[:-5]).hexdigest()}, expected", 1),
    ],
)
def test_the_second_mirror_is_asked_where_the_first_fails(
    server: FileServer, tmp_path: Path, faults: tuple[Fault, ...], reason: str, asked: int
) -> None:
    bad = server.serve("bad.gz", CONTENT, *faults)

    file = fetch(config(bad, server.serve("data.gz", CONTENT)), tmp_path / "both", SETTING, patience=HASTE)

    assert file.read_bytes() == CONTENT
    assert [name for name, _ in server.requests] == ["bad.gz"] * asked + ["data.gz"]
    server.serve("bad.gz", CONTENT, *faults)
    with pytest.raises(DownloadError) as caught:
        fetch(config(bad), tmp_path / "one", SETTING, patience=HASTE)
    [(url, found)] = caught.value.failures
    assert url == bad
    assert found.startswith(reason)
    assert not (tmp_path / "one" / "local.gz").exists()


def test_what_a_dead_process_left_is_not_downloaded_again(server: FileServer, tmp_path: Path) -> None:
    (tmp_path / "local.gz.part").write_bytes(CONTENT[:7000])

    assert fetch(config(server.serve("data.gz", CONTENT)), tmp_path, SETTING).read_bytes() == CONTENT
    assert server.requests == [("data.gz", "bytes=7000-")]


@pytest.mark.parametrize("left", [b"of another file", CONTENT + b"more than there is", CONTENT])
def test_whatever_was_left_the_file_is_right(server: FileServer, tmp_path: Path, left: bytes) -> None:
    (tmp_path / "local.gz.part").write_bytes(left)

    assert fetch(config(server.serve("data.gz", CONTENT)), tmp_path, SETTING, patience=HASTE).read_bytes() == CONTENT


def test_without_a_digest_nothing_is_put_together_from_parts(server: FileServer, tmp_path: Path) -> None:
    (tmp_path / "local.gz.part").write_bytes(b"of another file")
    download = config(server.serve("data.gz", CONTENT, "cut off"), content=None)

    assert fetch(download, tmp_path, SETTING, patience=HASTE).read_bytes() == CONTENT
    assert [asked for _, asked in server.requests] == [None, None]


def test_another_file_of_that_name_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "local.gz").write_bytes(b"mine")

    message = (
        rf"local.gz: expected a file with SHA-256 \w{{64}}, found \w{{64}}; delete .*, or type {SETTING}.sha256=null"
    )
    with pytest.raises(DataFileError, match=message):
        fetch(config("http://127.0.0.1:1/data.gz"), tmp_path, SETTING)

    assert (tmp_path / "local.gz").read_bytes() == b"mine"
    assert fetch(config(content=None), tmp_path, SETTING) == tmp_path / "local.gz"


def test_offline_it_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "*")
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        refusing = f"http://127.0.0.1:{unused.getsockname()[1]}/data.gz"
        with pytest.raises(DownloadError) as caught:
            fetch(config(refusing, "http://no-such-host.invalid/data.gz"), tmp_path, SETTING, patience=HASTE)

    first, second = reasons(caught.value)
    assert first == "no connection: Connection refused"
    assert second.startswith("no connection: ")
    assert str(caught.value) == (
        "cannot download local.gz:\n"
        f"  {refusing}: {first}\n"
        f"  http://no-such-host.invalid/data.gz: {second}\n"
        f"without a connection, put the file into {tmp_path} by hand (SHA-256 {sha256(CONTENT).hexdigest()})\n"
        "where it is in another folder, type datamodule.data_dir=<folder>\n"
        "where it is at another address, type \"datamodule.files.images.mirrors=['https://…']\""
    )
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_without_an_address_the_file_has_to_be_there(tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match="there is no address to get it from"):
        fetch(config(), tmp_path, SETTING)


def test_a_folder_of_the_file_s_name_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "local.gz").mkdir()

    with pytest.raises(DataFileError, match=r"local.gz: expected a file that can be read, found .*[Ii]s a directory"):
        fetch(config("http://127.0.0.1:1/data.gz"), tmp_path, SETTING)

    assert (tmp_path / "local.gz").is_dir()


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")

    with pytest.raises(DownloadError, match=r"cannot be written: .*(Not a directory|File exists)"):
        fetch(config(), tmp_path / "file", SETTING)


_FETCH = """
import sys
from pathlib import Path
from app.downloads.fetching import fetch
from app.schemas.downloads import DownloadConfig
url, digest, folder = sys.argv[1:]
print("ready", flush=True)
sys.stdin.readline()
download = DownloadConfig(file_name="local.gz", mirrors=(url,), sha256=digest)
print(len(fetch(download, Path(folder), "datamodule.files.images").read_bytes()))
"""


def test_of_two_processes_one_downloads(server: FileServer, tmp_path: Path) -> None:
    url = server.serve("data.gz", CONTENT, "slow")
    arguments = [sys.executable, "-c", _FETCH, url, sha256(CONTENT).hexdigest(), str(tmp_path)]
    pipe = subprocess.PIPE

    with (
        subprocess.Popen(arguments, stdin=pipe, stdout=pipe, text=True) as one,
        subprocess.Popen(arguments, stdin=pipe, stdout=pipe, text=True) as other,
    ):
        for process in (one, other):
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for process in (one, other):
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        printed = [process.communicate()[0] for process in (one, other)]

    assert printed == [f"{len(CONTENT)}\n"] * 2
    assert server.requests == WHOLE


def test_it_says_which_file_comes_from_where_and_goes_where(
    server: FileServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "app")
    address = server.serve("data.gz", CONTENT * 100, "cut off")

    fetch(config(address, content=CONTENT * 100), tmp_path, SETTING, patience=HASTE)

    assert caplog.messages == [
        f"downloads local.gz (1.0 MB) from {address} into {tmp_path}",
        f"downloads local.gz (1.0 MB, of which 0.5 MB are there) from {address} into {tmp_path}",
    ]


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit(143)])
def test_an_interrupted_download_says_that_its_part_is_kept(
    stop: type[BaseException] | BaseException,
    server: FileServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def interrupted(*_: object) -> None:
        raise stop

    monkeypatch.setattr("rich.progress.Progress.advance", interrupted)
    with pytest.raises((KeyboardInterrupt, SystemExit)):
        fetch(config(server.serve("data.gz", CONTENT)), tmp_path, SETTING)

    part = tmp_path / "local.gz.part"
    assert part.read_bytes() == CONTENT
    assert caplog.messages[-1] == f"the download is interrupted; what has come of it is kept as {part}"


def test_the_bar_is_for_terminals_alone(
    server: FileServer, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    fetch(config(server.serve("data.gz", CONTENT)), tmp_path / "quiet", SETTING)
    assert capfd.readouterr() == ("", "")

    monkeypatch.setenv("FORCE_COLOR", "1")  # rich takes it for a terminal
    fetch(config(server.serve("data.gz", CONTENT)), tmp_path / "shown", SETTING)
    assert "local.gz" in capfd.readouterr().err
