"""timm's backbones, with the real package, which is no part of the environment the other tests run in.

It needs torchvision, whose wheel on the package index is built for GPUs: beside a CPU's torch it does not import, and
takes Lightning along. So both are installed into a folder of their own, and a process that sees them first defines the
two operators that torchvision's own ones are missing.
"""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, Final

import pytest
import torch

pytestmark = pytest.mark.slow

ROOT: Final = Path(__file__).parent.parent.parent
PACKAGES: Final = ("timm==1.0.31", "torchvision==0.28.0", "huggingface_hub==1.33.0", "safetensors==0.8.0")
FOLDER: Final = ROOT / "build" / "-".join(package.replace("==", "-") for package in PACKAGES)
PUBLISHED: Final = "/timm/test_resnet.r160_in1k/resolve/main/model.safetensors"
PRELUDE: Final = """
import torch
operators = torch.library.Library("torchvision", "DEF")
operators.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
operators.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
"""


class Hub(ThreadingHTTPServer):
    """A Hugging Face hub on this machine, as far as one file of weights needs it."""

    def __init__(self, weights: bytes) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.weights = weights
        self.asked: list[str] = []  # the paths of the files that were downloaded


class _Answer(BaseHTTPRequestHandler):
    server: Hub

    def do_HEAD(self) -> None:
        known = self.path == PUBLISHED
        self.send_response(200 if known else 404)
        self.send_header("Content-Length", str(len(self.server.weights) if known else 0))
        if known:
            self.send_header("ETag", f'"{hashlib.sha256(self.server.weights).hexdigest()}"')
            self.send_header("X-Repo-Commit", 40 * "0")
        else:
            self.send_header("X-Error-Code", "EntryNotFound")
        self.end_headers()

    def do_GET(self) -> None:
        self.do_HEAD()
        if self.path == PUBLISHED:
            self.server.asked.append(self.path)
            self.wfile.write(self.server.weights)

    def log_message(self, *_: object) -> None:  # to nobody
        pass


@pytest.fixture(scope="module")
def packages() -> Path:
    """The folder with timm in it, filled once and kept."""
    if not FOLDER.exists():
        unfinished = FOLDER.with_name(f"{FOLDER.name}.{os.getpid()}")
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(unfinished), *PACKAGES]
        done = subprocess.run(pip, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        unfinished.rename(FOLDER)
    return FOLDER


@pytest.fixture(scope="module")
def hub(packages: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    """A hub with weights for `test_resnet`."""
    folder = tmp_path_factory.mktemp("hub")
    report_of(PUBLISH, packages, folder)
    server = Hub((folder / "published.safetensors").read_bytes())
    Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def run_with_timm(code: str, packages: Path, folder: Path, hub: Hub | None = None) -> subprocess.CompletedProcess[str]:
    """Run Python code in `folder`, in a process that has timm, and reaches no hub but this one."""
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(packages)]),
        "HF_ENDPOINT": "http://127.0.0.1:9" if hub is None else f"http://127.0.0.1:{hub.server_port}",
        "HF_HUB_OFFLINE": "1" if hub is None else "0",  # would try to reach it for a minute
        "HF_HOME": str(folder / "cache"),
        "HF_HUB_DISABLE_TELEMETRY": "1",
    }
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", PRELUDE + code],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def report_of(code: str, packages: Path, folder: Path, hub: Hub | None = None) -> dict[str, Any]:
    """What the code put into `report`."""
    done = run_with_timm(f"{code}\nimport json\nprint(json.dumps(report))", packages, folder, hub)
    assert done.returncode == 0, done.stderr
    report: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return report


MODELS = """
from app.builders.models import build_network
from app.schemas.parts.backbones import TimmConfig
from app.schemas.parts.heads import LinearHeadConfig, SegmentationHeadConfig
from app.schemas.parts.necks import FPNConfig, UNetConfig
from app.schemas.parts.parts import PartsConfig
from app.schemas.parts.poolings import AveragePoolingConfig
from app.schemas.problems import ConfigError

def backbone(**fields):
    config = PartsConfig(
        backbone=TimmConfig(**fields), pooling=AveragePoolingConfig(), head=LinearHeadConfig(num_classes=10)
    )
    return build_network(config, (1, 8, 8))

def refused(**fields):
    try:
        backbone(**fields)
    except ConfigError as error:
        return str(error)
"""

SHAPES = """
report = {}
for name, size, fields in (
    ("test_resnet", (64, 48), {}),
    ("test_resnet", (13, 9), {"out_indices": (0, 1)}),
    ("test_vit", (32, 48), {"image_size": (32, 48)}),
    ("test_convnext", (40, 40), {}),
    ("swin_tiny_patch4_window7_224", (56, 56), {"out_indices": (0, 1), "image_size": (56, 56)}),
):
    network = backbone(model_name=name, **fields)
    images = torch.rand(2, 1, *size)
    maps = network.backbone(images)
    network(images)["logits"].sum().backward()
    report[f"{name} {size}"] = {
        "maps": [list(features.shape[1:]) for features in maps],
        "channels": network.backbone.out_channels,
        "reductions": network.backbone.reductions,
        "untrained": [name for name, one in network.named_parameters() if one.grad is None],
    }
for neck in (None, FPNConfig(width=8), UNetConfig()):
    config = PartsConfig(
        backbone=TimmConfig(model_name="test_resnet"), neck=neck, head=SegmentationHeadConfig(num_classes=3)
    )
    masks = build_network(config, (1, 8, 8))(torch.rand(2, 1, 45, 33))["logits"]
    report[f"masks {type(neck).__name__}"] = list(masks.shape)
"""

REFUSALS = """
from pathlib import Path
import timm
torch.save(timm.create_model("test_resnet").state_dict(), "resnet.pth")
torch.save({"state_dict": {"model.backbone.stem.weight": torch.zeros(3, 3)}}, "run.ckpt")
Path("damaged.pth").write_bytes(b"not weights")

class Harmful:
    def __reduce__(self):
        return (open, ("harm", "w"))

torch.save(Harmful(), "harmful.pth")
pyramid = PartsConfig(
    backbone=TimmConfig(model_name="test_resnet"), neck=UNetConfig(channels=(8,)),
    head=SegmentationHeadConfig(num_classes=3),
)
try:
    build_network(pyramid, (1, 8, 8))
except ConfigError as error:
    steps = str(error)
report = {
    "unknown": refused(model_name="resnet19"),
    "tag": refused(model_name="test_resnet.r161_in1k"),
    "stage": refused(model_name="test_resnet", out_indices=(0, 9)),
    "any size": refused(model_name="test_resnet", image_size=(8, 8)),
    "no file": refused(model_name="test_resnet", checkpoint_path="resent.pth"),
    "damaged": refused(model_name="test_resnet", checkpoint_path="damaged.pth"),
    "harmful": refused(model_name="test_resnet", checkpoint_path="harmful.pth"),
    "other model": refused(model_name="resnet10t", checkpoint_path="resnet.pth"),
    "run": refused(model_name="test_resnet", checkpoint_path="run.ckpt"),
    "no hub": refused(model_name="test_resnet", pretrained=True),
    "steps": steps,
    "harm": Path("harm").exists(),
}
"""

PUBLISH = """
import timm
from safetensors.torch import save_file
torch.manual_seed(1)
save_file(timm.create_model("test_resnet").state_dict(), "published.safetensors")
report = {}
"""

WEIGHTS = """
from pathlib import Path
import timm
from safetensors.torch import load_file
published = load_file("published.safetensors")
torch.save(published, "local.pth")
report = {}
for name, fields in {"pretrained": {"pretrained": True}, "file": {"checkpoint_path": "local.pth"}}.items():
    torch.manual_seed(0)
    loaded = backbone(model_name="test_resnet", **fields).backbone.model.state_dict()
    report[name] = {
        "same": sum(torch.equal(loaded[key], published[key]) for key in loaded),
        "other": [key for key in loaded if not torch.equal(loaded[key], published[key])],
        "grey": torch.allclose(loaded["conv1.0.weight"], published["conv1.0.weight"].sum(dim=1, keepdim=True)),
        "all": len(loaded),
    }
report["missing"] = refused(model_name="test_efficientnet", pretrained=True)
"""


def test_timms_maps_are_as_promised_and_fit_every_neck(packages: Path, tmp_path: Path) -> None:
    report = report_of(MODELS + SHAPES, packages, tmp_path)
    assert report["test_resnet (64, 48)"] == {
        "maps": [[32, 32, 24], [32, 16, 12], [48, 8, 6], [192, 4, 3], [96, 2, 2]],
        "channels": [32, 32, 48, 192, 96],
        "reductions": [2, 4, 8, 16, 32],
        "untrained": [],
    }
    assert report["test_resnet (13, 9)"]["maps"] == [[32, 7, 5], [32, 4, 3]]
    assert report["test_vit (32, 48)"]["maps"] == [[64, 2, 3]] * 3
    assert report["test_convnext (40, 40)"]["maps"][-1] == [64, 1, 1]
    swin = report["swin_tiny_patch4_window7_224 (56, 56)"]
    assert swin["maps"] == [[96, 14, 14], [192, 7, 7]]
    assert swin["channels"] == [96, 192]
    masks = {key: shape for key, shape in report.items() if key.startswith("masks")}
    assert masks == {f"masks {neck}": [2, 3, 45, 33] for neck in ("NoneType", "FPNConfig", "UNetConfig")}


def test_what_only_timm_can_judge_is_refused_by_name(packages: Path, tmp_path: Path) -> None:
    report = report_of(MODELS + REFUSALS, packages, tmp_path)
    at = "module.model_config.backbone"
    assert report.pop("harm") is False
    assert report.pop("steps") == (
        "module.model_config.neck.channels: expected 4 entries, one for each step up the backbone's 5 maps; found 1"
    )
    assert report.pop("unknown") == f"{at}.model_name: timm 1.0.31 has no model 'resnet19'; did you mean 'resnet18'?"
    assert report.pop("tag") == (
        f"{at}.model_name: timm 1.0.31 has no model 'test_resnet.r161_in1k'; did you mean 'test_resnet.r160_in1k'?"
    )
    assert report.pop("stage") == f"{at}.out_indices: test_resnet has stages 0 to 4, found 9"
    assert report.pop("any size") == f"{at}.image_size: test_resnet takes images of any size; expected null"
    assert report.pop("no file") == f"{at}.checkpoint_path: there is no file resent.pth"
    assert report.pop("run") == (
        f"{at}.checkpoint_path: run.ckpt holds no weights of test_resnet; a run's checkpoint goes into load_checkpoint"
    )
    unread = "is damaged, or holds more than weights, and is not read"
    assert report.pop("damaged") == f"{at}.checkpoint_path: damaged.pth {unread}"
    assert report.pop("harmful") == f"{at}.checkpoint_path: harmful.pth {unread}"
    assert "resnet.pth does not fit resnet10t: RuntimeError" in (other := report.pop("other model"))
    assert "size mismatch for conv1.0.weight" in other
    no_hub = report.pop("no hub")
    assert no_hub.startswith(f"{at}.pretrained: cannot get the weights of test_resnet: ")
    assert no_hub.endswith("; a file that is there goes into checkpoint_path")
    assert report == {}


def test_weights_come_from_the_hub_or_a_file_and_are_fitted_to_grey_images(
    packages: Path, hub: Hub, tmp_path: Path
) -> None:
    (tmp_path / "published.safetensors").write_bytes(hub.weights)

    report = report_of(MODELS + WEIGHTS, packages, tmp_path, hub)

    assert set(hub.asked) == {PUBLISHED}
    assert "404" in report.pop("missing")
    for found in report.values():
        assert found["other"] == ["conv1.0.weight"]
        assert found["same"] == found["all"] - 1
        assert found["grey"]
    assert report.keys() == {"pretrained", "file"}


def test_a_pretrained_backbone_is_trained_from_overrides_alone(packages: Path, hub: Hub, tmp_path: Path) -> None:
    backbone = "module.model_config.backbone"
    overrides = [
        "module=parts",
        "backbone=timm",
        f"{backbone}.model_name=test_resnet",
        f"{backbone}.pretrained=true",
        f"{backbone}.out_indices=[0,1]",
        "pooling=gem",
        "trainer.max_epochs=2",
        "trainer.accelerator=cpu",
        "hydra.run.dir=run",
    ]
    hub.asked.clear()

    code = f"import sys\nsys.argv = {['app', *overrides]}\nfrom app.__main__ import main\nsys.exit(main())"
    done = run_with_timm(code, packages, tmp_path, hub)

    assert done.returncode == 0, done.stderr
    assert hub.asked == [PUBLISHED]
    checkpoint = torch.load(tmp_path / "run" / "checkpoints" / "last.ckpt", weights_only=True)
    assert checkpoint["epoch"] == 1
    assert checkpoint["state_dict"]["model.backbone.model.conv1.0.weight"].shape[1] == 1
