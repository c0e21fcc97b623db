"""The state of a sweep and of each of its runs, and RESULTS/status.json, the file in which other processes read it."""

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from raysweep.ledger import DIVERGED, FAILED, FINISHED, Ledger, LedgerError, damage_of, read_document
from raysweep.live.timeleft import TimeEstimate

WAITING, STARTING, TRAINING, STOPPING = "waiting", "starting", "training", "stopping"
DONE_BEFORE, DROPPED = "done before", "dropped"
ACTIVE = (STARTING, TRAINING, STOPPING)
ENDED = (FINISHED, FAILED, DIVERGED, DROPPED)

FILE = "status.json"
"""The file's name in the results folder."""
HEARTBEAT_EVERY = 30.0
"""Seconds after which the file is written again even if nothing has changed, so that readers see the sweep is alive."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RunState:
    """The state of one run of the plan, which is one row of the table. Times are seconds since 1970."""

    run: str
    experiment: str
    group: str
    seed: int
    priority: int = 0
    num_workers: int = 1
    slots: float = 1
    state: str = WAITING
    """One of the states above, or, of a run that has ended, the status of its record."""
    urgent: bool = False
    phase: str = ""
    epoch: int = 0
    """How many epochs of the phase are done."""
    epochs: float = 0
    """How many epochs the phase has if it is not stopped early."""
    val_acc: float | None = None
    """The validation accuracy after the last epoch, in percent."""
    best_acc: float | None = None
    best_epoch: int = 0
    """The epoch with the best validation accuracy of the phase; 0 before there is one."""
    train_loss: float | None = None
    images_per_second: float | None = None
    data_wait: float | None = None
    """The part of the last epoch's training, in percent, for which it waited for images."""
    retries: int = 0
    error: str = ""
    """The last error of the run, in a line."""
    started: float | None = None
    """When it began, moved forward by the time for which it waited between two of its trials."""
    reported: float | None = None
    """When it last reported."""
    ended: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class SweepState:
    """The state of a sweep. Times are seconds since 1970."""

    location: str
    """The folder or URL of the results."""
    holder: str
    """The process that runs the sweep, as `ledger.this_process` names it."""
    slots: float
    started: float
    written: float
    ended: float | None = None
    why_ended: str = ""
    """What has ended it before its runs were done, in a few words; "" where the user has, or nothing has."""
    run_states: Sequence[RunState] = ()
    estimated: float = 0.0
    """When the times left were estimated."""
    left: Mapping[str, TimeEstimate] = field(default_factory=dict)
    """The time left of each run of which something is known, by the run's name."""
    total: TimeEstimate | None = None
    """The time until all runs are done; None where no run is left."""


class Encoder:
    """Turns states of a sweep into JSON, and encodes a run's state only if it has changed since the last call."""

    def __init__(self) -> None:
        self._encoded: dict[str, tuple[RunState, str]] = {}

    def encode(self, state: SweepState) -> bytes:
        """The content of status.json."""
        for row in state.run_states:
            known = self._encoded.get(row.run)
            if known is None or known[0] is not row:
                self._encoded[row.run] = row, json.dumps(_non_default_fields(row))
        head = {name: getattr(state, name) for name in _HEAD}
        head["why_ended"] = state.why_ended
        head["total"] = state.total and _estimate_to_json(state.total)
        head["left"] = {name: _estimate_to_json(left) for name, left in state.left.items()}
        rows = ",\n".join(self._encoded[row.run][1] for row in state.run_states)
        return f'{json.dumps(head)[:-1]},\n"rows": [\n{rows}\n]}}\n'.encode()


def read_state(ledger: Ledger) -> SweepState:
    """Read the last state that a sweep has written. Raises LedgerError if there is none, or if it is damaged."""
    names = {f.name for f in dataclasses.fields(RunState)}
    try:
        content = read_document(ledger.store, FILE)
        return SweepState(
            run_states=[
                RunState(**{name: value for name, value in row.items() if name in names}) for row in content["rows"]
            ],
            left={name: _estimate_from_json(left) for name, left in content["left"].items()},
            total=content["total"] and _estimate_from_json(content["total"]),
            why_ended=content.get("why_ended", ""),
            **{name: content[name] for name in _HEAD},
        )
    except FileNotFoundError:
        raise LedgerError(f"no sweep has left its status in {ledger.location}") from None
    except (ValueError, TypeError, KeyError, AttributeError):
        raise damage_of(ledger.store, FILE) from None


_HEAD = ("location", "holder", "slots", "started", "written", "ended", "estimated")
_DEFAULTS = {f.name: f.default for f in dataclasses.fields(RunState)}


def _non_default_fields(row: RunState) -> dict[str, Any]:
    """The fields of a run's state that differ from their defaults; the others are not written."""
    return {name: value for name, default in _DEFAULTS.items() if (value := getattr(row, name)) != default}


def _estimate_to_json(estimate: TimeEstimate) -> list[float | None]:
    return [None if math.isinf(one) else round(one, 1) for one in (estimate.seconds, estimate.low, estimate.high)]


def _estimate_from_json(values: Sequence[float | None]) -> TimeEstimate:
    return TimeEstimate(*(math.inf if one is None else one for one in values))
