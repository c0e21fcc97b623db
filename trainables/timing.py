"""The rates, durations and shares in a run's results: medians, so that a single slow epoch does not move them."""

import statistics
from collections import defaultdict


class Timings:
    """Measured values by the name that results have for them.

    Only this process's are kept: a run that goes on from a checkpoint starts anew.
    """

    def __init__(self) -> None:
        self._values: defaultdict[str, list[float]] = defaultdict(list)

    def add(self, name: str, value: float) -> None:
        """Note one more value of a rate (per second), a duration (seconds) or a share (percent)."""
        self._values[name].append(value)

    def medians(self) -> dict[str, float]:
        """The median of each name's values."""
        return {name: statistics.median(values) for name, values in self._values.items()}
