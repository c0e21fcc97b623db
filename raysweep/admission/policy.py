"""What starts next, and what is to make room for it: the policy of a sweep, without Ray.

Strictly in order: nothing starts while an earlier trial waits. With backfill, a later one may start where all that is
known says that it ends before the earlier one could start; should it not, it is stopped. An urgent trial goes before
all others, and the latest of those are stopped for it. What was stopped waits in its old place. While trials run, the
next ones are prepared: their processes start, and wait.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from raysweep.planning import PlannedRun

SLOWER, START = 1.25, 30.0
"""What a trial is allowed to take, to be backfilled: so many times what it is known to, and seconds for its start."""


MOST_PREPARED = 8
"""Trials that may wait with processes of their own, which hold some hundred megabytes each."""


@dataclass(eq=False)
class Series:
    """Runs that one trial does one after the other."""

    runs: Sequence[PlannedRun]
    slots: float
    urgent: bool = False
    place: int = 0
    started: float | None = None
    backfilled: bool = False
    asked_to_stop: bool = False
    reported: bool = False
    """Whether it has said anything since it started."""
    prepared: bool = False
    """Whether it has processes, be it that they wait for their turn."""

    @property
    def order(self) -> tuple[bool, int]:
        """Urgent ones first, then as they were added."""
        return not self.urgent, self.place


class Admission:
    """Series that wait, run or have ended, in a sweep that has `slots`."""

    def __init__(
        self,
        slots: float,
        *,
        backfill: bool = False,
        seconds_of: Callable[[PlannedRun], float | None] = lambda _: None,
        fits: Callable[[Series], bool] = lambda _: True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`seconds_of` says how long a run takes, where that is known, `fits` whether a series for which there are
        slots finds room in them."""
        self.slots, self.backfill, self.seconds_of, self.fits, self.clock = slots, backfill, seconds_of, fits, clock
        self.waiting: list[Series] = []
        self.running: list[Series] = []
        self.closed = False
        """Whether nothing is to start any more."""
        self._used = 0.0
        self._added = 0

    def add(self, series: Iterable[Series]) -> None:
        """Let series wait for their turn, in this order."""
        for one in series:
            one.place, self._added = self._added, self._added + 1
            self.waiting.append(one)
        self.waiting.sort(key=lambda one: one.order)

    @property
    def free(self) -> float:
        """Slots that nothing runs on."""
        return self.slots - sum(one.slots for one in self.running)

    @property
    def slot_seconds(self) -> float:
        """Slots times seconds used so far."""
        return self._used + sum(map(self._use, self.running))

    def next(self) -> Series | None:
        """The series to start now, if any; it counts as running from here on."""
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

    def to_prepare(self) -> Series | None:
        """The series whose processes should start, to wait for their turn; it counts as prepared from here on.

        Those next in order are, as many as could run at once, while what runs has begun and is not disturbed by it.
        """
        if self.closed or any(one.runs[0].experiment.timed or not one.reported for one in self.running):
            return None
        room = self.slots
        for one in self.waiting[:MOST_PREPARED]:
            if not one.prepared:
                one.prepared = True
                return one
            room -= one.slots
            if room <= 0:
                return None
        return None

    def ended(self, series: Series, *, again: bool = False) -> None:
        """A series has left its slots; with `again` it waits for its turn once more."""
        self.running.remove(series)
        self._used += self._use(series)
        series.started = None
        if again:
            self.waiting.append(series)
            self.waiting.sort(key=lambda one: one.order)

    def to_stop(self) -> list[Series]:
        """Running series to be asked to stop now; each is named once."""
        chosen: list[Series] = []
        if self.closed:
            chosen = list(self.running)
        elif self.waiting and not self._fits(self.waiting[0]):
            head = self.waiting[0]
            may_go = [one for one in self.running if one.backfilled or (head.urgent and not one.urgent)]
            may_go.sort(key=lambda one: (not one.backfilled, one.urgent, -one.place))
            room = self.free
            for one in may_go:
                if not _is_enough(room, head):
                    chosen.append(one)
                    room += one.slots
            if not _is_enough(room, head):
                chosen = []
        chosen = [one for one in chosen if not one.asked_to_stop]
        for one in chosen:
            one.asked_to_stop = True
        return chosen

    def close(self) -> None:
        """Start nothing any more; what runs is to stop."""
        self.closed = True

    def drop(self, group: str) -> list[Series]:
        """Take the waiting series of a group out. Returns them."""
        out = [one for one in self.waiting if one.runs[0].group == group]
        self.waiting = [one for one in self.waiting if one not in out]
        return out

    def _use(self, series: Series) -> float:
        return 0.0 if series.started is None else series.slots * (self.clock() - series.started)

    def _fits(self, series: Series) -> bool:
        return _is_enough(self.free, series) and self.fits(series)

    def _to_backfill(self, head: Series) -> Series | None:
        until = self._start_of(head) if self.backfill else None
        if until is None:
            return None
        for one in self.waiting[1:]:
            seconds = self._seconds(one)
            if self._fits(one) and seconds is not None and self.clock() + SLOWER * seconds + START <= until:
                return one
        return None

    def _start_of(self, head: Series) -> float | None:
        """When the series will find its slots free; None where that is not known."""
        room, ends = self.free, []
        for one in self.running:
            seconds = self._seconds(one)
            if one.started is None or seconds is None:
                return None
            ends.append((one.started + seconds, one.slots))
        for end, slots in sorted(ends):
            room += slots
            if _is_enough(room, head):
                return end
        return None

    def _seconds(self, series: Series) -> float | None:
        known = [self.seconds_of(run) for run in series.runs]
        return None if None in known else sum(filter(None, known))


def _is_enough(room: float, series: Series) -> bool:
    """Whether a series fits into so many slots, which may be a sum of shares of GPUs."""
    return series.slots <= room + 1e-9
