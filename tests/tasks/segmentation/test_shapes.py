from hashlib import sha256

import numpy as np

from app.tasks.segmentation.config import SHAPES
from app.tasks.segmentation.shapes import SIZE, draw_pictures


def test_the_pictures_are_the_same_everywhere() -> None:
    pictures, classes = draw_pictures(3, seed=5)

    assert (pictures.shape, str(pictures.dtype)) == ((3, 3, SIZE, SIZE), "uint8")
    assert (classes.shape, str(classes.dtype)) == ((3, SIZE, SIZE), "uint8")
    digest = sha256(pictures.tobytes() + classes.tobytes()).hexdigest()
    assert digest == "e3132dc9406de0e090261b4299c621758b244c15e66fafe44b540228520deac2"


def test_the_first_pictures_do_not_depend_on_how_many_there_are() -> None:
    few, many = draw_pictures(2, seed=1), draw_pictures(5, seed=1)

    for one, other in zip(few, many, strict=True):
        assert (one == other[:2]).all()
    assert (draw_pictures(2, seed=2)[0] != few[0]).any()


def test_every_class_is_common_and_most_is_background() -> None:
    _, classes = draw_pictures(200, seed=3)

    shares = np.bincount(classes.ravel(), minlength=len(SHAPES)) / classes.size
    assert len(shares) == 4
    assert 0.6 < shares[0] < 0.9
    assert shares[1:].min() > 0.03
    assert (classes.reshape(200, -1) > 0).any(axis=1).all()


def test_a_disc_is_round_a_square_is_square_and_a_triangle_has_three_corners() -> None:
    _, classes = draw_pictures(300, seed=4)

    # The largest extent across, as a share of the root of the area: least for a disc, most for a triangle.
    roundness: dict[int, list[float]] = {1: [], 2: [], 3: []}
    for mask in classes:
        kinds = set(np.unique(mask).tolist()) - {0}
        rows, columns = np.nonzero(mask)
        whole = rows.min() > 0 and columns.min() > 0 and rows.max() < SIZE - 1 and columns.max() < SIZE - 1
        if len(kinds) == 1 and whole and len(rows) < 500:
            points = np.stack([rows, columns], axis=1)
            across = np.linalg.norm(points[:, None] - points[None], axis=2).max()
            roundness[kinds.pop()].append(across / np.sqrt(len(points)))
    disc, square, triangle = (float(np.median(values)) for values in roundness.values())
    assert min(len(values) for values in roundness.values()) > 5
    assert abs(disc - 1.13) < 0.08  # 2 / √π
    assert abs(square - 1.41) < 0.1  # √2
    assert abs(triangle - 1.52) < 0.12  # 2 / ∜3
