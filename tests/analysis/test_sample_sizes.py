"""Predicted numbers of runs, against simulations of the tests that decide."""

import numpy as np
import pytest
from scipy import stats

from analysis.anytime import critical, equivalence, two_sided
from analysis.sample_sizes import (
    difference_power,
    equivalence_power,
    one_sided_power,
    runs_needed,
    seeds_for_difference,
    seeds_for_equivalence,
    seeds_for_one_side,
)

LEVEL = 0.05 / 4


@pytest.mark.parametrize("effect", [0.3, 0.6])
def test_the_predicted_seeds_are_the_first_that_show_the_effect_as_often_as_asked(effect):
    needed = seeds_for_difference(0.3, effect, LEVEL)
    threshold, shift = critical(needed.n, LEVEL), effect / 0.3 * np.sqrt(needed.n)
    assert needed.power == pytest.approx(stats.nct.sf(threshold, needed.n - 1, shift))
    assert needed.power >= 0.8 > difference_power(needed.n - 1, 0.3, effect, LEVEL)
    one = seeds_for_one_side(0.3, effect, LEVEL)
    assert one.n <= needed.n
    assert one.power >= 0.8 > one_sided_power(one.n - 1, 0.3, effect, LEVEL)


def test_who_looks_after_each_seed_sees_the_effect_by_then_about_as_often_as_said():
    """Looking early helps; that few values may be skewed noise costs some of it again."""
    rng = np.random.default_rng(1)
    needed = seeds_for_difference(0.4, 0.5)
    draws = rng.normal(0.5, 0.4, (300, needed.n))
    seen = [any(two_sided(list(row[:n])) <= 0.05 for n in range(4, needed.n + 1)) for row in draws]
    assert np.mean(seen) == pytest.approx(needed.power, abs=0.08)


def test_the_power_of_equivalence_is_that_of_a_simulation():
    rng = np.random.default_rng(0)
    needed = seeds_for_equivalence(0.3, 0.2)
    draws = rng.normal(0, 0.3, (800, needed.n))
    shown = np.mean([equivalence(list(row), 0.2) <= 0.05 for row in draws])
    assert shown == pytest.approx(needed.power, abs=0.05)
    assert needed.power >= 0.8 > equivalence_power(needed.n - 1, 0.3, 0.2)


@pytest.mark.parametrize("target", [93.5, 93.95, 94.0])
def test_the_runs_needed_are_the_first_whose_interval_leaves_out_the_target(target):
    values = [93.9, 94.1, 94.05, 93.8, 94.0]
    needed = runs_needed(values, target)
    distance = abs(np.mean(values) - target)

    def half(n: int) -> float:
        return stats.t.ppf(0.975, n - 1) * np.std(values, ddof=1) / np.sqrt(n)

    assert half(needed) < distance <= half(needed - 1)
