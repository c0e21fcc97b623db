"""Tests and intervals of a mean that hold whenever, and however often, somebody looks at the values and adds more.

A p-value here is the reciprocal of an e-process: of evidence that has, without an effect, an expectation of at most 1
after any number of values, so that it ever reaches 1 / level with at most that probability (Ville 1939). Who looks
after every seed and stops when he likes what he sees is wrong no more often than who looks once.

The evidence is the likelihood ratio of the values up to their scale: of a normal mean that is off by `delta` standard
deviations, with `delta` from a mixture of normal distributions, over a mean of zero (Lai 1976; Wang and Ramdas 2024,
"Anytime-valid t-tests and confidence sequences for Gaussian means with unknown variance"). With one of them of
standard deviation c, after n values with Student's t, g = 1 + n c^2 and r^2 = t^2 / (t^2 + n - 1), it is

    g^(-1/2) (1 - r^2 (g - 1) / g)^(-n/2)

(Goenen et al. 2005, "The Bayesian two-sample t test"). Few values of a skewed distribution often lie close together and
away from their mean, which this ratio takes for an effect. So the noise that explains the values best is what evidence
counts against: normal noise, or exponential noise to either side (see `_skewness`).
"""

import math
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from statistics import fmean

from analysis.statistics import ALPHA, Interval, deviation_of

SCALES = (1.7, 5.0, 15.0, 60.0, 300.0)
"""Standard deviations of the effects that are looked for, in those of the values: a tail that is heavy enough for five
values with t = 100 to be evidence."""
WEIGHTS = (0.9, 0.05, 0.025, 0.015, 0.01)
"""Their shares. Nearly all of it is on effects that take some seeds to see."""

SKEW_ALLOWANCE = 5.6
"""How many times less evidence is enough against exponential noise: Ville's bound is that far from what looks after
each of 2 to 20 values do (by simulation, see docs/answers.md)."""

FARTHEST = 1e9
"""Ends of intervals farther from the mean than so many standard deviations are none."""


def two_sided(values: Sequence[float], mean: float = 0.0, floor: float = 0.0) -> float | None:
    """p-value of the values having this mean; None for fewer than two values.

    `floor` is the least standard deviation, as of values that are counts. Values that are all the same, without one,
    are judged by their number: as many coins would show one side with 2^(1 - n), at any look.
    """
    if len(values) < 2:
        return None
    if not deviation_of(values, floor):
        return 1.0 if math.isclose(fmean(values), mean, abs_tol=1e-12) else min(1.0, 2.0 ** (1 - len(values)))
    centred = _centred(values, mean, floor)
    return _p_value(_log_evidence(centred) + _skewness(centred))


def one_sided(values: Sequence[float], above: float, floor: float = 0.0) -> float | None:
    """p-value of the mean being no more than `above`; None for fewer than two values.

    Half of the effects that are looked for, those above, get all of the weight. Lower means lower every t of a series,
    so the evidence is as rare for any of them as at `above` itself.
    """
    if len(values) < 2:
        return None
    if not deviation_of(values, floor):
        return 0.5 ** len(values) if fmean(values) > above else 1.0
    centred = _centred(values, above, floor)
    return _p_value(_log_evidence(centred, one_side=True) + _skewness(centred))


def equivalence(values: Sequence[float], margin: float, floor: float = 0.0) -> float | None:
    """p-value of the mean being `margin` or more from zero: the larger of two one-sided tests (Schuirmann 1987)."""
    sides = _both_sides(values, -margin, floor)
    return max(sides) if sides else None


def beyond(values: Sequence[float], margin: float, floor: float = 0.0) -> float | None:
    """p-value of the mean being no more than `margin` from zero."""
    sides = _both_sides(values, margin, floor)
    return min(1.0, 2 * min(sides)) if sides else None


def interval(values: Sequence[float], level: float = ALPHA, floor: float = 0.0) -> Interval | None:
    """The means that `two_sided` does not reject at `level`: a confidence sequence, which holds at all looks together.

    None where it has no end yet: for fewer than two values, or where so few can reject nothing at this level.
    """
    if len(values) < 2:
        return None
    mean, deviation = fmean(values), deviation_of(values, floor)
    if not deviation:
        return (mean, mean) if 2.0 ** (1 - len(values)) <= level else None

    def rejects(sign: int, distance: float) -> bool:
        p = two_sided(values, mean + sign * distance, floor)
        return p is not None and p <= level

    nearest = critical(len(values), level) * deviation / math.sqrt(len(values))
    below, above = (_first(partial(rejects, sign), nearest, deviation) for sign in (-1, 1))
    return None if below is None or above is None else (mean - below, mean + above)


@lru_cache(maxsize=10_000)
def critical(n: int, level: float, *, one_side: bool = False) -> float:
    """The |t| of `n` values from which on there is enough evidence against normal noise; infinite where there is none.

    With `one_side`, that of the values above.
    """
    from scipy.optimize import brentq

    def lacking(log_t: float) -> float:
        t = math.exp(log_t)
        rest = (n - 1) / (n - 1 + t * t)
        return math.log(1 / level) - _log_mixture(n, rest, math.sqrt(1 - rest) if one_side else None)

    farthest = math.log(FARTHEST)
    if n < 2 or lacking(farthest) > 0:
        return math.inf
    return math.exp(float(brentq(lacking, -20, farthest, xtol=1e-10)))


def _both_sides(values: Sequence[float], above: float, floor: float) -> list[float]:
    """p-values of the mean, and of its opposite, being no more than `above`; none for fewer than two values."""
    sides = (one_sided([sign * value for value in values], above, floor) for sign in (1, -1))
    return [p for p in sides if p is not None]


def _p_value(log_evidence: float) -> float:
    return math.exp(-max(0.0, log_evidence))


def _centred(values: Sequence[float], mean: float, floor: float) -> list[float]:
    """The values less a mean; those that vary less than `floor` are spread evenly over what it hides."""
    middle, deviation = fmean(values), deviation_of(values)
    if deviation >= floor:
        return [value - mean for value in values]
    n = len(values)
    step = floor * math.sqrt(12 / (n * (n + 1)))  # of n evenly spaced values with this deviation (divisor n - 1)
    return [middle - mean + step * (i - (n - 1) / 2) for i in range(n)]


def _log_evidence(centred: Sequence[float], *, one_side: bool = False) -> float:
    """Logarithm of the likelihood ratio against normal noise; with `one_side` of positive means alone."""
    n, total = len(centred), math.fsum(centred)
    squares = math.fsum(value * value for value in centred)
    rest = max(0.0, 1 - total * total / (n * squares)) or 1e-18
    return _log_mixture(n, rest, math.copysign(math.sqrt(1 - rest), total) if one_side else None)


def _log_mixture(n: int, rest: float, r: float | None = None) -> float:
    """The evidence of `n` values from `rest` = 1 - r^2, and for one side from r with its sign.

    One side's normal effects are twice the part of both sides' that lies there: with k = (g - 1) / g, Student's
    distribution with n degrees of freedom at sqrt(n) r sqrt(k / (1 - r^2 k)).
    """
    from scipy.special import stdtr

    terms = []
    for scale, weight in zip(SCALES, WEIGHTS, strict=True):
        g = 1 + n * scale**2
        left = rest + (1 - rest) / g  # 1 - r^2 k
        term = math.log(weight) - 0.5 * math.log(g) - n / 2 * math.log(left)
        if r is not None:
            term += math.log(max(1e-300, 2 * float(stdtr(n, math.sqrt(n) * r * math.sqrt((1 - 1 / g) / left)))))
        terms.append(term)
    largest = max(terms)
    return largest + math.log(math.fsum(math.exp(term - largest) for term in terms))


def _skewness(centred: Sequence[float]) -> float:
    """What evidence against normal noise loses where skewed noise explains the values better, as a logarithm."""
    return min(0.0, math.log(SKEW_ALLOWANCE) + _skewness_ratio(centred))


def _skewness_ratio(centred: Sequence[float]) -> float:
    """Logarithm of the likelihood of normal noise over that of exponential noise to the likelier side.

    Both are those of values up to their scale, integrated over all scales with weight 1 / scale.
    """
    n = len(centred)
    normal = math.lgamma(n / 2) - math.log(2) - n / 2 * math.log(math.pi * math.fsum(v * v for v in centred))
    return normal - max(_log_exponential(centred), _log_exponential([-value for value in centred]))


def _log_exponential(centred: Sequence[float]) -> float:
    """Likelihood of values that are `scale` (e - 1), e exponential, over all scales; none is below -scale.

    With u = 1 / scale it is the integral of u^(n - 1) exp(-n - u total), up to 1 / |smallest| where that is negative.
    """
    from scipy.special import gammainc, hyp1f1

    n, total, smallest = len(centred), math.fsum(centred), min(centred)
    if smallest >= 0:
        return math.lgamma(n) - n * math.log(total) - n
    z = total / -smallest
    if z > n:
        return math.lgamma(n) - n * math.log(total) - n + math.log(float(gammainc(n, z)))
    # The integral of v^(n - 1) exp(-z v) up to 1 is exp(-z) 1F1(1; n + 1; z) / n (Kummer's transformation).
    return -n - n * math.log(-smallest) - z - math.log(n) + math.log(float(hyp1f1(1, n + 1, z)))


def _first(holds: Callable[[float], bool], start: float, step: float) -> float | None:
    """The distance from `start` on from which on something holds, to 1e-9 of it; None if there is none."""
    if not math.isfinite(start):
        return None
    low, high = start * (1 - 1e-9), start
    while not holds(high):
        low, high = high, 2 * high
        if high > FARTHEST * step:
            return None
    while high - low > 1e-9 * high:
        middle = (low + high) / 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high
