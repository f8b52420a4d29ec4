import pytest

from app.checkpoints.manifest import Entry, read, written

OLD = Entry(step=3, epoch=1, saved="2026-01-02T03:04:05+00:00", digest="a" * 64)
NEW = Entry(step=7, epoch=2, saved="2026-01-02T03:05:00+00:00", digest="b" * 64, resumable=False)


def test_a_manifest_reads_as_it_was_written() -> None:
    text = written((OLD, NEW), "last.ckpt")

    assert text == (
        f"# step 3, epoch 1, saved 2026-01-02T03:04:05+00:00\n{'a' * 64}  last.ckpt\n"
        f"# step 7, epoch 2, saved 2026-01-02T03:05:00+00:00, weights only\n{'b' * 64}  last.ckpt\n"
    )
    assert read(text) == (OLD, NEW)


def test_entries_are_ranked_by_how_far_training_was() -> None:
    assert max(OLD, NEW) == NEW


@pytest.mark.parametrize(
    "text", ["", "nothing", f"{'a' * 64}  last.ckpt\n", written((OLD,), "last.ckpt")[:-20], "# step 1\n\n"]
)
def test_anything_else_is_no_manifest(text: str) -> None:
    with pytest.raises(ValueError, match=r"manifest|zip"):
        read(text)
