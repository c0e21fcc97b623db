"""How times and numbers of runs are said."""

import datetime
import math
from collections import Counter
from collections.abc import Sequence

from raysweep.ledger import DIVERGED, FAILED
from raysweep.live.state import ACTIVE, DONE_BEFORE, DROPPED, ENDED, WAITING, RunState, SweepState
from raysweep.live.timeleft import TimeEstimate


def counts(rows: Sequence[RunState]) -> Counter[str]:
    """How many there are in each state."""
    return Counter(row.state for row in rows)


def duration(seconds: float) -> str:
    """`45 s`, `12 min`, `2.2 h`, `3.1 d`."""
    size, unit = _unit(seconds)
    return f"{_number(seconds / size, unit)} {unit}"


def interval(left: TimeEstimate) -> str:
    """`12 min (9-15)`; `over 12 min` where it has no upper bound."""
    if math.isinf(left.high):
        return f"over {duration(left.seconds)}" if left.seconds >= 1 else "unknown"
    size, unit = _unit(left.seconds)
    low, middle, high = (_number(one / size, unit) for one in (left.low, left.seconds, left.high))
    return f"{middle} {unit} ({low}-{high})" if low != high else f"{middle} {unit}"


def clock_time(at: float, now: float) -> str:
    """`16:24`, of another day `Thu 16:24`, of another week `2 Oct 16:24`; local time."""
    when, today = datetime.datetime.fromtimestamp(at), datetime.datetime.fromtimestamp(now)
    if when.date() == today.date():
        return f"{when:%H:%M}"
    return f"{when:%a %H:%M}" if abs(at - now) < 6 * 86400 else f"{when.day} {when:%b %H:%M}"


def time_left(state: SweepState, now: float) -> str:
    """`2.2 h left (1.9-2.7), until about 16:24`; empty where nothing is left."""
    if not state.total or state.ended:
        return ""
    total = state.total.after(now - state.estimated)
    spoken = interval(total)
    if math.isinf(total.high):
        return "time left unknown yet" if spoken == "unknown" else f"{spoken} left"
    value, bracket, bounds = spoken.partition(" (")
    return f"{value} left{bracket}{bounds}, until about {clock_time(now + total.seconds, now)}"


def summary(state: SweepState) -> str:
    """`57 of 140 done: 2 failed, 8 running, 73 waiting`."""
    n = counts(state.rows)
    active, ended = sum(n[name] for name in ACTIVE), sum(n[name] for name in (*ENDED, DONE_BEFORE))
    parts = [f"{n[name]} {name}" for name in (FAILED, DIVERGED, DROPPED) if n[name]]
    parts += [f"{count} {name}" for name, count in (("running", active), (WAITING, n[WAITING])) if count]
    return f"{ended} of {len(state.rows)} done" + (f": {', '.join(parts)}" if parts else "")


def _unit(seconds: float) -> tuple[float, str]:
    for size, unit, most in ((1.0, "s", 100.0), (60.0, "min", 6000.0), (3600.0, "h", 48 * 3600.0)):
        if seconds < most:
            return size, unit
    return 86400.0, "d"


def _number(value: float, unit: str) -> str:
    """Two digits, or whole seconds."""
    return f"{value:.1f}" if unit != "s" and 0.05 <= value < 9.95 else f"{value:.0f}"
