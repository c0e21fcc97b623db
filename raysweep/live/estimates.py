"""Estimates how long each run of a sweep still takes, and the sweep as a whole."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from raysweep.live.state import ACTIVE, WAITING, RunState
from raysweep.live.timeleft import Pace, Position, TimeEstimate, until_done
from raysweep.planning import PlannedRun

MAX_WAITING_ESTIMATED = 50
"""Of the waiting runs, this many, the next ones, get an estimate of their own; the others count in the total only."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Estimates:
    """The estimated times left of a sweep and its runs."""

    at: float = 0.0
    """When they were estimated, in seconds since 1970."""
    left: Mapping[str, TimeEstimate] = field(default_factory=dict)
    """The time left of each run of which something is known, by the run's name."""
    total: TimeEstimate | None = None
    """The time until all runs are done; None where no run is left."""


def estimate(
    run_states: Iterable[RunState], runs: Mapping[str, PlannedRun], pace: Pace, *, slots: float, now: float
) -> Estimates:
    """Estimate the times left at the moment `now`, in seconds since 1970, of a sweep that has `slots` in all."""
    run_states = list(run_states)
    active = [run_state for run_state in run_states if run_state.state in ACTIVE]
    waiting = [run_state for run_state in run_states if run_state.state == WAITING]
    waiting.sort(key=lambda run_state: not run_state.urgent)
    left = {run_state.run: pace.left(runs[run_state.run], _position(run_state, now)) for run_state in active + waiting}
    running, coming = ([(run_state.slots, left[run_state.run]) for run_state in some] for some in (active, waiting))
    return Estimates(
        at=now,
        left={
            run_state.run: known
            for run_state in active + waiting[:MAX_WAITING_ESTIMATED]
            if (known := left[run_state.run])
        },
        total=until_done(running, coming, slots) if left else None,
    )


def _position(run_state: RunState, now: float) -> Position | None:
    """How far a run has come that has begun, whether it is running or waits to go on; None if it has not begun."""
    if run_state.started is None:
        return None
    return Position(
        phase=run_state.phase,
        epoch=run_state.epoch,
        epochs=run_state.epochs,
        best_epoch=run_state.best_epoch,
        spent=(run_state.ended or now) - run_state.started,
        since=now - run_state.reported if run_state.state in ACTIVE and run_state.reported else 0.0,
    )
