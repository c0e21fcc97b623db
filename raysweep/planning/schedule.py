"""Computes when trials end if they start in order, each as soon as there is room for it."""

import heapq
from collections.abc import Iterable, Sequence


def end_of(trials: Sequence[tuple[float, float]], slots: float, running: Iterable[tuple[float, float]] = ()) -> float:
    """Seconds until the last trial ends (see `ends_of`)."""
    running = list(running)
    return max([*(end for end, _ in running), *ends_of(trials, slots, running)], default=0.0)


def ends_of(
    trials: Sequence[tuple[float, float]], slots: float, running: Iterable[tuple[float, float]] = ()
) -> list[float]:
    """Seconds until each trial ends, if each starts in order as soon as its slots are free.

    A trial is given as (seconds, slots); for those that are `running`, these are the seconds that they have left.
    """
    busy, ends = list(running), []
    heapq.heapify(busy)
    now, free = 0.0, slots - sum(need for _, need in busy)
    for seconds, need in trials:
        while busy and need > free + 1e-9:
            now, given = heapq.heappop(busy)
            free += given
        heapq.heappush(busy, (now + seconds, need))
        ends.append(now + seconds)
        free -= need
    return ends
