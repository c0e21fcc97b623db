"""One answer over the cells of a grid, from the differences by seed in each."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from analysis.pooling.estimate import Estimate
from analysis.pooling.moderated import LEAST_CELLS, moderated_estimates
from analysis.pooling.random_effects import (
    Heterogeneity,
    equal_weights,
    hartung_knapp,
    heterogeneity,
    outlying,
    p_of_equal_means,
)
from analysis.statistics import ALPHA, Interval


@dataclass(frozen=True, kw_only=True, slots=True)
class PooledEffect:
    """The mean effect over cells, and how much they differ."""

    estimate: Estimate
    cells: int
    seeds: tuple[int, int]
    """The fewest and the most seeds of a cell."""
    above: int
    """In how many cells the difference is above zero."""
    spread: float
    """Standard deviation of the cells' means, the noise of their seeds included."""
    noise: float | None
    """Standard deviation over the seeds of a cell: the root of the mean of the moderated variances. None where fewer
    than three cells have two seeds."""
    heterogeneity: Heterogeneity | None
    """None where `noise` is: one seed each says nothing of it."""
    prediction: Interval
    """95 % prediction interval of the effect of one more cell; where `noise` is None, of one more cell's difference at
    as many seeds as these have."""
    differing: Mapping[str, tuple[float, float]]
    """Cells that differ from the mean of the others, by what they are called: by how much, and the p-value corrected by
    Holm over all cells."""


def pooled_effect(cells: Mapping[str, Sequence[float]], floor: float = 0.0) -> PooledEffect | None:
    """The answer over cells, by their names, of one or more differences each; `floor` as in `analysis.statistics`.

    From three cells with two seeds or more on, the noise of seeds is known: its variances are moderated, a cell of one
    seed taking that of the others, and cells weigh by them and by tau^2. Otherwise cells weigh equally. None for fewer
    than three cells, or where nothing varies.
    """
    if len(cells) < LEAST_CELLS:
        return None
    values = list(cells.values())
    means, counts = [fmean(part) for part in values], [len(part) for part in values]
    known = moderated_estimates(values, [floor] * len(values))
    noise = found = None
    if known:
        variances = [cell.error**2 for cell in known[1]]
        found = heterogeneity(means, variances, p_of_equal_means(values, floor))
        mean: Estimate | None = hartung_knapp(means, variances, found.tau**2)
        noise = math.sqrt(fmean(v * n for v, n in zip(variances, counts, strict=True)))
    else:
        mean = equal_weights(means, floor)
    if mean is None or not mean.error:
        return None
    away = dict(zip(cells, outlying(means, known[1] if known else None, floor), strict=True))
    beyond = found.tau if found else max(floor, stdev(means))
    return PooledEffect(
        estimate=mean,
        cells=len(cells),
        seeds=(min(counts), max(counts)),
        above=sum(value > 0 for value in means),
        spread=stdev(means),
        noise=noise,
        heterogeneity=found,
        prediction=Estimate(mean.mean, math.hypot(beyond, mean.error), mean.degrees).interval(),
        differing={name: (distance, p) for name, (distance, p) in away.items() if p <= ALPHA},
    )
