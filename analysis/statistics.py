"""Intervals of means, and how many runs a claim needs."""

import math
from collections.abc import Sequence
from functools import lru_cache
from statistics import fmean, stdev

CONFIDENCE = 0.95
MOST_RUNS = 100_000


def t_interval(values: Sequence[float], confidence: float = CONFIDENCE) -> tuple[float, float] | None:
    """Two-sided Student interval of the mean; None for fewer than two values, which show no variance."""
    if len(values) < 2:
        return None
    half = half_width(stdev(values), len(values), confidence)
    return fmean(values) - half, fmean(values) + half


def runs_needed(values: Sequence[float], target: float, confidence: float = CONFIDENCE) -> int | None:
    """Runs after which the interval would leave out `target`, if mean and variance stay as they are.

    None where that cannot be said: fewer than two values, or a mean so near that it takes more than 100,000 runs.
    """
    if len(values) < 2:
        return None
    distance, deviation = abs(fmean(values) - target), stdev(values)
    low, high = 1, len(values)
    while not 0 < half_width(deviation, high, confidence) < distance and deviation > 0:
        low, high = high, 2 * high
        if high > MOST_RUNS:
            return None
    while high - low > 1:  # the width falls with n
        middle = (low + high) // 2
        low, high = (low, middle) if half_width(deviation, middle, confidence) < distance else (middle, high)
    return high


def half_width(deviation: float, n: int, confidence: float) -> float:
    """Half the width of the two-sided Student interval of a mean of `n` values; infinite for fewer than two."""
    if n < 2:
        return math.inf
    return _quantile((1 + confidence) / 2, n - 1) * deviation / math.sqrt(n)


@lru_cache(maxsize=1000)
def _quantile(probability: float, degrees: int) -> float:
    """Of Student's distribution; a search asks for the same ones again and again."""
    from scipy.stats import t

    return float(t.ppf(probability, degrees))
