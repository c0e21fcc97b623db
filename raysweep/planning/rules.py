"""What governs a launch beside the order of its runs, and who hears what they report."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from raysweep.ledger import Record
from raysweep.planning.runs import PlannedRun


class Follower(Protocol):
    """Who hears what runs report. Its methods must neither raise nor take long."""

    def report(self, run: PlannedRun, report: Mapping[str, Any]) -> None:
        """A run has started, or has ended an epoch."""

    def ended(self, run: PlannedRun, status: str, text: str = "", record: Record | None = None) -> None:
        """A run has ended, or an attempt at it.

        `status` is that of its record, STOPPED if the run will be gone on with by a later trial, or "" if its trial
        goes on with it by itself. `text` says more, in a line. `record` holds the results, where there is one.
        """


@dataclass(frozen=True, kw_only=True, slots=True)
class Rules:
    """What governs a launch, beside the order of the plan."""

    backfill: bool = False
    """Whether a later trial may start early where it cannot delay an earlier one."""
    deadline: float = math.inf
    """When to stop, on the monotonic clock."""
    slot_seconds: float = math.inf
    """What may be used of slots times seconds before stopping."""
    followers: Sequence[Follower] = ()
    """Who hears what runs report, beside the status of the sweep."""
    counted: Callable[[int, int, int], None] = lambda done, running, waiting: None
    """Is told how many runs are done, running and waiting, about twice a second."""
    incoming: Callable[[], Sequence[PlannedRun]] = list
    """Returns the runs that came in since it was last called; they go first."""
    interrupted: Callable[[], bool] = bool
    """Returns whether the user has asked the sweep to stop."""
