from app.schemas.augmentations.colours import ColorJitterConfig, GaussianBlurConfig
from app.schemas.augmentations.images import HorizontalFlipConfig, RandomAffineConfig
from app.schemas.rules import remarks
from tests.schemas.augmentations.problems import problems_of


def test_ranges_begin_with_the_smaller_limit() -> None:
    found = problems_of(
        "a={id: random_resized_crop, area: [0.9, 0.5], aspect_ratio: [2.0, 1.0]}",
        "b={id: random_erasing, area: [0.3, 0.1]}",
        "c={id: gaussian_blur, sigma: [2, 1]}",
        "d={id: gaussian_blur, sigma: [1, 1]}",
    )

    assert found == {
        "a.area": "expected the smaller limit first, found 0.9 before 0.5",
        "a.aspect_ratio": "expected the smaller limit first, found 2 before 1",
        "b.area": "expected the smaller limit first, found 0.3 before 0.1",
        "c.sigma": "expected the smaller limit first, found 2 before 1",
    }


def test_what_would_hide_all_images_as_they_are_changes_some() -> None:
    assert HorizontalFlipConfig().probability == GaussianBlurConfig().probability == 0.5
    assert RandomAffineConfig().probability == 1


def test_a_jitter_without_limits_is_remarked_on() -> None:
    still = ColorJitterConfig(brightness=0.0, contrast=0.0, saturation=0.0)

    assert [fault.message.partition(":")[0] for fault in remarks(still)] == ["changes nothing"]
    assert list(remarks(ColorJitterConfig())) == []


def test_an_image_is_not_moved_out_of_sight() -> None:
    found = problems_of(
        "crop={id: random_crop, padding: 8}",
        "most={id: random_crop, padding: 7}",
        "affine={id: random_affine, max_shift: 8.5}",
        "several={id: one_of, steps: {crop: {id: random_crop, padding: 300}, flip: {id: horizontal_flip}}}",
    )

    least = "could leave nothing of an image in sight: expected less than 8, the shorter side of the task's images"
    assert found == {
        "crop.padding": f"{least}, found 8",
        "affine.max_shift": f"{least}, found 8.5",
        "several.steps.crop.padding": f"{least}, found 300",
    }
