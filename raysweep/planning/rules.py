"""What governs a launch beside the order of its runs, and who hears what they report."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from raysweep.ledger import Record
from raysweep.planning.runs import PlannedRun


class Follower(Protocol):
    """Who hears what runs report; nothing of it may raise or take long."""

    def report(self, run: PlannedRun, report: Mapping[str, Any]) -> None:
        """A run has started, or ended an epoch."""

    def ended(self, run: PlannedRun, status: str, record: Record | None = None) -> None:
        """A run has ended with a status of its record; with "" it may go on."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Rules:
    """What governs a launch, beside the order of the plan."""

    gpus_per_worker: float | None = None
    max_concurrent: int | None = None
    """Trials at a time on a cluster without slots."""
    loopback: bool = True
    """Whether all workers are on this machine and must not be reached from others."""
    backfill: bool = False
    deadline: float = math.inf
    """On the monotonic clock: when to stop."""
    slot_seconds: float = math.inf
    """What may be used of slots times time before stopping."""
    followers: Sequence[Follower] = ()
    """Who else hears what runs report."""
    counted: Callable[[int, int, int], None] = lambda done, running, waiting: None
    """Is told how many runs there are, about twice a second."""
    incoming: Callable[[], Sequence[PlannedRun]] = list
    """Runs that came in meanwhile and go first."""
    interrupted: Callable[[], bool] = bool
