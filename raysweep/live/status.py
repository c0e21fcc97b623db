"""Keeps the state of a sweep while it runs, shows it and writes it to RESULTS/status.json.

The states of runs, and the dict that holds them, are replaced and never changed, so the threads that draw and write
them need no locks.
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
    HEARTBEAT_EVERY,
    STARTING,
    STOPPING,
    TRAINING,
    WAITING,
    Encoder,
    RunState,
    SweepState,
)
from raysweep.live.timeleft import Pace
from raysweep.live.view import View, epoch_text, start_text
from raysweep.planning import PlannedRun

WRITE_EVERY, WRITE_REMOTE_EVERY = 1.0, 2.0
"""The least number of seconds between two writes, to a file system and to an object store."""
PAUSE_FACTOR = 300
"""Estimating and writing pause for this many times the processor time that they took, which training needs."""


class Status:
    """Keeps the state of a sweep, which others report to it, and shows and writes it between `start` and `close`."""

    def __init__(
        self,
        ledger: Ledger,
        view: View,
        *,
        slots: float,
        slots_of: Callable[[PlannedRun], float] = lambda run: run.num_workers,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._ledger, self._view, self._slots, self._slots_of, self._clock = ledger, view, slots, slots_of, clock
        self._pace = Pace()
        self._runs: dict[str, PlannedRun] = {}
        self._run_states: dict[str, RunState] = {}
        self._started = clock()
        self._ended: float | None = None
        self._why_ended = ""
        self._estimates = Estimates()
        self._encoder = Encoder()
        self._written: tuple[dict[str, RunState] | None, float] = (None, 0.0)
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._estimate_and_write, daemon=True, name="status")

    def start(self) -> None:
        """Show and write the state from now on."""
        self._view.start(self.state)
        self._thread.start()

    def add(
        self, runs: Iterable[PlannedRun], done: Mapping[str, Record] | None = None, *, urgent: bool = False
    ) -> None:
        """Add runs of the plan, or make known ones urgent. `done` holds the records of ended runs by name."""
        done, new = done or {}, {}
        for run in runs:
            if run.name in self._run_states:
                new[run.name] = replace(self._run_states[run.name], urgent=urgent or self._run_states[run.name].urgent)
                continue
            self._runs[run.name] = run
            run_state = RunState(
                run=run.name,
                experiment=run.experiment.name,
                group=run.group,
                seed=run.config.seed,
                priority=run.experiment.priority,
                num_workers=run.num_workers,
                slots=self._slots_of(run),
                urgent=urgent,
            )
            new[run.name] = replace(run_state, state=DONE_BEFORE) if run.name in done else run_state
            if (record := done.get(run.name)) and (seconds := uninterrupted_seconds(record)):
                self._pace.run_took(run, seconds)
        self._run_states = self._run_states | new

    def expect(self, predicted: Mapping[str, tuple[float, float, float]]) -> None:
        """Take in how long runs are predicted to take: by name, the seconds and their bounds."""
        self._pace.expect(predicted)

    def admitted(self, run: PlannedRun) -> None:
        """Note that a run has been given its slots and is about to begin."""
        self._set(run, state=STARTING)

    def started(self, run: PlannedRun) -> None:
        """Note that a run has begun to train."""
        now, run_state = self._clock(), self._run_states[run.name]
        pause = now - run_state.ended if run_state.ended else 0.0
        started = now if run_state.started is None else run_state.started + pause
        self._set(run, state=TRAINING, started=started, reported=now, ended=None)

    def report(self, run: PlannedRun, report: Mapping[str, Any]) -> None:
        """Take in a report of a run's trainable: the run has started, or has ended an epoch."""
        match report.get("event"):
            case "start":
                self.started(run)
                if at := report.get("resumed_at"):
                    lengths = {one["phase"]: one["epochs"] for one in run.facts.get("phases", ())}
                    self._set(run, phase=at[0], epoch=at[1], epochs=lengths.get(at[0], 0))
                self._view.line(run, start_text(run, report), notable=bool(at))
            case "epoch":
                self._epoch(run, report)

    def asked_to_stop(self, run: PlannedRun) -> None:
        """Note that a run has been asked to stop."""
        if self._run_states[run.name].state in ACTIVE:
            self._set(run, state=STOPPING)

    def ended(self, run: PlannedRun, status: str, text: str = "", record: Record | None = None) -> None:
        """Note that a run, or an attempt at it, has ended; the arguments are those of `Follower.ended`."""
        if status == "":
            self.retried(run, text)
            return
        now, run_state = self._clock(), self._run_states[run.name]
        if status == STOPPED:
            self._set(run, state=WAITING, ended=now)
        else:
            self._set(run, state=status, ended=now, error="" if status == FINISHED else text)
        if status == FINISHED and run_state.started and not run_state.retries:
            self._pace.run_took(run, now - run_state.started)
        self._view.line(run, text, notable=status != FINISHED)

    def retried(self, run: PlannedRun, text: str) -> None:
        """Note that a run starts again or goes on after an error, which `text` describes."""
        run_state = self._run_states[run.name]
        self._set(run, state=STARTING, retries=run_state.retries + 1, error=text)
        self._view.line(run, text, notable=True)

    def active(self, runs: Iterable[PlannedRun]) -> list[PlannedRun]:
        """Those of the runs that have been given their slots and have not ended."""
        return [run for run in runs if self._run_states[run.name].state in ACTIVE]

    def counts(self) -> tuple[int, int, int]:
        """How many runs are done, running and waiting."""
        states = [run_state.state for run_state in self._run_states.values()]
        running, waiting = sum(state in ACTIVE for state in states), states.count(WAITING)
        return len(states) - running - waiting, running, waiting

    def dropped(self, runs: Iterable[PlannedRun]) -> None:
        """Note that waiting runs will not be started."""
        for run in runs:
            self._set(run, state=DROPPED)

    def line(self, run: PlannedRun, text: str) -> None:
        """Print a line about a run."""
        self._view.line(run, text, notable=True)

    def ends_early(self, why: str) -> None:
        """Note what ends the sweep before its runs are done, in a few words."""
        self._why_ended = why

    def state(self) -> SweepState:
        """The current state of the sweep."""
        estimates = self._estimates
        return SweepState(
            location=self._ledger.location,
            holder=this_process(),
            slots=self._slots,
            started=self._started,
            written=self._clock(),
            ended=self._ended,
            why_ended=self._why_ended,
            run_states=tuple(self._run_states.values()),
            estimated=estimates.at,
            left=estimates.left,
            total=estimates.total,
        )

    def close(self) -> None:
        """Write the last state, in which runs that have not ended wait to go on, and leave it in sight."""
        self._ended = self._clock()
        for run in self.active(self._runs.values()):
            self._set(run, state=WAITING, ended=self._ended)
        self._closed.set()
        if self._thread.is_alive():
            self._thread.join(10)
        self._estimate()
        self._view.close()
        if not self._thread.is_alive():  # otherwise the thread is still waiting for a store that does not answer
            self._write()

    def _set(self, run: PlannedRun, **changes: Any) -> None:
        self._run_states = {**self._run_states, run.name: replace(self._run_states[run.name], **changes)}

    def _epoch(self, run: PlannedRun, report: Mapping[str, Any]) -> None:
        now, run_state, phase = self._clock(), self._run_states[run.name], report["phase"]
        val_acc = report.get("val_acc")
        best_acc, best_epoch = (run_state.best_acc, run_state.best_epoch) if phase == run_state.phase else (None, 0)
        if val_acc is not None and (best_acc is None or val_acc > best_acc):
            best_acc, best_epoch = val_acc, report["epoch"]
        self._pace.epoch_took(run, phase, report.get("seconds", now - (run_state.reported or now)))
        self._set(
            run,
            state=run_state.state if run_state.state == STOPPING else TRAINING,
            phase=phase,
            epoch=report["epoch"],
            epochs=report["epochs"],
            val_acc=val_acc,
            best_acc=report.get("best_acc", best_acc),
            best_epoch=best_epoch,
            train_loss=report.get("train_loss"),
            images_per_second=report["images_per_second"],
            data_wait=report.get("data_wait"),
            started=run_state.started or now,
            reported=now,
        )
        self._view.line(run, epoch_text(report), notable=False)

    def _estimate_and_write(self) -> None:
        """Estimate and write again and again until the status is closed, as often as it costs little."""
        every = WRITE_REMOTE_EVERY if self._ledger.store.is_remote else WRITE_EVERY
        estimate_at = write_at = 0.0
        while not self._closed.wait(0.25):
            now = time.monotonic()
            if now >= estimate_at:
                estimate_at = now + max(WRITE_EVERY, PAUSE_FACTOR * _cpu_seconds_of(self._estimate))
            if now >= write_at and self._must_write():
                write_at = now + max(every, PAUSE_FACTOR * _cpu_seconds_of(self._write))

    def _must_write(self) -> bool:
        run_states, at = self._written
        return run_states is not self._run_states or self._clock() - at >= HEARTBEAT_EVERY

    def _estimate(self) -> None:
        run_states = self._run_states.values()
        self._estimates = estimate(run_states, self._runs, self._pace, slots=self._slots, now=self._clock())

    def _write(self) -> None:
        """Write the state to status.json; if that fails now, the next call will try again."""
        run_states, state = self._run_states, self.state()
        with contextlib.suppress(OSError, LedgerError):
            self._ledger.store.put(FILE, self._encoder.encode(state))
            self._written = run_states, state.written


def _cpu_seconds_of(work: Callable[[], None]) -> float:
    """Do some work, and return the seconds of processor time that it took."""
    before = time.thread_time()
    work()
    return time.thread_time() - before
