"""Rough rates of runs that nobody has measured: their operations, at the speed of what was rated, or of a product.

Where a run of the same trainables was rated on this device, its speed in operations per second is that of the others.
Else the trainable times a matrix product, once for a device, and says which part of that speed training reaches.
"""

import contextlib
import dataclasses
import hashlib
import json
import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Literal

from raysweep.forecasts.rates import Rated, Rates, Share
from raysweep.ledger import write_json
from raysweep.messages import PlanError
from raysweep.planning import PlannedRun
from raysweep.trainable import Phase
from raysweep.trainable_loader import load_trainable

Flops = Callable[[PlannedRun], Mapping[str, tuple[float, float]] | None]
"""Returns the (forward, training) floating-point operations of a run for each image, by phase; None if unknown."""

MOST_OTHERS = 20
"""The speed of rough forecasts is taken from at most this many rated runs."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Speed:
    """How fast a run works off its operations, all workers together."""

    operations: float
    """Floating-point operations per second."""
    seconds_per_image: float = 0.0
    """What an image takes beside them."""


def speed_of_rated(rated: Sequence[tuple[PlannedRun, Rated]], flops: Flops) -> Speed | None:
    """The speed that rated runs reach in training, as a geometric mean."""
    logs = []
    for run, known in rated[:MOST_OTHERS]:
        with contextlib.suppress(ValueError):  # data that are no more where they were
            for phase, (_, training) in (flops(run) or {}).items():
                rate = known.rates.get(f"{phase}_images_per_second")
                if rate and training:
                    logs.append(math.log(training * rate))
    return Speed(operations=math.exp(statistics.mean(logs))) if logs else None


def rough_rates(
    phases: Sequence[Phase], operations: Mapping[str, tuple[float, float]] | None, speed: Speed | None
) -> Rates:
    """The rates of phases with so many operations for each image, at a speed; none where a part is unknown."""
    rates = {}
    for phase in phases if operations and speed else ():
        forward, training = (operations or {}).get(phase["phase"], (0.0, 0.0))
        if not (forward and training and speed):
            return {}
        beside = speed.seconds_per_image
        rates[f"{phase['phase']}_images_per_second"] = 1 / (training / speed.operations + beside)
        rates[f"{phase['phase']}_validation_images_per_second"] = 1 / (forward / speed.operations + beside)
    return rates


class ProductSpeed:
    """The speed of runs by a matrix product, which is timed once for each device and kept in the cache."""

    def __init__(self, share_of: Callable[[PlannedRun], Share], cache: Path) -> None:
        self._share_of, self._folder = share_of, cache / "products"
        self._known: dict[Path, float | None] = {}

    def __call__(self, run: PlannedRun) -> Speed | None:
        """The speed of a run; None where its trainable times no product, or cannot."""
        trainable, share = load_trainable(run.experiment.trainable), self._share_of(run)
        if not (trainable.has("matrix_product") and trainable.has("reach")):
            return None
        device: Literal["cpu", "cuda"] = "cuda" if share.gpus else "cpu"
        product = self._product(run, share, device)
        if product is None:
            return None
        reach = trainable.reach(run.config, run.num_workers, device)
        return Speed(
            operations=run.num_workers * product * reach["fraction"],
            seconds_per_image=reach["seconds_per_image"] / run.num_workers,
        )

    def _product(self, run: PlannedRun, share: Share, device: Literal["cpu", "cuda"]) -> float | None:
        """Operations per second of one worker's product."""
        alone = dataclasses.asdict(dataclasses.replace(share, at_once=1))
        what = json.dumps([run.experiment.trainable, alone, version("torch")], sort_keys=True)
        file = self._folder / f"{hashlib.sha256(what.encode()).hexdigest()[:16]}.json"
        if file not in self._known:
            self._known[file] = _kept(file)
            if self._known[file] is None:
                with contextlib.suppress(PlanError, ValueError, OSError):
                    self._known[file] = load_trainable(run.experiment.trainable).matrix_product(device, share.threads)
                with contextlib.suppress(OSError):
                    write_json(file, {"operations_per_second": self._known[file]})
        return self._known[file]


def _kept(file: Path) -> float | None:
    """What the cache has; None for nothing, and for what is no speed."""
    try:
        speed = json.loads(file.read_bytes())["operations_per_second"]
        return speed if isinstance(speed, float) and 0 < speed < math.inf else None
    except (OSError, ValueError, KeyError, TypeError):
        return None
