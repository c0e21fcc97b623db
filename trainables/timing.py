"""How fast the parts of a run are, as its results say it: medians, which one slow epoch does not move."""

import statistics
from collections import defaultdict


class Timings:
    """Measured values by the name that results have for them, of this process alone: a run that goes on counts anew."""

    def __init__(self) -> None:
        self._values: defaultdict[str, list[float]] = defaultdict(list)

    def add(self, name: str, value: float) -> None:
        """Note one more value of a rate (per second) or a duration (seconds)."""
        self._values[name].append(value)

    def medians(self) -> dict[str, float]:
        """The median of each."""
        return {name: statistics.median(values) for name, values in self._values.items()}
