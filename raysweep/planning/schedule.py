"""Computes when trials end if they start in order, each as soon as there is room for it."""

import heapq
from collections.abc import Iterable, Sequence


def end_of(trials: Sequence[tuple[float, float]], slots: float, running: Iterable[tuple[float, float]] = ()) -> float:
    """Seconds until the last trial ends, if each starts in order as soon as its slots are free.

    A trial is given as (seconds, slots); for those that are `running`, these are the seconds that they have left.
    """
    ends = list(running)
    heapq.heapify(ends)
    now, free = 0.0, slots - sum(need for _, need in ends)
    for seconds, need in trials:
        while ends and need > free + 1e-9:
            now, given = heapq.heappop(ends)
            free += given
        heapq.heappush(ends, (now + seconds, need))
        free -= need
    return max((end for end, _ in ends), default=now)
