"""How durations, times and numbers of runs are written for people."""

import datetime
import math
from collections import Counter
from collections.abc import Sequence

from raysweep.ledger import DIVERGED, FAILED
from raysweep.live.state import ACTIVE, DONE_BEFORE, DROPPED, ENDED, WAITING, RunState, SweepState
from raysweep.live.timeleft import TimeEstimate


def count_by_state(rows: Sequence[RunState]) -> Counter[str]:
    """The number of runs in each state."""
    return Counter(row.state for row in rows)


def format_duration(seconds: float) -> str:
    """A duration as `45 s`, `12 min`, `2.2 h` or `3.1 d`."""
    size, unit = _unit(seconds)
    return f"{_number(seconds / size, unit)} {unit}"


def format_estimate(left: TimeEstimate) -> str:
    """A time estimate as `12 min (9-15)`; as `over 12 min` or `unknown` where it has no upper bound."""
    if math.isinf(left.high):
        return f"over {format_duration(left.seconds)}" if left.seconds >= 1 else "unknown"
    size, unit = _unit(left.seconds)
    low, middle, high = (_number(one / size, unit) for one in (left.low, left.seconds, left.high))
    return f"{middle} {unit} ({low}-{high})" if low != high else f"{middle} {unit}"


def format_clock_time(at: float, now: float) -> str:
    """A time, in seconds since 1970, as local time: `16:24`, on another day `Thu 16:24`, another week `2 Oct 16:24`.

    After more than a year it is its distance.
    """
    if at - now > 366 * 86400:
        return f"{(at - now) / (365.25 * 86400):,.3g} years from now"
    when, today = datetime.datetime.fromtimestamp(at), datetime.datetime.fromtimestamp(now)
    if when.date() == today.date():
        return f"{when:%H:%M}"
    return f"{when:%a %H:%M}" if abs(at - now) < 6 * 86400 else f"{when.day} {when:%b %H:%M}"


def format_time_left(state: SweepState, now: float) -> str:
    """The sweep's time left, as `2.2 h left (1.9-2.7), until about 16:24`; empty where no run is left."""
    if not state.total or state.ended:
        return ""
    total = state.total.after(now - state.estimated)
    text = format_estimate(total)
    if math.isinf(total.high):
        return "time left unknown yet" if text == "unknown" else f"{text} left"
    value, bracket, bounds = text.partition(" (")
    return f"{value} left{bracket}{bounds}, until about {format_clock_time(now + total.seconds, now)}"


def format_summary(state: SweepState) -> str:
    """How far the sweep is, as `57 of 140 done: 2 failed, 8 running, 73 waiting`."""
    n = count_by_state(state.run_states)
    active, ended = sum(n[name] for name in ACTIVE), sum(n[name] for name in (*ENDED, DONE_BEFORE))
    parts = [f"{n[name]} {name}" for name in (FAILED, DIVERGED, DROPPED) if n[name]]
    parts += [f"{count} {name}" for name, count in (("running", active), (WAITING, n[WAITING])) if count]
    return f"{ended} of {len(state.run_states)} done" + (f": {', '.join(parts)}" if parts else "")


def _unit(seconds: float) -> tuple[float, str]:
    """The unit in which a duration is written: how many seconds it has, and its name."""
    for size, unit, limit in ((1.0, "s", 100.0), (60.0, "min", 6000.0), (3600.0, "h", 48 * 3600.0)):
        if seconds < limit:
            return size, unit
    return 86400.0, "d"


def _number(value: float, unit: str) -> str:
    """A number in two digits, or in whole seconds."""
    return f"{value:.1f}" if unit != "s" and 0.05 <= value < 9.95 else f"{value:.0f}"
