"""What would settle an undecided question: how many more seeds, and what they cost."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from analysis import sample_sizes, statistics
from analysis.comparison.contrast import Contrast
from analysis.numbers import with_unit
from analysis.pooling.pooled import PooledEffect
from analysis.sample_sizes import SampleSize
from analysis.verdicts.commands import more_seeds_command
from analysis.verdicts.uncorrected import UncorrectedTest, equal_contrast, target_of


@dataclass(frozen=True, kw_only=True, slots=True)
class SeedsNeeded:
    """What would settle an undecided question."""

    seeds: int
    """Pairs in addition to those that there are."""
    power: float | None
    """The power of the test with all of them if the variance stays what it was; None where one seed shows none."""
    effect: str
    """What they would show."""
    hours: float | None
    """Hours of training, over all their runs; None where no run says how long it took."""
    command: str
    """What runs them; "" where the runs are the authors' own."""
    seeds_for_smallest: int | None = None
    """Where they would show a difference as large as the one seen: how many would show the smallest that matters."""


def seeds_needed(test: UncorrectedTest, level: float) -> SeedsNeeded | None:
    """How many more seeds would settle it with the variance seen, and their cost.

    They show a difference as large as the one seen, or, where that is larger, the smallest that matters.
    """
    values = test.contrast.values
    seen, smallest = test.contrast.estimate, None
    needed: SampleSize | None
    if test.contrast.pooled:
        return _seeds_of_cells(test, test.contrast.pooled, level)
    if test.question.kind == "pooled":
        return None
    if len(values) < 2:
        needed, effect = SampleSize(FIRST_LOOK, None), "how much they vary"
    elif test.question.kind == "equivalence":
        needed = _needed(test, level, test.margin)
        effect = f"equality within {with_unit(f'{test.margin:g}', test.metric.unit)}"
    elif test.question.kind == "target":
        target = target_of(test.question)
        needed = _needed(test, level, abs(seen - target))
        effect = f"on which side of {target:g} a mean of {seen:.2f} is"
    else:
        needed, effect = _needed(test, level, test.margin), f"a difference of {_spoken(test, test.margin)}"
        if abs(seen) > test.margin:
            smallest = needed.n - len(values) if needed and needed.n <= MOST_SEEDS else None
            needed = _needed(test, level, abs(seen))
            effect = f"a difference of {_spoken(test, seen)}, as large as seen,"
    if not needed or needed.n > MOST_SEEDS:
        return None
    return _more(test, max(1, needed.n - len(values)), needed.power, effect, smallest)


def _more(test: UncorrectedTest, more: int, power: float | None, effect: str, smallest: int | None) -> SeedsNeeded:
    """So many more seeds of the arms, with what they cost."""
    experiments = _experiments(test)
    seeds = _next_seeds(experiments, test.contrast.seeds, more)
    return SeedsNeeded(
        seeds=len(seeds),
        power=power,
        effect=effect,
        hours=_hours(experiments, seeds),
        command=more_seeds_command(test, seeds),
        seeds_for_smallest=smallest,
    )


MOST_SEEDS = 1000
"""More than these are nobody's advice."""

FIRST_LOOK = 3
"""Seeds with which a spread can be seen."""

POWERS = (sample_sizes.POWER, 0.9, 0.95, 0.99)
"""What has stayed undecided with as many seeds as the first asks for is asked with the next."""


def _seeds_of_cells(test: UncorrectedTest, pooled: PooledEffect, level: float) -> SeedsNeeded | None:
    """How many more seeds in each cell of a grid would settle its pooled question; None where only more cells would.

    The mean of k cells of n seeds each has the variance (tau^2 + noise^2 / n) / k, and is tested with k - 1 degrees.
    """
    if pooled.noise is None or pooled.heterogeneity is None:
        return _more(test, FIRST_LOOK - pooled.seeds[0], None, "how much they vary", None)
    seen, have = abs(pooled.estimate.mean), pooled.seeds[0]
    effect = max(seen, test.margin)

    def power_of(n: float) -> float:
        deviation = math.sqrt(tau**2 + noise**2 / n)
        return sample_sizes.difference_power(pooled.cells, deviation, effect, level)

    tau, noise = pooled.heterogeneity.tau, pooled.noise
    if power_of(MOST_SEEDS) < sample_sizes.POWER:
        return None
    n = next(n for n in range(have + 1, have + MOST_SEEDS) if power_of(n) >= sample_sizes.POWER)
    as_seen = ", as large as seen," if seen > test.margin else ""
    return _more(
        test, n - have, power_of(n), f"a mean difference of {_spoken(test, effect)} over the cells{as_seen}", None
    )


def _needed(test: UncorrectedTest, level: float, effect: float) -> SampleSize | None:
    """The seeds in all that show an effect (on the scale of the contrast), more than there are."""
    values = test.contrast.values
    needs = (
        sample_sizes.seeds_for_equivalence if test.question.kind == "equivalence" else sample_sizes.seeds_for_difference
    )
    deviation = statistics.deviation_of(values, test.contrast.floor)
    accuracy = equal_contrast(test) if test.question.kind == "time" else None
    for power in POWERS:
        if accuracy is None or len(accuracy.values) < 2:
            found = needs(deviation, effect, level, power)
        else:
            found = _both(deviation, effect, accuracy, test.question.equal_within, level, power)
        if found is None or found.n > len(values):
            return found
    return None


def _both(
    deviation: float, effect: float, accuracy: Contrast, within: float, level: float, power: float
) -> SampleSize | None:
    """Seeds with which two independent tests both succeed: that of times, and the one-sided one of accuracy."""
    each = math.sqrt(power)
    spread = statistics.deviation_of(accuracy.values, accuracy.floor)
    times = sample_sizes.seeds_for_difference(deviation, effect, level, each)
    equal = sample_sizes.seeds_for_one_side(spread, within, level, each)
    if times is None or equal is None:
        return None
    n = max(times.n, equal.n)
    return SampleSize(
        n,
        sample_sizes.difference_power(n, deviation, effect, level)
        * sample_sizes.one_sided_power(n, spread, within, level),
    )


def _spoken(test: UncorrectedTest, effect: float) -> str:
    if test.question.kind == "time":
        return f"{math.expm1(effect):.0%}"
    return with_unit(f"{effect:.3g}", test.metric.unit)


@dataclass(frozen=True, slots=True)
class _Experiment:
    """One of the experiments behind the arms."""

    finished: frozenset[int]
    diverged: frozenset[int]
    """Seeds that are not to be tried again."""
    tried: frozenset[int]
    seconds: float
    """The mean duration of a run; NaN where none says how long it took."""


def _experiments(test: UncorrectedTest) -> list[_Experiment]:
    setting, rows = test.setting, test.contrast.rows or {}
    found = []
    for name in dict.fromkeys(name for part in rows.values() for name in part["experiment"]):
        done = setting.runs[setting.runs["experiment"] == name]
        ended = setting.ended[setting.ended["experiment"] == name]
        diverged = _seeds(ended[ended["status"] == "diverged"])
        tried = _seeds(done) | _seeds(ended)
        found.append(_Experiment(_seeds(done), diverged, tried, float(duration_of(done).mean())))
    return found


def _seeds(rows: pd.DataFrame) -> frozenset[int]:
    return frozenset(int(seed) for seed in rows["seed"] if not pd.isna(seed))


def _next_seeds(experiments: Sequence[_Experiment], paired: Sequence[int], more: int) -> list[int]:
    """Seeds for more pairs: first those that only some experiments have, then the next ones."""
    finished = frozenset().union(*(e.finished for e in experiments))
    diverged = frozenset().union(*(e.diverged for e in experiments))
    tried = frozenset().union(*(e.tried for e in experiments))
    begun = sorted(finished - diverged - set(paired))[:more]
    start = max(tried, default=41) + 1
    return [*begun, *range(start, start + more - len(begun))]


def _hours(experiments: Sequence[_Experiment], seeds: Sequence[int]) -> float | None:
    """Hours of training, for the runs of these seeds that there are not yet."""
    hours = sum(e.seconds * len(set(seeds) - e.finished) for e in experiments) / 3600
    return None if math.isnan(hours) else hours


def duration_of(runs: pd.DataFrame) -> pd.Series:
    """Seconds that runs took, by their own clock or, without one, from start to end.

    Runs that trained side by side share that time.
    """
    known = pd.Series(math.nan, index=runs.index)
    for name in ("train_seconds", "seconds"):
        if name in runs:
            known = pd.to_numeric(runs[name], errors="coerce").fillna(known)
    if {"started", "finished"} <= set(runs) and known.isna().any():
        start, end = (pd.to_datetime(runs[name], utc=True, errors="coerce") for name in ("started", "finished"))
        at_once = pd.to_numeric(runs["side_by_side"], errors="coerce").fillna(1) if "side_by_side" in runs else 1
        known = known.fillna((end - start).dt.total_seconds() / at_once)
    return known
