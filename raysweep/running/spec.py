"""The data that the processes of a trial are given, and their report of the end of a run."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypedDict

from raysweep.ledger import Record
from raysweep.planning import PlannedRun
from raysweep.ray_internals import Feature

MAX_RESTARTS = 10
"""How often a run goes on from its checkpoint after a lost worker, node or process, before it counts as failed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TrialSpec:
    """The work of a trial, and where it is done."""

    trial: str
    """A name that no other trial has, of this sweep or of another."""
    runs: tuple[PlannedRun, ...]
    """The runs that the trial trains, one after the other."""
    per_worker: Mapping[str, float]
    """Resources of each worker by Ray's names, "CPU" and "GPU"."""
    asked_of_ray: Mapping[str, float]
    """Resources of Ray's that the trial itself holds while it runs."""
    results: str
    """Folder or URL of the results."""
    folder: str
    """The results, or the copy of them on the driver's machine."""
    gate: str
    """The file that admits the trial (see `admission.gate`); "" if Ray's own resources do so."""
    without: frozenset[Feature]
    """What the installed Ray does not allow, as the launcher has found for all processes of the sweep."""

    @property
    def threads(self) -> int:
        """How many threads each worker computes with."""
        return max(1, int(self.per_worker["CPU"]))


@dataclass(frozen=True, kw_only=True, slots=True)
class Attempt:
    """One start of a run, from its beginning or from a checkpoint."""

    run: PlannedRun
    number: int
    """How often the run has been started, including this time."""

    def record(self) -> Record:
        """The part of the run's record that is known before it ends."""
        return {**self.run.record(), "attempt": self.number}


@dataclass(frozen=True, kw_only=True, slots=True)
class WorkerSpec:
    """The data that the workers of one Train run are given."""

    trial: TrialSpec
    attempts: tuple[Attempt, ...]
    """The runs of the trial that have not ended yet."""
    restarts: int
    """How often the trial has gone on after a failure so far."""
    rendezvous: str
    """The file by which the workers find each other; "" if Ray Train connects them."""


class EndReport(TypedDict):
    """The report of a trial when a run, or an attempt at it, has ended."""

    event: str
    """Always "ended", which tells it from the reports of trainables."""
    run: str
    status: str
    """How the run ended, in the words of `Follower.ended`."""
    text: str
    """A message for people, in one line."""
    left: int | None
    """How many runs of the trial are still to come, or None if the trial does not know."""
    kind: str
    """The kind of a failure (see `failures`); "" if there was none."""
    signature: str
    """The same text for all failures of one cause; "" if there was none."""


def end_report(
    run: str, status: str, text: str, *, left: int | None = None, kind: str = "", signature: str = ""
) -> EndReport:
    """The report of an end."""
    return EndReport(event="ended", run=run, status=status, text=text, left=left, kind=kind, signature=signature)
