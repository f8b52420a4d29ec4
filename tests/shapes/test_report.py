import json

from app.schemas.codes import Code
from app.schemas.problems import Problem
from app.shapes.report import PartReport, ShapeReport, from_json, report_text, to_json

REPORT = ShapeReport(
    parameters=26_122,
    trainable=1_290,
    flops=8_880_128,
    batch_size=64,
    precision="bf16-mixed",
    parameter_bytes=104_488,
    gradient_bytes=5_160,
    optimizer_bytes=0,
    activation_bytes=1_999_700,
    parts=(
        PartReport(path=".backbone", kind="Sequential", parameters=24_832, output="(64, 128) float32"),
        PartReport(path=".backbone.0", kind="Flatten", parameters=0, output=""),
        PartReport(path=".head", kind="Linear", parameters=1_290, output="(64, 10) float32"),
    ),
    problems=(Problem(code=Code.BROADCAST, path="joint_loss.losses.mse", message="found (64, 1) and (64,)"),),
)


def test_a_report_goes_from_one_process_to_another_unchanged() -> None:
    assert from_json(json.loads(json.dumps(to_json(REPORT)))) == REPORT
    assert from_json(json.loads(json.dumps(to_json(ShapeReport())))) == ShapeReport()


def test_a_report_reads_as_a_table() -> None:
    assert report_text(REPORT) == (
        "26,122 parameters, 1,290 trained\n"
        "8.88 MFLOP for a batch of 64, forward and back\n"
        "2.11 MB in bf16-mixed: parameters 104 kB, gradients 5.16 kB, optimizer 0 B, activations 2 MB\n"
        "  .backbone    Sequential  24,832  (64, 128) float32\n"
        "  .backbone.0  Flatten          0\n"
        "  .head        Linear       1,290  (64, 10) float32"
    )
