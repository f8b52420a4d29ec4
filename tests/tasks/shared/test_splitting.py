import pytest
import torch

from app.schemas.splitting import SplitConfig
from app.tasks.shared.splitting import every_fifth_of_each, train_alone, train_and_val


def test_train_and_val_share_the_samples_between_them() -> None:
    train, val = train_and_val(100, SplitConfig(train_val_split=(0.7, 0.3)))

    assert (len(train), len(val)) == (70, 30)
    assert sorted([*train.tolist(), *val.tolist()]) == list(range(100))


def test_the_division_never_changes() -> None:
    train, val = train_and_val(10, SplitConfig(train_val_split=(0.8, 0.2), split_seed=3))

    assert (train.tolist(), val.tolist()) == ([6, 0, 3, 7, 8, 5, 1, 9], [2, 4])


def test_less_training_data_leaves_val_as_it_is() -> None:
    whole, part = (train_and_val(50, SplitConfig(train_fraction=fraction)) for fraction in (1.0, 0.2))

    assert part[0].tolist() == whole[0].tolist()[:9]
    assert torch.equal(whole[1], part[1])


def test_of_each_class_the_same_share_is_train() -> None:
    classes = torch.tensor([0] * 40 + [1] * 8 + [2] * 2)

    train, val = train_and_val(50, SplitConfig(train_val_split=(0.75, 0.25)), classes=classes)

    assert classes[train].bincount().tolist() == [30, 6, 1]
    assert classes[val].bincount().tolist() == [10, 2, 1]
    assert classes[train].tolist() != sorted(classes[train].tolist())


@pytest.mark.parametrize("share", [0.1, 0.9])
@pytest.mark.parametrize(("size", "smaller"), [(1, 0), (2, 1), (3, 1)])
def test_few_samples_give_each_split_one(size: int, smaller: int, share: float) -> None:
    train, val = train_and_val(size, SplitConfig(train_val_split=(share, 1 - share)))

    assert sorted((len(train), len(val))) == [smaller, size - smaller]
    assert len(train) >= 1


def test_what_is_all_for_training_is_used_in_part_at_random() -> None:
    one, same, other = (train_alone(100, SplitConfig(train_fraction=0.1, split_seed=seed)) for seed in (0, 0, 1))

    assert len(one) == 10
    assert torch.equal(one, same)
    assert set(one.tolist()) != set(other.tolist())
    assert set(train_alone(100, SplitConfig()).tolist()) == set(range(100))


def test_every_class_gives_a_fifth_to_the_test_split() -> None:
    classes = torch.tensor([3, 0, 3, 3, 3, 0, 3, 3])

    assert every_fifth_of_each(classes).tolist() == [False, False, False, False, False, False, True, False]
