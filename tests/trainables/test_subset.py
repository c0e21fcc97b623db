"""Subsets of the training images against the rule, written plainly."""

import math
from fractions import Fraction

import numpy as np
import pytest

from trainables.data.info import DataError
from trainables.data.subset import held_out_split, stratified_subset


@pytest.mark.parametrize("size", [0.1, 0.29, 0.5, 40, 7])
def test_subset_follows_the_rule(size):
    labels = np.random.RandomState(0).randint(0, 7, 400)
    rng, expected = np.random.RandomState(3), []
    for label in range(7):
        members = np.where(labels == label)[0]
        count = math.floor(size * len(members) if size < 1 else Fraction(size, 400) * len(members))
        expected.extend(rng.choice(members, max(1, count), replace=False))
    np.testing.assert_array_equal(stratified_subset(labels, size, 3), expected)


def test_subset_of_everything_keeps_the_order_and_too_many_are_refused():
    labels = np.array([1, 0, 1, 0])
    np.testing.assert_array_equal(stratified_subset(labels, 1.0, 5), [0, 1, 2, 3])
    with pytest.raises(DataError, match="train_size=5 is more than the 4"):
        stratified_subset(labels, 5, 0)


def test_held_out_images_are_not_trained_on():
    labels = np.repeat(np.arange(10), 50)
    kept, held_out = held_out_split(labels, 0.1, 0)
    assert sorted([*kept, *held_out]) == list(range(500))
    np.testing.assert_array_equal(np.bincount(labels[held_out]), [5] * 10)
