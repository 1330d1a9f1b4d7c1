from __future__ import annotations

import numpy as np
import pytest

from training.data.split import folds, group_duplicates, join_groups, label_conflicts, split
from training.errors import DataError

FRACTIONS = {"validation": 0.1, "test": 0.1}


def test_duplicates_share_a_group_numbered_in_order_of_appearance() -> None:
    digests = np.array([[9, 9], [1, 1], [9, 9], [0, 5]], np.uint8)
    assert group_duplicates(digests).tolist() == [0, 1, 0, 2]


def test_every_class_is_divided_by_the_fractions() -> None:
    labels = np.repeat([0, 1, 2], [1000, 100, 30])
    parts = split(labels, np.arange(1130), FRACTIONS, ["a", "b", "c"], seed=0)
    assert np.bincount(parts["test"]).size <= 1130
    assert np.bincount(labels[parts["test"]]).tolist() == [100, 10, 3]
    assert np.bincount(labels[parts["validation"]]).tolist() == [100, 10, 3]
    assert sorted(np.concatenate(list(parts.values())).tolist()) == list(range(1130))


@pytest.mark.parametrize("seed", range(20))
def test_no_image_is_in_two_parts_and_every_class_is_in_each(seed: int) -> None:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 4, 400)
    groups = rng.integers(0, 150, 400)
    groups = group_duplicates(groups.astype("<u4").view(np.uint8).reshape(-1, 4))
    parts = split(labels, groups, FRACTIONS, list("abcd"), seed)
    in_parts = [set(groups[part].tolist()) for part in parts.values()]
    assert not in_parts[0] & in_parts[1]
    assert not in_parts[0] & in_parts[2]
    assert not in_parts[1] & in_parts[2]
    assert sum(map(len, parts.values())) == 400


def test_the_smallest_divisible_class_has_one_image_in_each_part() -> None:
    parts = split(np.array([0, 0, 0, 1, 1, 1]), np.arange(6), FRACTIONS, ["a", "b"], seed=3)
    assert [len(part) for part in parts.values()] == [2, 2, 2]


def test_a_class_too_small_to_divide_is_named() -> None:
    with pytest.raises(DataError, match="class 'b' has 2; each needs 3, one each for train"):
        split(np.array([0, 0, 0, 1, 1, 1]), np.array([0, 1, 2, 3, 4, 4]), FRACTIONS, ["a", "b"], seed=0)


def test_the_seed_determines_the_split() -> None:
    labels, groups = np.repeat([0, 1], 50), np.arange(100)

    def test_part(seed: int) -> list[int]:
        found: list[int] = split(labels, groups, FRACTIONS, ["a", "b"], seed)["test"].tolist()
        return found

    assert test_part(1) == test_part(1)
    assert test_part(1) != test_part(2)


def test_one_image_under_two_labels_is_a_conflict() -> None:
    conflicts = label_conflicts(np.array([0, 1, 1, 0, 0]), np.array([0, 0, 1, 2, 2]))
    assert [samples.tolist() for samples in conflicts] == [[0, 1]]


def test_groups_that_hold_several_classes_are_divided_too() -> None:
    """A patient has benign and malignant images: the group goes to one part, with all of its classes."""
    labels, groups = np.tile([0, 1], 20), np.repeat(np.arange(10), 4)
    parts = split(labels, groups, FRACTIONS, ["a", "b"], seed=0)
    assert [len(set(groups[chosen].tolist())) for chosen in parts.values()] == [8, 1, 1]


def test_a_part_that_gets_no_group_of_a_class_ends_the_run() -> None:
    groups = np.arange(30)
    groups[20:] = np.arange(10)  # class b is in groups of class a only
    labels = np.repeat([0, 1], [20, 10])
    found = set()
    for seed in range(20):
        try:
            split(labels, groups, FRACTIONS, ["a", "b"], seed)
        except DataError as error:
            found.add(str(error))
    assert found == {
        f"no group of class 'b' came into the part {part}; try another --seed" for part in ("validation", "test")
    }


def test_samples_that_share_a_group_in_either_way_share_a_number() -> None:
    joined = join_groups(np.array([0, 1, 1, 2, 3]), np.array([0, 0, 1, 2, 3]))
    assert joined[0] == joined[1] == joined[2]
    assert len({joined[0], joined[3], joined[4]}) == 3


def test_folds_have_the_same_size_and_the_same_share_of_each_class_and_divide_no_group() -> None:
    labels = np.repeat([0, 1, 2], [50, 25, 7])
    groups = np.arange(82)
    groups[:10] = 0
    number = folds(labels, groups, 5, seed=3)
    assert len(set(number[:10].tolist())) == 1
    for label in range(3):
        counts = [len(np.unique(groups[(labels == label) & (number == fold)])) for fold in range(5)]
        assert max(counts) - min(counts) <= 1
    assert folds(labels, groups, 5, seed=3).tolist() == number.tolist()
    assert folds(labels, groups, 5, seed=4).tolist() != number.tolist()
