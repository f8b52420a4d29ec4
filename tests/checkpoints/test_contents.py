import os
import pickle
import random
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import torch

from app.checkpoints.contents import KEY, description, read_contents
from app.checkpoints.inert_pickle import LARGEST_PICKLE, Mark, TensorMark, UnreadablePickleError, read_pickle
from app.checkpoints.opening import CheckpointError, MissingCheckpointError
from app.checkpoints.weights import read_checkpoint
from app.compose import load_config
from app.composing.stored_config import for_measuring
from app.run_directory import git_state
from app.schemas.plain import MASK, to_plain
from app.schemas.run import RunConfig
from app.schemas.validation import check
from tests.checkpoints.lightning_parts import trained


@pytest.fixture(scope="module")
def config() -> RunConfig:
    return load_config(["optimizer_spec=sgd", "trainer.max_epochs=7"])


@pytest.fixture(scope="module")
def checkpoint(config: RunConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    told = description(config, overrides=("optimizer_spec=sgd", "trainer.max_epochs=7"))
    return trained(tmp_path_factory.mktemp("run"), **{KEY: told})[1]


def test_a_lightning_checkpoint_describes_its_run(checkpoint: Path, config: RunConfig) -> None:
    contents = read_contents(str(checkpoint))
    assert contents.task == "digits"
    assert contents.config == to_plain(config)
    assert check(contents.config, RunConfig) == config
    assert contents.overrides == ("optimizer_spec=sgd", "trainer.max_epochs=7")
    assert contents.packages["torch"] == torch.__version__.partition("+")[0] or contents.packages["torch"]
    assert contents.packages["lightning"].startswith("2.")
    assert contents.git == git_state()
    assert contents.test_fingerprint == config.task.test_fingerprint
    assert (contents.epoch, contents.global_step) == (1, 2)
    assert contents.weights["model.weight"] == TensorMark((2, 3), "float32")
    assert contents.values["optimizer_states"][0]["param_groups"][0]["lr"] == 0.1


def test_what_is_read_is_what_torch_reads(checkpoint: Path) -> None:
    def same(ours: Any, theirs: Any) -> None:
        if isinstance(theirs, torch.Tensor):
            assert ours == TensorMark(tuple(theirs.shape), str(theirs.dtype).removeprefix("torch."))
        elif isinstance(theirs, dict):
            assert list(ours) == list(theirs)
            for key in theirs:
                same(ours[key], theirs[key])
        elif isinstance(theirs, list | tuple):
            assert type(ours) is type(theirs)
            assert len(ours) == len(theirs)
            for one, other in zip(ours, theirs, strict=True):
                same(one, other)
        else:
            assert ours == theirs
            assert type(ours) is type(theirs)

    same(read_contents(str(checkpoint)).values, torch.load(checkpoint, weights_only=True))


@pytest.mark.parametrize(
    "value",
    [
        {"a": [1, -1, 255, 256, 65536, -(2**31), 2**40, -(2**70), 10**600]},
        {"text": "ü\n\u2028", "": None, "yes": True, "no": False, "float": 1e-300, "inf": float("inf")},
        {1: (), (1, "a"): ((1,), (1, 2), (1, 2, 3), (1, 2, 3, 4)), 2.5: [[[]]], None: {}},
        {"bytes": b"\x00\xff", "size": torch.Size([1, 2])},
        ["same"] * 300 + [list(range(1500))],
    ],
)
def test_plain_values_come_back_as_they_were(value: object, tmp_path: Path) -> None:
    torch.save({"value": value}, tmp_path / "a.ckpt")
    assert read_contents(str(tmp_path / "a.ckpt")).values["value"] == value


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.int8, torch.bool, torch.complex64])
def test_every_kind_of_tensor_is_known_by_shape_and_type(dtype: torch.dtype, tmp_path: Path) -> None:
    tensor = torch.zeros(2, 0, 3, dtype=dtype)
    torch.save({"a": tensor, "b": torch.nn.Parameter(tensor, requires_grad=False)}, tmp_path / "a.ckpt")
    expected = TensorMark((2, 0, 3), str(dtype).removeprefix("torch."))
    assert read_contents(str(tmp_path / "a.ckpt")).weights == {"a": expected, "b": expected}


def test_objects_are_only_noted_by_name(tmp_path: Path) -> None:
    torch.save({"path": Path("a"), "module": torch.nn.Tanh()}, tmp_path / "a.ckpt")
    values = read_contents(str(tmp_path / "a.ckpt")).values
    assert values["path"] == Mark("pathlib.PosixPath", ("a",))
    assert values["module"].name == "torch.nn.modules.activation.Tanh"


class Runs:
    """Creates a file when it is unpickled as pickle would."""

    def __init__(self, file: Path, how: str) -> None:
        self.file, self.how = file, how

    def __reduce__(self) -> tuple[Any, ...]:
        match self.how:
            case "call":
                return os.mkdir, (str(self.file),)
            case "exec":
                return exec, (f"import pathlib; pathlib.Path({str(self.file)!r}).touch()",)
            case "state":
                return partial(os.mkdir, str(self.file)), ()
        return subprocess.check_call, ([sys.executable, "-c", f"open({str(self.file)!r}, 'w')"],)


@pytest.mark.parametrize("how", ["call", "exec", "state", "process"])
@pytest.mark.parametrize("protocol", [2, 4])
def test_nothing_in_a_file_is_run(how: str, protocol: int, tmp_path: Path) -> None:
    trap, file = tmp_path / "sprung", tmp_path / "evil.ckpt"
    torch.save({"evil": Runs(trap, how), "state_dict": {"a": torch.ones(1)}}, file, pickle_protocol=protocol)
    try:
        read_contents(str(file))
    except CheckpointError as error:
        assert protocol == 4  # torch itself writes 2; nothing else is read
        assert "instruction" in str(error)  # noqa: PT017
    with pytest.raises(CheckpointError, match=r"evil\.ckpt: is not a checkpoint of weights and plain values"):
        read_checkpoint(str(file))
    assert not trap.exists()
    with zipfile.ZipFile(file) as archive, archive.open("evil/data.pkl") as pickled:
        unpickler = pickle.Unpickler(pickled)
        unpickler.persistent_load = lambda _: None  # type: ignore[method-assign]  # the test's own
        with suppress(Exception):  # whatever else is wrong with it
            unpickler.load()
    assert trap.exists()  # so the trap was a real one


def test_an_extension_code_and_an_instance_opcode_are_refused() -> None:
    for code in (b"\x82\x01.", b"ios\nsystem\n(.", b"(cos\nsystem\no.", b"cos\nsystem\nP1\n."):
        with pytest.raises(UnreadablePickleError):
            read_pickle(b"\x80\x02" + code)


@pytest.mark.parametrize(
    "data",
    [
        b"\x80\x02K\x01r\xff\xff\xff\xff.",  # a memo place for which the standard unpickler takes 64 GB
        b"\x80\x02X\xff\xff\xff\xffabc.",  # a text of 4 GB that is not there
        b"\x80\x02" + b"]" * 100,  # no end
        b"\x80\x02t.",
        b"\x80\x02\x86.",
        b"\x80\x02h\x05.",
        b"\x80\x02R.",
        b"\x80\x02K\x01K\x02a.",
        b"",
        b".",
    ],
)
def test_odd_pickles_end_at_once(data: bytes) -> None:
    with suppress(UnreadablePickleError):
        read_pickle(data)


@pytest.mark.parametrize("depth", [40, 2000])
def test_values_that_would_grow_without_end_are_refused_in_no_time(depth: int, tmp_path: Path) -> None:
    value: Any = {}
    for _ in range(depth):
        value = {"a": value, "b": value}
    file = tmp_path / "bomb.ckpt"
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(20 * depth + limit)
    try:
        torch.save({KEY: {"config": value}}, file)
    finally:
        sys.setrecursionlimit(limit)
    assert file.stat().st_size < 200_000
    with pytest.raises(CheckpointError, match="far larger than a run's config"):
        read_contents(str(file))


def test_a_zip_bomb_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "bomb.ckpt"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/data.pkl", b"\0" * (LARGEST_PICKLE + 10))
    assert file.stat().st_size < LARGEST_PICKLE / 100
    with pytest.raises(CheckpointError, match=r"bomb\.ckpt: .* take more than"):
        read_contents(str(file))


def _fail_cleanly(file: Path, data: bytes, read: Callable[[str], object]) -> bool:
    """Whether a changed file is refused; any error but the one that names it lets the test fail."""
    file.write_bytes(data)
    try:
        read(str(file))
    except CheckpointError as error:
        assert str(error).startswith(f"{file}: ")  # noqa: PT017
        return True
    return False


def test_damage_is_an_error_that_names_the_file_and_never_another(checkpoint: Path, tmp_path: Path) -> None:
    whole = checkpoint.read_bytes()
    draw = random.Random(0)
    flipped = noticed = 0
    for _ in range(400):
        damaged = bytearray(whole)
        place = draw.randrange(len(whole))
        damaged[place] ^= 1 << draw.randrange(8)
        flipped += 1
        noticed += _fail_cleanly(tmp_path / "damaged.ckpt", bytes(damaged), read_contents)
    for _ in range(60):
        assert _fail_cleanly(tmp_path / "cut.ckpt", whole[: draw.randrange(len(whole))], read_contents)
        _fail_cleanly(tmp_path / "noise.ckpt", draw.randbytes(draw.randrange(1, 500)), read_contents)
    assert flipped > noticed > 0  # what is read is checked; the tensors' bytes are not read


def test_damaged_pickles_never_raise_anything_else(checkpoint: Path) -> None:
    with zipfile.ZipFile(checkpoint) as archive:
        data = archive.read(f"{archive.namelist()[0].partition('/')[0]}/data.pkl")
    draw = random.Random(0)
    refused = 0
    for _ in range(300):
        damaged = bytearray(data)
        for _ in range(draw.randrange(1, 4)):
            damaged[draw.randrange(len(damaged))] = draw.randrange(256)
        try:
            read_pickle(bytes(damaged))
        except UnreadablePickleError:
            refused += 1
    assert refused > 50


def test_damaged_tensors_are_noticed_when_weights_are_loaded(checkpoint: Path, tmp_path: Path) -> None:
    whole = checkpoint.read_bytes()
    weights = torch.load(checkpoint, weights_only=True)["state_dict"]["model.weight"].numpy().tobytes()
    assert whole.count(weights) == 1
    damaged = bytearray(whole)
    damaged[whole.index(weights) + 5] ^= 4
    file = tmp_path / "flipped.ckpt"
    file.write_bytes(damaged)
    assert torch.load(file, weights_only=True)  # torch alone does not see it
    with pytest.raises(CheckpointError, match=r"flipped\.ckpt: is damaged: .*CRC"):
        read_checkpoint(str(file))


def test_checkpoints_without_checksums_are_read(tmp_path: Path) -> None:
    file = tmp_path / "a.ckpt"
    torch.serialization.set_crc32_options(compute_crc32=False)
    try:
        torch.save({"epoch": 3, "state_dict": {"a": torch.ones(3)}}, file)
    finally:
        torch.serialization.set_crc32_options(compute_crc32=True)
    assert read_contents(str(file)).epoch == 3
    assert torch.equal(read_checkpoint(str(file))["state_dict"]["a"], torch.ones(3))


def test_files_of_other_kinds_are_refused_with_what_they_are(tmp_path: Path) -> None:
    torch.save({"a": torch.ones(1)}, tmp_path / "old.ckpt", _use_new_zipfile_serialization=False)
    torch.save(torch.ones(3), tmp_path / "tensor.ckpt")
    (tmp_path / "text.ckpt").write_text("hello")
    (tmp_path / "empty.ckpt").touch()
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
        archive.writestr("a.txt", "hello")
    messages = {
        "old.ckpt": "before version 1.6; load and save it anew",
        "tensor.ckpt": "found a tensor",
        "text.ckpt": "does not begin as a file of torch does",
        "empty.ckpt": "does not begin as a file of torch does",
        "other.zip": "an archive without torch's data.pkl",
        "no.ckpt": "no such file",
        "": "is a folder",
    }
    for name, message in messages.items():
        with pytest.raises(CheckpointError) as caught:
            read_contents(str(tmp_path / name))
        assert message in str(caught.value)
        assert str(caught.value).startswith(str(tmp_path / name))


def test_old_files_of_torch_can_still_give_weights(tmp_path: Path) -> None:
    torch.save({"a": torch.ones(1)}, tmp_path / "old.ckpt", _use_new_zipfile_serialization=False)
    assert torch.equal(read_checkpoint(str(tmp_path / "old.ckpt"))["a"], torch.ones(1))


class _Requests(SimpleHTTPRequestHandler):
    """Serves files, whole or (which the standard one does not) in parts."""

    parts = True
    served: list[int] = []  # noqa: RUF012  # shared on purpose

    def do_GET(self) -> None:
        data = Path(self.translate_path(self.path))
        wanted = self.headers.get("Range")
        if not data.is_file():
            self.send_error(404)
            return
        content = data.read_bytes()
        status, total = 200, len(content)
        headers = {}
        if self.parts and wanted:
            start, _, end = wanted.removeprefix("bytes=").partition("-")
            last = min(int(end or total - 1), total - 1)
            content, status = content[int(start) : last + 1], 206
            headers["Content-Range"] = f"bytes {start}-{last}/{total}"
        self.send_response(status)
        if self.parts:
            self.send_header("Accept-Ranges", "bytes")
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.served.append(len(content))
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


class _WithoutParts(_Requests):
    parts = False


@pytest.fixture(params=[_Requests, _WithoutParts])
def server(
    request: pytest.FixtureRequest, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[str, type[_Requests]]]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    handler: type[_Requests] = request.param
    handler.served = []
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=str(checkpoint.parent))) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}", handler
        running.shutdown()
        thread.join()


def test_remote_files_are_read_like_local_ones(server: tuple[str, type[_Requests]], checkpoint: Path) -> None:
    address, _ = server
    remote, local = read_contents(f"{address}/trained.ckpt"), read_contents(str(checkpoint))
    assert remote.values == local.values
    assert remote.config is not None
    assert remote.config["trainer"]["max_epochs"] == 7
    weights = read_checkpoint(f"{address}/trained.ckpt")["state_dict"]
    assert torch.equal(weights["model.weight"], torch.load(checkpoint)["state_dict"]["model.weight"])
    with pytest.raises(MissingCheckpointError, match=r"no\.ckpt: no such file"):
        read_contents(f"{address}/no.ckpt")


def test_nothing_in_a_remote_file_is_run(server: tuple[str, type[_Requests]], checkpoint: Path, tmp_path: Path) -> None:
    trap = tmp_path / "sprung"
    torch.save({"state_dict": {"a": torch.ones(1)}, "evil": Runs(trap, "call")}, checkpoint.parent / "evil.ckpt")
    address = f"{server[0]}/evil.ckpt"
    read_contents(address)
    with pytest.raises(CheckpointError, match=r"^http://.*evil\.ckpt: is not a checkpoint of weights"):
        read_checkpoint(address)
    assert not trap.exists()


def test_of_a_large_remote_file_only_the_values_are_fetched(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    file = checkpoint.parent / "large.ckpt"
    torch.save({"epoch": 1, "state_dict": {"a": torch.zeros(10_000_000)}}, file)
    _Requests.served = []
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Requests, directory=str(file.parent))) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        assert read_contents(f"http://127.0.0.1:{running.server_port}/large.ckpt").epoch == 1
        running.shutdown()
        thread.join()
    file_size = file.stat().st_size
    file.unlink()
    assert sum(_Requests.served) < file_size / 2


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("http://127.0.0.1:1/a.ckpt", "cannot be fetched: ConnectionRefusedError"),
        ("nosuch://a/b.ckpt", "cannot be fetched: ValueError: Protocol not known: nosuch"),
        ("reference://x::http://127.0.0.1:1/a.json", "expected one address"),
    ],
)
def test_an_address_that_cannot_be_reached_is_an_error_that_names_it(
    address: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with pytest.raises(CheckpointError) as caught:
        read_contents(address)
    assert str(caught.value).startswith(f"{address}: {message}")


def test_reading_does_not_import_torch(checkpoint: Path) -> None:
    code = (
        "import sys; from app.checkpoints.contents import read_contents;"
        f"assert read_contents({str(checkpoint)!r}).task == 'digits';"
        "assert not {'torch', 'lightning', 'fsspec'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_secrets_are_masked_in_what_is_stored(tmp_path: Path) -> None:
    word = "logger.wandb.api_key=hunter2hunter2"
    config = load_config(["logger=[csv,wandb]", word, "logger.wandb.mode=offline"])
    file = tmp_path / "a.ckpt"
    torch.save({KEY: description(config, overrides=(word,)), "state_dict": {}}, file)
    assert b"hunter2" not in file.read_bytes()
    contents = read_contents(str(file))
    assert contents.overrides == (f"logger.wandb.api_key={MASK}",)
    assert contents.config is not None
    assert contents.config["logger"]["wandb"]["api_key"] == MASK


def test_what_addresses_log_in_with_is_masked_in_the_stored_overrides(config: RunConfig) -> None:
    told = description(config, overrides=("resume_path=https://user:hunter2@host/a.ckpt", "a=b@c"))
    assert told["overrides"] == [f"resume_path=https://{MASK}@host/a.ckpt", "a=b@c"]


@pytest.mark.parametrize(("chosen", "kept"), [("[csv,wandb]", ["csv"]), ("[wandb]", ["csv"]), ("[]", [])])
def test_measuring_needs_no_account(chosen: str, kept: list[str]) -> None:
    load = ["load_checkpoint.base_ckpt_path=a.ckpt", "callbacks=[]", "callbacks=[]"][: 1 if kept else 2]
    config = load_config([f"logger={chosen}", *load])
    measuring = check(for_measuring(to_plain(config)), RunConfig)
    assert list(measuring.logger) == kept
    assert measuring.load_checkpoint is None
    assert measuring.module == config.module


def test_measuring_looks_for_no_first_weights() -> None:
    """They would be replaced at once, and may be out of reach by then."""
    backbone = {"pretrained": True, "model_name": "resnet18", "checkpoint_path": None}
    module = {"model_config": {"backbone": backbone, "heads": [{"checkpoint_path": "gone.pth"}]}}
    assert for_measuring({"module": module})["module"] == {
        "model_config": {"backbone": backbone | {"pretrained": False}, "heads": [{"checkpoint_path": None}]}
    }
