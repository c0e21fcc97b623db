"""What a question compares, in one metric and for one arm: a number for each seed, and the runs behind it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import fmean

import pandas as pd

from analysis.pooling.pooled import PooledEffect


@dataclass(frozen=True, kw_only=True)
class Contrast:
    """One number for each seed, whose mean is the answer's estimate; over a grid, one for each cell."""

    metric: str
    arm: str
    baseline: str
    """Labels of the two; the baseline's is "" where there is none, as for a target or a single trend."""
    values: tuple[float, ...] = ()
    """One for each seed. A difference is arm minus baseline, a question about time takes the logarithm of their ratio,
    a trend is the slope per doubling, an interaction both - one - other + baseline, and a target the metric itself.
    Over a grid there is one for each cell: the mean over its seeds."""
    seeds: tuple[int, ...] = ()
    means: Mapping[str, float] | None = None
    """The mean of each arm over these seeds."""
    sides: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    """What was subtracted: the values of each arm by seed. None of a trend or a grid."""
    rows: Mapping[str, pd.DataFrame] | None = None
    """The runs of each arm behind the values."""
    missing: str = ""
    """What there is no result of yet; then there are no values."""
    floor: float = 0.0
    """What the resolution of the metric, such as one test image, hides of the standard deviation of the values."""
    flags: tuple[str, ...] = ()
    cells: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    """Of a grid, the differences by seed in each cell, by its name."""
    pooled: PooledEffect | None = None
    """Of a grid, what its cells say together; None where there are too few of them."""

    @property
    def estimate(self) -> float:
        """The answer's estimate."""
        return self.pooled.estimate.mean if self.pooled else fmean(self.values)


NO_SEED = -1
"""Stands for the seed of a run that was made without one."""
