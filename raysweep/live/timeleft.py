"""How long runs, and so a sweep, will take: from their epochs so far, runs like them, and predictions."""

import math
import statistics
from collections import defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from raysweep.planning import PlannedRun, end_of

KEPT = 50
"""Latest epochs of an experiment's phase, and latest durations of its runs, that are looked at."""
LEAST_SPREAD, FIRST_SPREAD = 0.05, 0.3
"""Half an interval's least width, and its width after one epoch, which shrinks with the square root of their number."""
SCALED = 0.5, 3.0
"""How far off an epoch of another phase may be when it is scaled by images alone: without a backward pass, or with."""


@dataclass(frozen=True, slots=True)
class TimeEstimate:
    """Seconds, with bounds; `high` is infinite where only a part of what is to come is known."""

    seconds: float
    low: float
    high: float

    def after(self, seconds: float) -> "TimeEstimate":
        """What is left of it later."""
        return TimeEstimate(*(max(0.0, one - seconds) for one in (self.seconds, self.low, self.high)))

    def __add__(self, other: "TimeEstimate") -> "TimeEstimate":
        return TimeEstimate(self.seconds + other.seconds, self.low + other.low, self.high + other.high)

    def at_least(self, other: "TimeEstimate") -> "TimeEstimate":
        """The larger of each."""
        return TimeEstimate(max(self.seconds, other.seconds), max(self.low, other.low), max(self.high, other.high))


@dataclass(frozen=True, kw_only=True, slots=True)
class Position:
    """Where a run is."""

    phase: str
    epoch: int
    epochs: float
    best_epoch: int
    spent: float
    """Seconds since its first step in this sweep."""
    since: float
    """Seconds since its last epoch ended."""


class Pace:
    """What is known of the speed of runs."""

    def __init__(self, predicted: Mapping[str, tuple[float, float, float]] | None = None) -> None:
        """`predicted` are seconds of whole runs by name, with bounds."""
        self.predicted = {name: TimeEstimate(*values) for name, values in (predicted or {}).items()}
        self._epochs: defaultdict[Any, deque[float]] = defaultdict(lambda: deque(maxlen=KEPT))
        self._whole: defaultdict[Any, deque[float]] = defaultdict(lambda: deque(maxlen=KEPT))

    def epoch(self, run: PlannedRun, phase: str, seconds: float) -> None:
        """An epoch took so long."""
        self._epochs[run.name, phase].append(seconds)
        self._epochs[_kind(run), phase].append(seconds)

    def took(self, run: PlannedRun, seconds: float) -> None:
        """A whole run took so long."""
        self._whole[_kind(run)].append(seconds)

    def whole(self, run: PlannedRun) -> TimeEstimate | None:
        """The duration of a run: that of others like it, else the predicted one; None where neither is known."""
        seen = self._whole.get(_kind(run))
        return _spread(seen) if seen else self.predicted.get(run.name)

    def left(self, run: PlannedRun, at: Position | None) -> TimeEstimate | None:
        """What is left of a run that is `at` a position, or has not begun; None where nothing is known."""
        whole = self.whole(run)
        if at is None:
            return whole
        seen = self._seen(run, at.phase)
        if seen is None:
            return whole.after(at.spent) if whole else None
        here, epoch = _rest_of_phase(seen, at, getattr(run.config, "patience", math.inf)), _spread(seen)
        phases: Sequence[Mapping[str, Any]] = run.facts.get("phases", ())
        places = [i for i, one in enumerate(phases) if one["phase"] == at.phase]
        further = (
            [self._further(run, one, phases[places[0]], epoch) for one in phases[places[0] + 1 :]] if places else []
        )
        if places and all(is_seen for _, is_seen in further):
            return sum((one for one, _ in further), here)
        if whole:
            return here.at_least(whole.after(at.spent))
        if places:
            return sum((one for one, _ in further), here)
        return TimeEstimate(here.seconds, here.low, math.inf)

    def _further(
        self, run: PlannedRun, phase: Mapping[str, Any], current: Mapping[str, Any], epoch: TimeEstimate
    ) -> tuple[TimeEstimate, bool]:
        """The seconds of a phase to come, and whether they rest on epochs of that phase."""
        seen = self._seen(run, phase["phase"])
        if seen:
            one = _spread(seen)
        elif current.get("cached") or phase.get("cached"):
            return TimeEstimate(0.0, 0.0, math.inf), False  # epochs on kept features say nothing of those on images
        else:
            images = [p["train_images"] + p["validation_images"] for p in (phase, current)]
            times = images[0] / max(1, images[1])
            one = TimeEstimate(times * epoch.seconds, times * epoch.low * SCALED[0], times * epoch.high * SCALED[1])
        most, least = math.ceil(phase["epochs"]), math.ceil(phase.get("least_epochs", phase["epochs"]))
        return TimeEstimate(most * one.seconds, min(most, least) * one.low, most * one.high), bool(seen)

    def _seen(self, run: PlannedRun, phase: str) -> Sequence[float] | None:
        return self._epochs.get((run.name, phase)) or self._epochs.get((_kind(run), phase))


def until_done(
    running: Iterable[tuple[float, TimeEstimate | None]],
    waiting: Iterable[tuple[float, TimeEstimate | None]],
    slots: float,
) -> TimeEstimate:
    """Seconds until all runs, given as (slots, what is left), are done, started in order as slots become free."""
    unknown = TimeEstimate(0.0, 0.0, math.inf)
    now, later = ([(need, left or unknown) for need, left in some] for some in (running, waiting))

    def end(name: str) -> float:
        lasting, coming = ([(getattr(left, name), need) for need, left in some] for some in (now, later))
        return end_of(coming, slots, lasting)

    return TimeEstimate(end("seconds"), end("low"), end("high"))


def _kind(run: PlannedRun) -> tuple[str, str, int]:
    """What runs have in common that differ in their seed alone."""
    return run.experiment.name, run.changed, run.num_workers


def _spread(seen: Iterable[float]) -> TimeEstimate:
    """The median, and where nine of ten lie, at least."""
    values = sorted(seen)
    median, beyond = statistics.median(values), len(values) // 10
    spread = max(LEAST_SPREAD, FIRST_SPREAD / math.sqrt(len(values)))
    low, high = values[beyond], values[-1 - beyond]
    return TimeEstimate(median, min(low, (1 - spread) * median), max(high, (1 + spread) * median))


def _rest_of_phase(seen: Iterable[float], at: Position, patience: float) -> TimeEstimate:
    """The epochs to come, of which early stopping may leave some out."""
    one, most = _spread(seen), max(0, math.ceil(at.epochs) - at.epoch)
    least = min(most, max(1, at.best_epoch + patience - at.epoch))

    def rest(epochs: float, seconds: float) -> float:
        return max(epochs * seconds - at.since, (epochs - 1) * seconds, 0.0)

    return TimeEstimate(rest(most, one.seconds), rest(least, one.low), rest(most, one.high))
