"""Keeps the state of a sweep while it runs, shows it and writes it to RESULTS/status.json.

Rows, and the dict of all, are replaced and never changed, so the threads that draw and write need no locks.
"""

import contextlib
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from raysweep.ledger import (
    FINISHED,
    STOPPED,
    Ledger,
    LedgerError,
    Record,
    this_process,
    uninterrupted_seconds,
)
from raysweep.live.estimates import Estimates, estimate
from raysweep.live.state import (
    ACTIVE,
    DONE_BEFORE,
    DROPPED,
    FILE,
    SIGN_OF_LIFE,
    STARTING,
    STOPPING,
    TRAINING,
    WAITING,
    Encoder,
    RunState,
    SweepState,
)
from raysweep.live.timeleft import Pace
from raysweep.live.view import View, said_after_epoch, said_at_start
from raysweep.planning import PlannedRun

WRITE_EVERY, SHARE_EVERY = 1.0, 2.0
"""Seconds between two writes at least: on a file system, and into an object store."""
IDLE = 300
"""Times what estimating or writing took is waited before it is done again."""


class Status:
    """Keeps the state of a sweep by what the launcher tells it, and shows and writes it between `start` and `close`."""

    def __init__(
        self,
        ledger: Ledger,
        view: View,
        *,
        slots: float,
        slots_of: Callable[[PlannedRun], float] = lambda run: run.num_workers,
        predicted: Mapping[str, tuple[float, float, float]] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`predicted` are seconds of runs by name, with bounds."""
        self._ledger, self._view, self._slots, self._slots_of, self._clock = ledger, view, slots, slots_of, clock
        self._pace = Pace(predicted)
        self._runs: dict[str, PlannedRun] = {}
        self._rows: dict[str, RunState] = {}
        self._started = clock()
        self._ended: float | None = None
        self._estimates = Estimates()
        self._encoder = Encoder()
        self._written: tuple[dict[str, RunState] | None, float] = (None, 0.0)
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._keep, daemon=True, name="status")

    def start(self) -> None:
        """Show and write the state from now on."""
        self._view.start(self.state)
        self._thread.start()

    def add(
        self, runs: Iterable[PlannedRun], done: Mapping[str, Record] | None = None, *, urgent: bool = False
    ) -> None:
        """Runs of the plan that are not known yet; of some that are `done`, the records by name."""
        done, new = done or {}, {}
        for run in runs:
            if run.name in self._rows:
                new[run.name] = replace(self._rows[run.name], urgent=urgent or self._rows[run.name].urgent)
                continue
            self._runs[run.name] = run
            row = RunState(
                run=run.name,
                experiment=run.experiment.name,
                group=run.group,
                seed=run.config.seed,
                priority=run.experiment.priority,
                num_workers=run.num_workers,
                slots=self._slots_of(run),
                urgent=urgent,
            )
            new[run.name] = replace(row, state=DONE_BEFORE) if run.name in done else row
            if (record := done.get(run.name)) and (seconds := uninterrupted_seconds(record)):
                self._pace.took(run, seconds)
        self._rows = self._rows | new

    def admitted(self, run: PlannedRun) -> None:
        """It is its turn."""
        self._set(run, state=STARTING)

    def started(self, run: PlannedRun) -> None:
        """It has taken its slots."""
        now, row = self._clock(), self._rows[run.name]
        pause = now - row.ended if row.ended else 0.0
        started = now if row.started is None else row.started + pause
        self._set(run, state=TRAINING, started=started, reported=now, ended=None)

    def report(self, run: PlannedRun, report: Mapping[str, Any]) -> None:
        """A trainable has reported."""
        match report.get("event"):
            case "start":
                self.started(run)
                if at := report.get("resumed_at"):
                    lengths = {one["phase"]: one["epochs"] for one in run.facts.get("phases", ())}
                    self._set(run, phase=at[0], epoch=at[1], epochs=lengths.get(at[0], 0))
                self._view.line(run, said_at_start(run, report), notable=bool(at))
            case "epoch":
                self._epoch(run, report)

    def asked_to_stop(self, run: PlannedRun) -> None:
        """It has been asked to stop."""
        if self._rows[run.name].state in ACTIVE:
            self._set(run, state=STOPPING)

    def ended(self, run: PlannedRun, status: str, text: str = "", record: Record | None = None) -> None:
        """A run has ended, or an attempt at it, as `Follower.ended` says."""
        if status == "":
            self.retried(run, text)
            return
        now, row = self._clock(), self._rows[run.name]
        if status == STOPPED:
            self._set(run, state=WAITING, ended=now)
        else:
            self._set(run, state=status, ended=now, error="" if status == FINISHED else text)
        if status == FINISHED and row.started and not row.retries:
            self._pace.took(run, now - row.started)
        self._view.line(run, text, notable=status != FINISHED)

    def retried(self, run: PlannedRun, text: str) -> None:
        """It is begun once more, or goes on, after what `text` says."""
        row = self._rows[run.name]
        self._set(run, state=STARTING, retries=row.retries + 1, error=text)
        self._view.line(run, text, notable=True)

    def active(self, runs: Iterable[PlannedRun]) -> list[PlannedRun]:
        """Those of them that have begun and not ended."""
        return [run for run in runs if self._rows[run.name].state in ACTIVE]

    def counts(self) -> tuple[int, int, int]:
        """How many runs have ended, take part now, and wait."""
        states = [row.state for row in self._rows.values()]
        running, waiting = sum(state in ACTIVE for state in states), states.count(WAITING)
        return len(states) - running - waiting, running, waiting

    def dropped(self, runs: Iterable[PlannedRun]) -> None:
        """Runs that wait will not be started."""
        for run in runs:
            self._set(run, state=DROPPED)

    def line(self, run: PlannedRun, text: str) -> None:
        """Say something about a run."""
        self._view.line(run, text, notable=True)

    def state(self) -> SweepState:
        """The sweep at this moment."""
        estimates = self._estimates
        return SweepState(
            location=self._ledger.location,
            holder=this_process(),
            slots=self._slots,
            started=self._started,
            written=self._clock(),
            ended=self._ended,
            rows=tuple(self._rows.values()),
            estimated=estimates.at,
            left=estimates.left,
            total=estimates.total,
        )

    def close(self) -> None:
        """Write the last state, and leave it standing."""
        self._ended = self._clock()
        self._closed.set()
        if self._thread.is_alive():
            self._thread.join(10)
        self._estimate()
        self._view.close()
        if not self._thread.is_alive():  # else it waits for a store that does not answer
            self._write()

    def _set(self, run: PlannedRun, **changes: Any) -> None:
        self._rows = {**self._rows, run.name: replace(self._rows[run.name], **changes)}

    def _epoch(self, run: PlannedRun, report: Mapping[str, Any]) -> None:
        now, row, phase = self._clock(), self._rows[run.name], report["phase"]
        val_acc = report.get("val_acc")
        best_acc, best_epoch = (row.best_acc, row.best_epoch) if phase == row.phase else (None, 0)
        if val_acc is not None and (best_acc is None or val_acc > best_acc):
            best_acc, best_epoch = val_acc, report["epoch"]
        self._pace.epoch(run, phase, report.get("seconds", now - (row.reported or now)))
        self._set(
            run,
            state=row.state if row.state == STOPPING else TRAINING,
            phase=phase,
            epoch=report["epoch"],
            epochs=report["epochs"],
            val_acc=val_acc,
            best_acc=report.get("best_acc", best_acc),
            best_epoch=best_epoch,
            train_loss=report.get("train_loss"),
            images_per_second=report["images_per_second"],
            started=row.started or now,
            reported=now,
        )
        self._view.line(run, said_after_epoch(report), notable=False)

    def _keep(self) -> None:
        """Estimate and write, as often as it is cheap."""
        every = SHARE_EVERY if self._ledger.store.is_remote else WRITE_EVERY
        estimate_at = write_at = 0.0
        while not self._closed.wait(0.25):
            now = time.monotonic()
            if now >= estimate_at:
                estimate_at = now + max(WRITE_EVERY, IDLE * _cost(self._estimate))
            if now >= write_at and self._is_new():
                write_at = now + max(every, IDLE * _cost(self._write))

    def _is_new(self) -> bool:
        rows, at = self._written
        return rows is not self._rows or self._clock() - at >= SIGN_OF_LIFE

    def _estimate(self) -> None:
        rows = self._rows.values()
        self._estimates = estimate(rows, self._runs, self._pace, slots=self._slots, now=self._clock())

    def _write(self) -> None:
        """Bring the state to status.json; where that is not possible now, it is tried again."""
        rows, state = self._rows, self.state()
        with contextlib.suppress(OSError, LedgerError):
            self._ledger.store.put(FILE, self._encoder.encode(state))
            self._written = rows, state.written


def _cost(work: Callable[[], None]) -> float:
    """Seconds of a processor that it took."""
    before = time.thread_time()
    work()
    return time.thread_time() - before
