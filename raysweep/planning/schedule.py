"""Works out when trials end that start in order, each as soon as there is room for it."""

import heapq
from collections.abc import Iterable, Sequence


def end_of(trials: Sequence[tuple[float, float]], slots: float, running: Iterable[tuple[float, float]] = ()) -> float:
    """Seconds until the last trial ends, if each starts in order as soon as its slots are free.

    Trials are given as (seconds, slots); those that are `running` by the seconds that are left of them.
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
