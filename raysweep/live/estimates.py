"""What is left of every run of a sweep, and so of the sweep."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from raysweep.live.state import ACTIVE, WAITING, RunState
from raysweep.live.timeleft import Pace, Position, TimeEstimate, until_done
from raysweep.planning import PlannedRun

NEXT = 50
"""Waiting runs of which it is said how long they will take."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Estimates:
    """Times left."""

    at: float = 0.0
    """When that was, in seconds since 1970."""
    left: Mapping[str, TimeEstimate] = field(default_factory=dict)
    """By run; those of which something is known."""
    total: TimeEstimate | None = None
    """Until all is done; None where nothing is left."""


def estimate(
    rows: Iterable[RunState], runs: Mapping[str, PlannedRun], pace: Pace, *, slots: float, now: float
) -> Estimates:
    """The times left of rows at a moment, on so many slots in all."""
    rows = list(rows)
    active = [row for row in rows if row.state in ACTIVE]
    waiting = [row for row in rows if row.state == WAITING]
    waiting.sort(key=lambda row: not row.urgent)
    left = {row.run: pace.left(runs[row.run], _position(row, now)) for row in active + waiting}
    running, coming = ([(row.slots, left[row.run]) for row in some] for some in (active, waiting))
    return Estimates(
        at=now,
        left={row.run: known for row in active + waiting[:NEXT] if (known := left[row.run])},
        total=until_done(running, coming, slots) if left else None,
    )


def _position(row: RunState, now: float) -> Position | None:
    """Where a run is that has begun, be it at work or not."""
    if row.started is None:
        return None
    return Position(
        phase=row.phase,
        epoch=row.epoch,
        epochs=row.epochs,
        best_epoch=row.best_epoch,
        spent=(row.ended or now) - row.started,
        since=now - row.reported if row.state in ACTIVE and row.reported else 0.0,
    )
