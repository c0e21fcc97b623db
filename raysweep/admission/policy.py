"""Decides which bundle of runs starts next, and which ones stop to make room for it. It knows nothing of Ray.

Bundles start strictly in order: nothing starts while an earlier bundle waits. With backfill, a later bundle may start
if, by all known durations, it ends before the earlier one could start; if it takes longer, it is stopped. An urgent
bundle goes before all others, and those that come last in the plan are stopped for it. A stopped bundle waits again in
its old place. While some bundles train, the next ones are prepared: their processes start, and wait for their turn.
"""

import time
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass

from raysweep.planning import PlannedRun

DURATION_MARGIN, START_SECONDS = 1.25, 30.0
"""A bundle is backfilled only if this factor times its known duration, plus these seconds for starting its processes,
pass before the earlier bundle can start."""

MAX_PREPARED = 8
"""The most bundles that wait with processes already started; each process holds some hundred megabytes."""


@dataclass(eq=False)
class RunBundle:
    """Runs that one trial does one after the other, in the same processes. Only `Admission` changes it."""

    runs: Sequence[PlannedRun]
    slots: float
    urgent: bool = False
    place: int = 0
    """The bundle's place in the order of the plan."""
    started: float | None = None
    """When the bundle got its slots, on the clock of `Admission`; None while it waits."""
    backfilled: bool = False
    """Whether it started before a bundle that comes earlier in the plan."""
    asked_to_stop: bool = False
    reported: bool = False
    """Whether its trial has reported anything since the bundle got its slots."""
    prepared: bool = False
    """Whether its processes were started before its turn."""

    @property
    def order(self) -> tuple[bool, int]:
        """Sorts urgent bundles first, and then by their place in the plan."""
        return not self.urgent, self.place


class Admission:
    """Keeps the bundles that wait or run, in a sweep that has `slots`, and decides which of them start and stop."""

    def __init__(
        self,
        slots: float,
        *,
        backfill: bool = False,
        seconds_of: Callable[[PlannedRun], float | None] = lambda _: None,
        fits: Callable[[RunBundle], bool] = lambda _: True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`seconds_of` returns how long a run takes, or None where that is not known. `fits` is asked about a bundle
        for which enough slots are free, and says whether they can be used together: half of one GPU and half of
        another are one slot, but not one GPU."""
        self.slots, self.backfill, self.seconds_of, self.fits, self.clock = slots, backfill, seconds_of, fits, clock
        self.waiting: list[RunBundle] = []
        self.running: list[RunBundle] = []
        self.closed = False
        """Whether nothing is to start any more."""
        self._used_slot_seconds = 0.0
        self._added = 0

    def add(self, bundles: Iterable[RunBundle]) -> None:
        """Let bundles wait for their turn, in this order."""
        for bundle in bundles:
            bundle.place, self._added = self._added, self._added + 1
            self.waiting.append(bundle)
        self._sort()

    def make_urgent(self, keys: Collection[str]) -> None:
        """Make each waiting bundle urgent that holds a run with one of these keys."""
        for bundle in self.waiting:
            bundle.urgent = bundle.urgent or any(run.key in keys for run in bundle.runs)
        self._sort()

    def resize(self, slots_of: Callable[[PlannedRun], float]) -> None:
        """Compute again how many slots each waiting bundle takes."""
        for bundle in self.waiting:
            bundle.slots = slots_of(bundle.runs[0])

    @property
    def free(self) -> float:
        """The number of slots on which nothing runs."""
        return self.slots - sum(bundle.slots for bundle in self.running)

    @property
    def slot_seconds(self) -> float:
        """The slots times seconds that all bundles have used so far."""
        return self._used_slot_seconds + sum(self._slot_seconds_of(bundle) for bundle in self.running)

    def next(self) -> RunBundle | None:
        """Return the bundle to start now, if any; it counts as running from this call on."""
        if self.closed or not self.waiting:
            return None
        head = self.waiting[0]
        chosen = head if self._fits(head) else self._to_backfill(head)
        if chosen:
            chosen.backfilled = chosen is not head
            chosen.started, chosen.asked_to_stop, chosen.reported = self.clock(), False, False
            self.waiting.remove(chosen)
            self.running.append(chosen)
        return chosen

    def to_prepare(self) -> RunBundle | None:
        """Return the next bundle whose processes should start and wait, if any; it counts as prepared from now on.

        As many of the next bundles are prepared as could run at once. Nothing is prepared while a running bundle has
        not reported yet, because its own processes are still starting, or while a run is timed, because starting
        processes would slow it down.
        """
        if self.closed or any(one.runs[0].experiment.timed or not one.reported for one in self.running):
            return None
        room = self.slots
        for bundle in self.waiting[:MAX_PREPARED]:
            if not bundle.prepared:
                bundle.prepared = True
                return bundle
            room -= bundle.slots
            if room <= 0:
                return None
        return None

    def has_reported(self, bundle: RunBundle) -> None:
        """Note that the bundle's trial has reported something."""
        bundle.reported = True

    def release(self, bundle: RunBundle) -> bool:
        """Take back the bundle's slots, if it has any. Returns whether it had."""
        if bundle not in self.running:
            return False
        self.running.remove(bundle)
        self._used_slot_seconds += self._slot_seconds_of(bundle)
        bundle.started = None
        return True

    def trial_ended(self, bundle: RunBundle, left: Sequence[PlannedRun]) -> bool:
        """Take back the slots and processes of a bundle; those of its runs that are `left` wait for their turn again.

        Returns whether the bundle still had slots.
        """
        bundle.prepared = False
        had_slots = self.release(bundle)
        if left:
            bundle.runs = left
            if had_slots:
                self.waiting.append(bundle)
                self._sort()
        elif bundle in self.waiting:  # its trial failed before its turn
            self.waiting.remove(bundle)
        return had_slots

    def to_stop(self) -> list[RunBundle]:
        """Return the running bundles that have to stop now; each is returned only once."""
        if self.closed:
            chosen = list(self.running)
        elif self.waiting and not self._fits(self.waiting[0]):
            chosen = _making_room(self.waiting[0], self.running, self.free)
        else:
            chosen = []
        chosen = [bundle for bundle in chosen if not bundle.asked_to_stop]
        for bundle in chosen:
            bundle.asked_to_stop = True
        return chosen

    def close(self) -> None:
        """Start nothing any more, and have all running bundles stopped by the next call of `to_stop`."""
        self.closed = True

    def drop(self, group: str | None = None) -> list[RunBundle]:
        """Remove and return the waiting bundles of a group, or all of them if no group is given."""
        dropped = [bundle for bundle in self.waiting if group in (None, bundle.runs[0].group)]
        self.waiting = [bundle for bundle in self.waiting if bundle not in dropped]
        return dropped

    def _sort(self) -> None:
        self.waiting.sort(key=lambda bundle: bundle.order)

    def _slot_seconds_of(self, bundle: RunBundle) -> float:
        return 0.0 if bundle.started is None else bundle.slots * (self.clock() - bundle.started)

    def _fits(self, bundle: RunBundle) -> bool:
        return _fits_into(self.free, bundle) and self.fits(bundle)

    def _to_backfill(self, head: RunBundle) -> RunBundle | None:
        """The first bundle behind `head` that fits and ends before `head` can start.

        None without backfill, and where the durations that decide about it are not known.
        """
        until = _start_of(head, self.running, self.free, self.seconds_of) if self.backfill else None
        if until is None:
            return None
        for bundle in self.waiting[1:]:
            seconds = _seconds(bundle, self.seconds_of)
            if (
                self._fits(bundle)
                and seconds is not None
                and self.clock() + DURATION_MARGIN * seconds + START_SECONDS <= until
            ):
                return bundle
        return None


def _making_room(head: RunBundle, running: Sequence[RunBundle], free: float) -> list[RunBundle]:
    """The running bundles to stop so that `head` has room: backfilled ones first, then those last in the plan.

    The list is empty if stopping all bundles that may be stopped would not be enough.
    """
    may_be_stopped = [one for one in running if one.backfilled or (head.urgent and not one.urgent)]
    may_be_stopped.sort(key=lambda one: (not one.backfilled, one.urgent, -one.place))
    chosen: list[RunBundle] = []
    for bundle in may_be_stopped:
        if not _fits_into(free, head):
            chosen.append(bundle)
            free += bundle.slots
    return chosen if _fits_into(free, head) else []


def _start_of(
    head: RunBundle, running: Sequence[RunBundle], free: float, seconds_of: Callable[[PlannedRun], float | None]
) -> float | None:
    """When `head` will find enough slots free, on the clock of `Admission`; None where that is not known."""
    ends = []
    for bundle in running:
        seconds = _seconds(bundle, seconds_of)
        if bundle.started is None or seconds is None:
            return None
        ends.append((bundle.started + seconds, bundle.slots))
    for end, slots in sorted(ends):
        free += slots
        if _fits_into(free, head):
            return end
    return None


def _seconds(bundle: RunBundle, seconds_of: Callable[[PlannedRun], float | None]) -> float | None:
    """How long a bundle takes; None if the duration of any of its runs is not known."""
    known = [seconds_of(run) for run in bundle.runs]
    return None if None in known else sum(filter(None, known))


def _fits_into(room: float, bundle: RunBundle) -> bool:
    """Whether `room` slots are enough for a bundle; sums of shares of GPUs, such as three thirds, may be inexact."""
    return bundle.slots <= room + 1e-9
