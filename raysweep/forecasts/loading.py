"""Says of which phases past runs are known to have waited for their images, and how many more CPUs would feed them."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from raysweep.experiment import LOADER_BOUND
from raysweep.forecasts.rates import DATA_WAIT, LOADERS, Rates


@dataclass(frozen=True, kw_only=True, slots=True)
class Loading:
    """What finished runs like a planned one say of the time for which their main workers waited for images."""

    waits: Mapping[str, float]
    """The part of the training's time, in percent, by phase."""
    loaders: float | None
    """How many threads of a worker read the images from files; None where these were in memory."""
    num_workers: int

    @classmethod
    def of(cls, rates: Rates, num_workers: int) -> "Loading":
        """What the medians over finished runs say; nothing of runs from before they noted it."""
        waits = {name.removesuffix(DATA_WAIT): value for name, value in rates.items() if name.endswith(DATA_WAIT)}
        return cls(waits=dict(sorted(waits.items())), loaders=rates.get(LOADERS), num_workers=num_workers)

    @property
    def bound(self) -> str:
        """The phase that waits for the largest part of its time, if that is worth saying; "" otherwise."""
        phase = max(self.waits, key=lambda name: self.waits[name], default="")
        return phase if phase and self.waits[phase] >= LOADER_BOUND else ""

    @property
    def more_cpus(self) -> int | None:
        """How many more CPUs all workers together need for images to be there in time; None where that is not known.

        With l threads that load all the time, an epoch takes T, of which a part w is waited. Training alone would take
        T (1 - w). To load as fast, l / (1 - w) threads are needed, that is l w / (1 - w) more, if each has a CPU.
        """
        if not self.bound or self.loaders is None or self.waits[self.bound] >= 100:
            return None
        w = self.waits[self.bound] / 100
        return self.num_workers * math.ceil(self.loaders * w / (1 - w) - 1e-9)

    def __str__(self) -> str:
        """The warning, as people read it; "" where there is none to give."""
        if not self.bound:
            return ""
        more = self.more_cpus
        fed = f"; {more} more CPU{'s' * (more != 1)} would feed it" if more else ""
        return f"loader-bound: {self.waits[self.bound]:.0f} % of the time{fed}"
