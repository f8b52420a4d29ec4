from app import load_config
from app.schemas.augmentations.colours import GaussianNoiseConfig
from app.schemas.augmentations.composition import OneOfConfig, SequenceConfig
from app.schemas.augmentations.images import HorizontalFlipConfig
from app.schemas.augmentations.libraries import KorniaConfig
from tests.schemas.augmentations.problems import problems_of

STEPS = "steps: {mirror: {id: horizontal_flip}, noisy: {id: gaussian_noise, deviation: 0.2}}"


def test_steps_are_options_by_names_of_their_own() -> None:
    config = load_config([f"datamodule.augmentations.either={{id: one_of, {STEPS}, weights: {{noisy: 3}}}}"])

    assert config.datamodule.augmentations["either"] == OneOfConfig(
        steps={"mirror": HorizontalFlipConfig(), "noisy": GaussianNoiseConfig(deviation=0.2)}, weights={"noisy": 3}
    )


def test_compositions_hold_compositions() -> None:
    inner = f"{{id: sequence, {STEPS}}}"
    config = load_config([f"datamodule.augmentations.either={{id: one_of, steps: {{both: {inner}}}}}"])

    either = config.datamodule.augmentations["either"]
    assert isinstance(either, OneOfConfig)
    assert isinstance(either.steps["both"], SequenceConfig)


def test_every_slip_is_reported_with_its_path() -> None:
    found = problems_of(
        "either={id: one_of, steps: {a: {id: horizontal_flp}, b: {id: gaussian_noise, deviaton: 1}}, weights: {c: 1}}",
        "few={id: some_of, count: 3, steps: {mirror: {id: horizontal_flip}, up: {id: vertical_flip}}}",
        "typo={id: one_of, steps: {mirror: {id: horizontal_flip}}, weights: {miror: 1, mirror: 0}}",
        "none={id: sequence}",
    )

    assert found == {
        "either.steps.a.id": "no augmentation 'horizontal_flp'; did you mean 'horizontal_flip'?",
        "either.steps.b.deviaton": "GaussianNoiseConfig has no such field; did you mean 'deviation'?",
        "few.count": "expected at most 2, as many as there are steps, found 3",
        "none.steps": "needs an augmentation at least, as by steps={mirror: {id: horizontal_flip}}",
        "typo.weights.mirror": "expected a number above 0, found 0",
    }
    assert problems_of("typo={id: one_of, steps: {mirror: {id: horizontal_flip}}, weights: {miror: 1}}") == {
        "typo.weights.miror": "there is no step 'miror'; did you mean 'mirror'?"
    }


def test_a_composition_moves_what_all_of_its_steps_move() -> None:
    moves_masks = KorniaConfig(transform="RandomHorizontalFlip")

    assert SequenceConfig(steps={"mirror": HorizontalFlipConfig()}).moves == {"mask", "boxes", "labels"}
    assert SequenceConfig(steps={"one": HorizontalFlipConfig(), "other": moves_masks}).moves == {"mask"}
