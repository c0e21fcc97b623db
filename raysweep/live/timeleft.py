"""Estimates how long runs, and with them a sweep, still take: from epochs so far, similar runs and predictions."""

import math
import statistics
from collections import defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from raysweep.planning import PlannedRun, end_of
from raysweep.trainable import Phase

MAX_KEPT = 50
"""How many of the latest epochs of a phase, and of the latest durations of similar runs, are taken into account."""
MIN_SPREAD, FIRST_SPREAD = 0.05, 0.3
"""The bounds of a duration lie at least this part of the median away from it: the first value always, the second one
after one measurement, which shrinks with the square root of their number."""
SCALED = 0.5, 3.0
"""The factors for the bounds of an epoch whose duration is only scaled, by the number of images, from another phase.
They allow for a phase that has no backward pass while the other one has, and the reverse."""


@dataclass(frozen=True, slots=True)
class TimeEstimate:
    """A duration in seconds, with bounds. `high` is infinite where the duration of some part is not known."""

    seconds: float
    low: float
    high: float

    def after(self, seconds: float) -> "TimeEstimate":
        """What is left of the duration after `seconds` of it have passed."""
        return TimeEstimate(*(max(0.0, one - seconds) for one in (self.seconds, self.low, self.high)))

    def __add__(self, other: "TimeEstimate") -> "TimeEstimate":
        return TimeEstimate(self.seconds + other.seconds, self.low + other.low, self.high + other.high)

    def at_least(self, other: "TimeEstimate") -> "TimeEstimate":
        """The larger duration, and the larger of each bound."""
        return TimeEstimate(max(self.seconds, other.seconds), max(self.low, other.low), max(self.high, other.high))


@dataclass(frozen=True, kw_only=True, slots=True)
class Position:
    """How far a run has come."""

    phase: str
    epoch: int
    """How many epochs of the phase are done."""
    epochs: float
    """How many epochs the phase has if it is not stopped early."""
    best_epoch: int
    """The epoch of the phase with the best validation accuracy so far; 0 before there is one."""
    spent: float
    """Seconds since its first step in this sweep, without the time between two of its trials."""
    since: float
    """Seconds since its last report, of an epoch or of its start; 0 while it does not run."""


class Pace:
    """Keeps how long epochs and runs took, and estimates from it how long runs will take."""

    def __init__(self) -> None:
        self._predicted: dict[str, TimeEstimate] = {}
        self._epochs: defaultdict[Any, deque[float]] = defaultdict(lambda: deque(maxlen=MAX_KEPT))
        self._whole: defaultdict[Any, deque[float]] = defaultdict(lambda: deque(maxlen=MAX_KEPT))

    def expect(self, predicted: Mapping[str, tuple[float, float, float]]) -> None:
        """Note how long whole runs are predicted to take: by name, the seconds and their bounds."""
        self._predicted = self._predicted | {name: TimeEstimate(*values) for name, values in predicted.items()}

    def epoch_took(self, run: PlannedRun, phase: str, seconds: float) -> None:
        """Note how long an epoch of a run took."""
        self._epochs[run.name, phase].append(seconds)
        self._epochs[_kind(run), phase].append(seconds)

    def run_took(self, run: PlannedRun, seconds: float) -> None:
        """Note how long a whole run took."""
        self._whole[_kind(run)].append(seconds)

    def whole(self, run: PlannedRun) -> TimeEstimate | None:
        """The duration of a run: that of similar runs, else the predicted one; None where neither is known."""
        seen = self._whole.get(_kind(run))
        return _spread(seen) if seen else self._predicted.get(run.name)

    def left(self, run: PlannedRun, position: Position | None) -> TimeEstimate | None:
        """How long a run still takes from its position, which is None if it has not begun; None if nothing is known.

        Epochs of the current phase tell how long the rest of it takes. If not all later phases have been measured, the
        duration of the whole run is relied on, and where that is not known, epochs are scaled by their images.
        """
        whole = self.whole(run)
        if position is None:
            return whole
        seen = self._seen(run, position.phase)
        if seen is None:
            return whole.after(position.spent) if whole else None
        phases: Sequence[Phase] = run.facts.get("phases", ())
        places = [i for i, one in enumerate(phases) if one["phase"] == position.phase]
        patience = phases[places[0]].get("patience", math.inf) if places else math.inf
        rest, epoch = _rest_of_phase(seen, position, patience), _spread(seen)
        later = (
            [self._later_phase(run, one, phases[places[0]], epoch) for one in phases[places[0] + 1 :]] if places else []
        )
        if places and all(is_measured for _, is_measured in later):
            return sum((one for one, _ in later), rest)
        if whole:
            return rest.at_least(whole.after(position.spent))
        if places:
            return sum((one for one, _ in later), rest)
        return TimeEstimate(rest.seconds, rest.low, math.inf)

    def _later_phase(
        self, run: PlannedRun, phase: Phase, current: Phase, epoch: TimeEstimate
    ) -> tuple[TimeEstimate, bool]:
        """The duration of a later phase, and whether it follows from measured epochs of that phase."""
        seen = self._seen(run, phase["phase"])
        if seen:
            one = _spread(seen)
        elif current.get("cached") or phase.get("cached"):
            # How long an epoch on cached features takes does not tell how long one on images takes.
            return TimeEstimate(0.0, 0.0, math.inf), False
        else:
            images = [p["train_images"] + p["validation_images"] for p in (phase, current)]
            times = images[0] / max(1, images[1])
            one = TimeEstimate(times * epoch.seconds, times * epoch.low * SCALED[0], times * epoch.high * SCALED[1])
        most, least = math.ceil(phase["epochs"]), math.ceil(phase.get("least_epochs", phase["epochs"]))
        return TimeEstimate(most * one.seconds, min(most, least) * one.low, most * one.high), bool(seen)

    def _seen(self, run: PlannedRun, phase: str) -> Sequence[float] | None:
        """The seconds of the latest epochs of a phase, measured in this run or else in similar ones."""
        return self._epochs.get((run.name, phase)) or self._epochs.get((_kind(run), phase))


def until_done(
    running: Iterable[tuple[float, TimeEstimate | None]],
    waiting: Iterable[tuple[float, TimeEstimate | None]],
    slots: float,
) -> TimeEstimate:
    """The time until all runs are done, if they start in order as slots become free.

    Each run is given by its slots and by how long it still takes, which is None where that is not known.
    """
    unknown = TimeEstimate(0.0, 0.0, math.inf)
    now, later = ([(need, left or unknown) for need, left in some] for some in (running, waiting))

    def end(name: str) -> float:
        lasting, coming = ([(getattr(left, name), need) for need, left in some] for some in (now, later))
        return end_of(coming, slots, lasting)

    return TimeEstimate(end("seconds"), end("low"), end("high"))


def _kind(run: PlannedRun) -> tuple[str, str, int]:
    """What runs that differ only in their seed have in common; they are called similar here."""
    return run.experiment.name, run.changed, run.num_workers


def _spread(seen: Iterable[float]) -> TimeEstimate:
    """The median of measured seconds, with bounds that hold the middle eight of ten of them and are not too close."""
    values = sorted(seen)
    median, beyond = statistics.median(values), len(values) // 10
    spread = max(MIN_SPREAD, FIRST_SPREAD / math.sqrt(len(values)))
    low, high = values[beyond], values[-1 - beyond]
    return TimeEstimate(median, min(low, (1 - spread) * median), max(high, (1 + spread) * median))


def _rest_of_phase(seen: Iterable[float], position: Position, patience: float) -> TimeEstimate:
    """How long the rest of the current phase takes. Its lower bound counts on the earliest stop `patience` allows."""
    one, most = _spread(seen), max(0, math.ceil(position.epochs) - position.epoch)
    least = min(most, max(1, position.best_epoch + patience - position.epoch))

    def remaining(epochs: float, seconds: float) -> float:
        """The seconds of some epochs, less the time that the first of them has lasted, but at most one epoch's time."""
        return max(epochs * seconds - position.since, (epochs - 1) * seconds, 0.0)

    return TimeEstimate(remaining(most, one.seconds), remaining(least, one.low), remaining(most, one.high))
