"""A sequential search for the value of a field from which on a metric's mean reaches a target, as pure functions.

The mean is taken to grow with the field. Each value is judged at the looks of the search, by the mean of its runs and
a one-sided Student interval: it reaches the target once their mean does and the true mean is no lower than the target
less the tolerance, and it falls short once their mean does and the true mean is below the target plus the tolerance.
The probability of a wrong judgement, 1 - confidence in all, is shared equally by all looks at all values (Bonferroni),
so looking often and stopping early costs nothing of the confidence. First the values move away from the start in
growing steps until one falls short and one reaches; then they halve the bracket between the two (on a logarithmic
scale) until it is as narrow as asked.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from analysis.statistics import half_width
from raysweep.experiment import Search

FIRST_STEP = 1.1
"""Factor of the first step from the start; each further step is as long as the way so far, times this."""

MOST_VALUES = 12
"""Values over which the probability of error is shared: six growing steps and six halvings, from 1 to 200."""

ByValue = Mapping[float, Sequence[float]]
"""The metric of the runs at each value of the field."""


@dataclass(frozen=True, slots=True)
class Request:
    """`n` runs in all are needed at a value."""

    value: float
    n: int


@dataclass(frozen=True, slots=True)
class Judgement:
    """Whether the mean at a value reaches the target."""

    value: float
    reaches: bool
    sure: bool
    """Whether the interval decided; if not, the mean alone did, because there are no more runs."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The bracket: the smallest value that reaches the target and the largest below it that falls short."""

    reaches: Judgement | None
    """The smallest value that reaches the target; None where no value does."""
    short: Judgement | None
    """The largest value below it that falls short; None where even the smallest allowed reaches the target."""
    closed: bool
    """Whether the search is over."""

    @property
    def sure(self) -> bool:
        """Whether intervals decided both ends."""
        return all(end.sure for end in (self.reaches, self.short) if end)


def next_step(search: Search, target: float, results: ByValue, start: float, most_runs: int) -> Request | Answer:
    """What to run next, or the answer. `most_runs` is how many there can be at one value.

    A value whose interval has not decided by then is judged by its mean.
    """
    judged = {value: _judge(search, target, results, value, most_runs) for value in results}
    answer = _bracket(search, judged)
    value = _next_value(search, answer, start)
    if value is None:
        return answer
    n = len(results.get(value, ()))
    look = next((look for look in search.looks if look > n), most_runs)
    return Request(value, min(look, most_runs))


def answer_so_far(search: Search, target: float, results: ByValue) -> Answer:
    """The bracket that the results support, by intervals where they decide and by means elsewhere."""
    return _bracket(search, {value: _judge(search, target, results, value, 0) for value in results})


def additive_prediction(base: float, alone: Sequence[float]) -> float:
    """The value if every change brought, beside the others, what it brings alone: base - sum(base - alone)."""
    return base - sum(base - value for value in alone)


def _judge(search: Search, target: float, results: ByValue, value: float, most_runs: int) -> Judgement | None:
    """Judges a value by its runs; None where they cannot tell yet."""
    runs = results[value]
    if not runs:
        return None
    mean = fmean(runs)
    tests = len(search.looks) * max(MOST_VALUES, len(results))
    error = (1 - search.confidence) / tests
    half = half_width(stdev(runs), len(runs), 1 - 2 * error) if len(runs) > 1 else math.inf
    sure = half <= abs(mean - target) + search.tolerance
    return Judgement(value, reaches=mean >= target, sure=sure) if sure or len(runs) >= most_runs else None


def _bracket(search: Search, judged: Mapping[float, Judgement | None]) -> Answer:
    """Where judgements contradict each other, the largest value that falls short counts."""
    known = [judgement for judgement in judged.values() if judgement]
    short = max((j for j in known if not j.reaches), key=lambda j: j.value, default=None)
    above = [j for j in known if j.reaches and (short is None or j.value > short.value)]
    reaches = min(above, key=lambda j: j.value, default=None)
    low, high = search.limits
    if short and reaches:
        room = reaches.value - short.value >= 1.5 * 10.0**-search.digits  # for a value between the two
        closed = not room or reaches.value / short.value <= search.ratio
    else:
        closed = bool((reaches and reaches.value <= low) or (short and short.value >= high))
    return Answer(reaches, short, closed)


def _next_value(search: Search, answer: Answer, start: float) -> float | None:
    """The value to try next; None where the bracket is closed."""
    if answer.closed:
        return None
    if answer.short and answer.reaches:
        return round(math.sqrt(answer.short.value * answer.reaches.value), search.digits)
    value, least = start, 10.0**-search.digits
    if answer.reaches:
        smallest = answer.reaches.value
        value = min(smallest / (FIRST_STEP * max(1.0, start / smallest)), smallest - least)
    elif answer.short:
        largest = answer.short.value
        value = max(largest * FIRST_STEP * max(1.0, largest / start), largest + least)
    low, high = search.limits
    return min(high, max(low, round(value, search.digits)))
