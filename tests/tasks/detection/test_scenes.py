from hashlib import sha256

import numpy as np

from app.tasks.detection.scenes import MAX_OBJECTS, SIZE, scenes


def test_scenes_are_the_same_everywhere() -> None:
    made = scenes(4, 0)

    found = sha256(b"".join(array.astype(array.dtype.newbyteorder("<")).tobytes() for array in made)).hexdigest()
    assert found == "b258b27e10c0122000a2b9190b0055536599d8a615ed2119195a61fb64c749b5"


def test_other_seeds_have_other_scenes() -> None:
    assert not np.array_equal(scenes(4, 0).images, scenes(4, 1).images)


def test_boxes_are_tight_and_inside() -> None:
    made = scenes(60, 3)

    for image, boxes, labels in zip(made.images, made.boxes, made.labels, strict=True):
        there = labels >= 0
        assert 1 <= there.sum() <= MAX_OBJECTS
        assert not boxes[~there].any()
        assert set(labels) <= {-1, 0, 1, 2}
        for left, top, right, bottom in boxes[there]:
            assert 0 <= left < right <= SIZE
            assert 0 <= top < bottom <= SIZE
        # What is drawn last is covered by nothing, and reaches all sides of its box; no background is as bright.
        left, top, right, bottom = boxes[there][-1]
        inside = image[:, top:bottom, left:right].max(axis=0)
        for side in (inside[0], inside[-1], inside[:, 0], inside[:, -1]):
            assert side.max() >= 160
    assert {0, 1, 2} <= set(made.labels.flatten())
    assert set((made.labels >= 0).sum(axis=1)) == set(range(1, MAX_OBJECTS + 1))
