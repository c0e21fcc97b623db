"""What starts next, and what is to make room for it: the policy of a sweep, without Ray.

Bundles of runs start strictly in order: nothing starts while an earlier one waits. With backfill, a later one may start
where all that is known says that it ends before the earlier one could start; if it takes longer, it is stopped. An
urgent bundle goes before all others, and the latest of those are stopped for it. What was stopped waits in its old
place. While some train, the next ones are prepared: their processes start, and wait.
"""

import time
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass

from raysweep.planning import PlannedRun

SLOWER, START = 1.25, 30.0
"""A bundle is backfilled if there is room for so many times what it is known to take, and seconds for its start."""

MOST_PREPARED = 8
"""Bundles that may wait with processes of their own, which hold some hundred megabytes each."""


@dataclass(eq=False)
class RunBundle:
    """Runs that one trial does one after the other, in the same processes. Only `Admission` changes it."""

    runs: Sequence[PlannedRun]
    slots: float
    urgent: bool = False
    place: int = 0
    """Its place in the order of the plan."""
    started: float | None = None
    """When it got its slots, on the clock of admission; None while it waits."""
    backfilled: bool = False
    asked_to_stop: bool = False
    reported: bool = False
    """Whether its trial has reported anything since it got its slots."""
    prepared: bool = False
    """Whether it has processes, even if these still wait for its turn."""

    @property
    def order(self) -> tuple[bool, int]:
        """Sorts urgent bundles first, and then by their place in the plan."""
        return not self.urgent, self.place


class Admission:
    """The bundles that wait or run, in a sweep that has `slots`."""

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
        for which there are slots enough: whether it also finds room in them, as two halves of two GPUs are no GPU."""
        self.slots, self.backfill, self.seconds_of, self.fits, self.clock = slots, backfill, seconds_of, fits, clock
        self.waiting: list[RunBundle] = []
        self.running: list[RunBundle] = []
        self.closed = False
        """Whether nothing is to start any more."""
        self._used = 0.0
        self._added = 0

    def add(self, bundles: Iterable[RunBundle]) -> None:
        """Let bundles wait for their turn, in this order."""
        for bundle in bundles:
            bundle.place, self._added = self._added, self._added + 1
            self.waiting.append(bundle)
        self._sort()

    def hurry(self, keys: Collection[str]) -> None:
        """Make the waiting bundles urgent that hold a run with one of these keys."""
        for bundle in self.waiting:
            bundle.urgent = bundle.urgent or any(run.key in keys for run in bundle.runs)
        self._sort()

    def resize(self, slots_of: Callable[[PlannedRun], float]) -> None:
        """Work out anew how many slots each waiting bundle takes."""
        for bundle in self.waiting:
            bundle.slots = slots_of(bundle.runs[0])

    @property
    def free(self) -> float:
        """The slots on which nothing runs."""
        return self.slots - sum(bundle.slots for bundle in self.running)

    @property
    def slot_seconds(self) -> float:
        """Slots times seconds used so far."""
        return self._used + sum(self._use(bundle) for bundle in self.running)

    def next(self) -> RunBundle | None:
        """The bundle to start now, if any; it counts as running from here on."""
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
        """The bundle whose processes should start, to wait for their turn; it counts as prepared from here on.

        As many of the next ones are prepared as could run at once. None is while a bundle that runs has not reported
        yet, nor beside one whose time is a result.
        """
        if self.closed or any(one.runs[0].experiment.timed or not one.reported for one in self.running):
            return None
        room = self.slots
        for bundle in self.waiting[:MOST_PREPARED]:
            if not bundle.prepared:
                bundle.prepared = True
                return bundle
            room -= bundle.slots
            if room <= 0:
                return None
        return None

    def has_reported(self, bundle: RunBundle) -> None:
        """Note that the trial of a bundle has reported something."""
        bundle.reported = True

    def leave(self, bundle: RunBundle) -> bool:
        """Take back the slots of a bundle, if it has any. Returns whether it had."""
        if bundle not in self.running:
            return False
        self.running.remove(bundle)
        self._used += self._use(bundle)
        bundle.started = None
        return True

    def trial_ended(self, bundle: RunBundle, left: Sequence[PlannedRun]) -> bool:
        """Take back slots and processes of a bundle; if runs of it are `left`, these wait for their turn again.

        Returns whether it still had slots.
        """
        bundle.prepared = False
        had_slots = self.leave(bundle)
        if left:
            bundle.runs = left
            if had_slots:
                self.waiting.append(bundle)
                self._sort()
        elif bundle in self.waiting:  # its trial failed before its turn
            self.waiting.remove(bundle)
        return had_slots

    def to_stop(self) -> list[RunBundle]:
        """Running bundles to be asked to stop now; each is returned once."""
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
        """Start nothing any more; what runs is to stop."""
        self.closed = True

    def drop(self, group: str | None = None) -> list[RunBundle]:
        """Take the waiting bundles of a group out, or all of them without one. Returns them."""
        dropped = [bundle for bundle in self.waiting if group in (None, bundle.runs[0].group)]
        self.waiting = [bundle for bundle in self.waiting if bundle not in dropped]
        return dropped

    def _sort(self) -> None:
        self.waiting.sort(key=lambda bundle: bundle.order)

    def _use(self, bundle: RunBundle) -> float:
        return 0.0 if bundle.started is None else bundle.slots * (self.clock() - bundle.started)

    def _fits(self, bundle: RunBundle) -> bool:
        return _is_enough(self.free, bundle) and self.fits(bundle)

    def _to_backfill(self, head: RunBundle) -> RunBundle | None:
        """The first bundle behind `head` that ends before `head` can start, if backfill is on and all is known."""
        until = _start_of(head, self.running, self.free, self.seconds_of) if self.backfill else None
        if until is None:
            return None
        for bundle in self.waiting[1:]:
            seconds = _seconds(bundle, self.seconds_of)
            if self._fits(bundle) and seconds is not None and self.clock() + SLOWER * seconds + START <= until:
                return bundle
        return None


def _making_room(head: RunBundle, running: Sequence[RunBundle], free: float) -> list[RunBundle]:
    """The fewest running bundles that give `head` room, backfilled ones first and then the latest; none if all that
    may be stopped is not enough."""
    may_go = [one for one in running if one.backfilled or (head.urgent and not one.urgent)]
    may_go.sort(key=lambda one: (not one.backfilled, one.urgent, -one.place))
    chosen: list[RunBundle] = []
    for bundle in may_go:
        if not _is_enough(free, head):
            chosen.append(bundle)
            free += bundle.slots
    return chosen if _is_enough(free, head) else []


def _start_of(
    head: RunBundle, running: Sequence[RunBundle], free: float, seconds_of: Callable[[PlannedRun], float | None]
) -> float | None:
    """When `head` will find its slots free; None where that is not known."""
    ends = []
    for bundle in running:
        seconds = _seconds(bundle, seconds_of)
        if bundle.started is None or seconds is None:
            return None
        ends.append((bundle.started + seconds, bundle.slots))
    for end, slots in sorted(ends):
        free += slots
        if _is_enough(free, head):
            return end
    return None


def _seconds(bundle: RunBundle, seconds_of: Callable[[PlannedRun], float | None]) -> float | None:
    """How long a bundle takes; None where that is not known of each of its runs."""
    known = [seconds_of(run) for run in bundle.runs]
    return None if None in known else sum(filter(None, known))


def _is_enough(room: float, bundle: RunBundle) -> bool:
    """Whether a bundle fits into so many slots, which may be a sum of shares of GPUs."""
    return bundle.slots <= room + 1e-9
