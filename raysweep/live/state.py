"""A sweep at a moment: a row for each run of its plan, and the file in which others see it, RESULTS/status.json."""

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
SIGN_OF_LIFE = 30.0
"""Seconds after which it is written even if nothing has changed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RunState:
    """What is known of one run of the plan. Times are seconds since 1970."""

    run: str
    experiment: str
    group: str
    seed: int
    priority: int = 0
    num_workers: int = 1
    slots: float = 1
    state: str = WAITING
    urgent: bool = False
    phase: str = ""
    epoch: int = 0
    epochs: float = 0
    val_acc: float | None = None
    """In percent, of the last epoch."""
    best_acc: float | None = None
    best_epoch: int = 0
    train_loss: float | None = None
    images_per_second: float | None = None
    retries: int = 0
    error: str = ""
    """The last one, in a line."""
    started: float | None = None
    reported: float | None = None
    ended: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class SweepState:
    """A sweep at a moment."""

    location: str
    holder: str
    slots: float
    started: float
    written: float
    ended: float | None = None
    rows: Sequence[RunState] = ()
    estimated: float = 0.0
    """When the times left were."""
    left: Mapping[str, TimeEstimate] = field(default_factory=dict)
    """By run."""
    total: TimeEstimate | None = None
    """Until all is done; None where nothing is left."""


class Encoder:
    """Turns states into JSON; of rows, only those that are new since the last time are encoded."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[RunState, str]] = {}

    def encode(self, state: SweepState) -> bytes:
        """The content of status.json."""
        for row in state.rows:
            known = self._known.get(row.run)
            if known is None or known[0] is not row:
                self._known[row.run] = row, json.dumps(_told(row))
        head = {name: getattr(state, name) for name in _HEAD}
        head["total"] = state.total and _rounded(state.total)
        head["left"] = {name: _rounded(left) for name, left in state.left.items()}
        rows = ",\n".join(self._known[row.run][1] for row in state.rows)
        return f'{json.dumps(head)[:-1]},\n"rows": [\n{rows}\n]}}\n'.encode()


def read_state(ledger: Ledger) -> SweepState:
    """What a sweep has last written. Raises LedgerError where there is nothing, or not a whole one."""
    names = {f.name for f in dataclasses.fields(RunState)}
    try:
        content = read_document(ledger.store, FILE)
        return SweepState(
            rows=[RunState(**{name: value for name, value in row.items() if name in names}) for row in content["rows"]],
            left={name: _interval(left) for name, left in content["left"].items()},
            total=content["total"] and _interval(content["total"]),
            **{name: content[name] for name in _HEAD},
        )
    except FileNotFoundError:
        raise LedgerError(f"no sweep has left its status in {ledger.location}") from None
    except (ValueError, TypeError, KeyError, AttributeError):
        raise damage_of(ledger.store, FILE) from None


_HEAD = ("location", "holder", "slots", "started", "written", "ended", "estimated")
_DEFAULTS = {f.name: f.default for f in dataclasses.fields(RunState)}


def _told(row: RunState) -> dict[str, Any]:
    """What is not a row's default."""
    return {name: value for name, default in _DEFAULTS.items() if (value := getattr(row, name)) != default}


def _rounded(interval: TimeEstimate) -> list[float | None]:
    return [None if math.isinf(one) else round(one, 1) for one in (interval.seconds, interval.low, interval.high)]


def _interval(values: Sequence[float | None]) -> TimeEstimate:
    return TimeEstimate(*(math.inf if one is None else one for one in values))
