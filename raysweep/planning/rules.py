"""The rules of a launch beside the order of its runs, and the followers that are told what the runs report."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from raysweep.ledger import Record
from raysweep.planning.runs import PlannedRun


class Follower(Protocol):
    """An object that is told what runs report. Its methods must neither raise nor take long."""

    def report(self, run: PlannedRun, report: Mapping[str, Any]) -> None:
        """A run has started, or has ended an epoch."""

    def ended(self, run: PlannedRun, status: str, text: str = "", record: Record | None = None) -> None:
        """A run, or one attempt at it, has ended.

        `status` is the status of its record, STOPPED if a later trial will resume the run, or "" if the same trial
        resumes it by itself. `text` says more, in one line. `record` holds the results, if there are any.
        """


@dataclass(frozen=True, kw_only=True, slots=True)
class Rules:
    """The rules of a launch, beside the order of its plan."""

    backfill: bool = False
    """Whether a later trial may start early if it cannot delay an earlier one."""
    deadline: float = math.inf
    """The launch stops at this time of the monotonic clock, in seconds."""
    slot_seconds: float = math.inf
    """The launch stops once its runs have used this many slots times seconds."""
    followers: Sequence[Follower] = ()
    """These are told what runs report, as the status of the sweep is."""
    counted: Callable[[int, int, int], None] = lambda done, running, waiting: None
    """Is told how many runs are done, running and waiting, about twice a second."""
    incoming: Callable[[], Sequence[PlannedRun]] = list
    """Returns the runs that came in since it was last called; they go first."""
    interrupted: Callable[[], bool] = bool
    """Returns whether the user has asked the sweep to stop."""
