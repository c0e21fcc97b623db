"""Forecasts when a sweep ends, whose trials start strictly in the order of the plan (see `admission.policy`)."""

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from raysweep.forecasts.forecast import Forecast
from raysweep.forecasts.rates import Shape
from raysweep.planning import end_of

FIRST_START_SECONDS = 15.0
"""Seconds from the command to the first line of training, for the start of Ray and of the first trials on two cores."""
START_SECONDS = 1.0
"""Seconds from a free slot to the first line of a trial whose processes wait for it (benchmarks/README.md)."""
COMMON = 0.1
"""Relative standard deviation of an error that all runs of a sweep share, such as that of other load on the machine."""
DRAWS = 200


@dataclass(frozen=True, kw_only=True, slots=True)
class Trial:
    """Runs that follow each other in the same processes."""

    runs: Sequence[Forecast]
    slots: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Total:
    """The work and duration of all trials. Intervals hold nine of ten draws from the errors of the forecasts."""

    work: float
    """Seconds of training, added up over the runs."""
    seconds: float
    """Seconds from the start of the first run to the end of the last one."""
    low: float
    high: float
    unknown: int
    """Runs without a forecast, which are left out."""


def total(
    trials: Sequence[Trial],
    slots: float,
    *,
    start_seconds: float = START_SECONDS,
    first_seconds: float = FIRST_START_SECONDS,
    common: float = COMMON,
) -> Total:
    """The work and duration of trials that start in order on this many `slots`.

    The errors of the rates are independent between shapes and the same within one; `common` is added to all. How early
    runs stop is drawn for the whole sweep at once, between the fewest epochs and those expected.
    """
    known = [Trial(runs=[f for f in t.runs if f.seconds is not None], slots=t.slots) for t in trials]
    known = [trial for trial in known if trial.runs]
    first_seconds = first_seconds if known else 0.0
    expected = [(sum(f.seconds or 0.0 for f in trial.runs) + start_seconds, trial.slots) for trial in known]
    seconds = end_of(expected, slots)
    draw = random.Random(0)
    ends = sorted(_drawn(known, slots, start_seconds, common, draw) for _ in range(DRAWS)) if known else [0.0]
    return Total(
        work=sum(f.seconds or 0.0 for trial in known for f in trial.runs),
        seconds=seconds + first_seconds,
        low=min(seconds, ends[len(ends) // 20]) + first_seconds,
        high=max(seconds, ends[-1 - len(ends) // 20]) + first_seconds,
        unknown=sum(f.seconds is None for trial in trials for f in trial.runs),
    )


def _drawn(known: Sequence[Trial], slots: float, start: float, common: float, draw: random.Random) -> float:
    """Seconds that a sweep takes with errors that are drawn at random."""
    shared, lasting = math.exp(draw.gauss(0, common)), draw.random()
    factors = _factors(known, draw)

    def seconds_of(forecast: Forecast) -> float:
        longest, least = forecast.seconds or 0.0, forecast.least or 0.0
        return (least + lasting * (longest - least)) * factors[forecast.shape] * shared

    return end_of([(sum(map(seconds_of, trial.runs)) + start, trial.slots) for trial in known], slots)


def _factors(known: Sequence[Trial], draw: random.Random) -> Mapping[Shape, float]:
    """The factor by which the runs of each shape take longer than predicted, drawn from its spread."""
    spreads = {f.shape: f.spread for trial in known for f in trial.runs}
    return {shape: math.exp(draw.gauss(0, spread)) for shape, spread in spreads.items()}
