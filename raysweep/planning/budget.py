"""What is left of --budget-hours."""

import math
import time
from collections.abc import Callable


class Budget:
    """Hours from now on, or hours of slots (GPUs, or CPUs where there are none) that the runs of a sweep may use."""

    def __init__(self, hours: tuple[float, bool] | None, clock: Callable[[], float] = time.monotonic) -> None:
        """`hours` are those of --budget-hours, and whether they are hours of slots; None: there is no end."""
        number, of_slots = hours or (math.inf, False)
        self._clock = clock
        self.deadline = math.inf if of_slots else clock() + 3600 * number
        """When they end, in seconds of the clock."""
        self.slot_seconds = 3600 * number if of_slots else math.inf
        """Slots times seconds that are left."""

    def spend(self, slot_seconds: float) -> None:
        """Note that runs have used so many slots times seconds."""
        self.slot_seconds -= slot_seconds

    def left(self, slots: float) -> float:
        """Slots times seconds that are left where so many slots can be held at once."""
        return max(0.0, min(self.slot_seconds, slots * (self.deadline - self._clock())))
