"""The trials of a sweep as Tune asks for them: which series of runs starts, which is let in, which is to make room.

`admission` decides; here its decisions meet what trials say, what comes in from outside, gates, GPUs and the ledger.
"""

import os
import statistics
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

from ray.tune.search import Searcher

from raysweep.admission import Admission, Devices, Gates, Series, gpu_share
from raysweep.ledger import DIVERGED, FAILED, FINISHED, STOPPED, Ledger, Record, uninterrupted_seconds
from raysweep.live import Status, choose_view
from raysweep.planning import PlannedRun, Resources, Rules, in_series
from raysweep.running.driver import MAX_RESTARTS
from raysweep.running.failures import DISK, ERROR, LOST, Failure
from raysweep.running.recording import git_revision, record_failure, unrecorded

TEND_EVERY = 0.5
"""Seconds between two looks at what has come in from outside."""
ALIKE = 3
"""Failures of a group with the same cause after which none of its runs is started any more."""
CORES = len(os.sched_getaffinity(0))
GRACE = 60.0
"""Seconds that runs have after Ctrl-C to end their step and write their checkpoint."""


class TrialQueue(Searcher):  # type: ignore[misc]
    """Gives Tune its trials one by one, when admission says so, and tells admission how they went."""

    def __init__(self, ledger: Ledger, resources: Resources, rules: Rules, status: Status | None = None) -> None:
        super().__init__()
        self.ledger, self.resources, self.rules = ledger, resources, rules
        self.runs: dict[str, PlannedRun] = {}
        slots = resources.slots if rules.max_concurrent is None else rules.max_concurrent
        self._gates = Gates(ledger.folder) if rules.loopback else None
        self._records: list[Record] | None = None
        self._devices = Devices(resources.gpu_names or [str(i) for i in range(resources.gpus)])
        self._next: Series | None = None
        """Admitted, and still without processes."""
        self._trials: dict[str, tuple[Series, dict[str, Any]]] = {}
        self._specs: dict[Series, dict[str, Any]] = {}
        """Of what has processes or is about to have some."""
        self._of_run: dict[str, Series] = {}
        self.status = status or Status(ledger, choose_view(), slots=slots, slots_of=self._slots_of)
        self.admission = Admission(
            slots, backfill=rules.backfill, seconds_of=self._seconds_of, fits=self._devices_suffice
        )
        self._failures: Counter[tuple[str, str]] = Counter()
        self._revision = git_revision()
        self._tended = time.monotonic()
        self._closed_at = 0.0
        self._finished = False
        """Whether Tune has been told that there is nothing more: what is handed over now is for the next sweep."""
        self._durations: dict[str, float] | None = None

    def add(self, runs: Sequence[PlannedRun], *, urgent: bool = False) -> None:
        """Let runs wait for their turn; those that wait already, before all others with `urgent`."""
        waiting = {run.key: one for one in self.admission.waiting for run in one.runs}
        known = {run.key for run in self.runs.values()}
        for run in runs:
            if urgent and run.key in waiting:
                waiting[run.key].urgent = True
        new = [run for run in runs if run.key not in known]
        self.runs |= {run.name: run for run in new}
        self.status.add([run for run in runs if run.name in self.runs], urgent=urgent)
        self.admission.add(Series(part, self._slots_of(part[0]), urgent=urgent) for part in in_series(new))

    def suggest(self, trial_id: str) -> Any:
        """The next trial's configuration; None while there is none to start."""
        self.tend()
        self.admit()
        series = self._to_start()
        if series:
            spec = self._specs[series] = self._spec(series)
            self._trials[trial_id] = series, spec
            for run in series.runs:
                self.ledger.let_go_on(run.name)
                self._of_run[run.name] = series
            if series in self.admission.running:
                self._let_in(series)
            return {"spec": spec}
        self._finished = not self.admission.running and (self.admission.closed or not self.admission.waiting)
        return Searcher.FINISHED if self._finished else None

    def admit(self) -> None:
        """Let in those whose turn it is, as far as they have processes."""
        while self._next is None and (series := self.admission.next()):
            if series in self._specs:
                self._let_in(series)
            else:
                self._next = series

    def on_trial_complete(self, trial_id: str, result: Record | None = None, error: bool = False) -> None:
        """A trial has left its slots, if it has not done so before."""
        series, spec = self._trials.pop(trial_id)
        self._durations = None
        self._specs.pop(series)
        series.prepared = False
        if self._gates:
            self._gates.remove(spec["trial"])
        for run in self.status.active(series.runs):
            record = self.ledger.record(run.name) or {}
            said = record["status"] if record.get("trial") == spec["trial"] else STOPPED
            self.status.ended(run, said, said)
        waits = series in self.admission.waiting
        left = set()
        if not error and (waits or series.asked_to_stop):
            left = {run["record"]["run"] for run in unrecorded(spec)}
        if left:
            series.runs = [run for run in series.runs if run.name in left]
        elif waits:  # it failed before its turn
            self.admission.waiting.remove(series)
        self._leave(series, again=bool(left))

    def tend(self) -> None:
        """See to what came from outside: urgent runs, Ctrl-C, the end of the budget; ask for room."""
        self.admit()
        now, rules, admission = time.monotonic(), self.rules, self.admission
        if now - self._tended < TEND_EVERY:
            return
        self._tended = now
        self.rules.counted(*self.status.counts())
        urgent = () if self._finished or self._closed_at else rules.incoming()
        if urgent:
            self.add(urgent, urgent=True)
            print(f"{len(urgent)} urgent run{'s' * (len(urgent) != 1)} came in and go first", flush=True)
        if not self._closed_at and rules.interrupted():
            self._close(now)
        elif (admission.running or admission.waiting) and not self._closed_at and self._is_used_up(now):
            self._drop(admission.waiting, "the budget is used up")
            self._close(now)
        for series in admission.to_stop():
            self._stop(series)
        if rules.interrupted():
            waits_for = [series for series in admission.running if series.reported]
            if not waits_for or now - self._closed_at > GRACE:
                raise KeyboardInterrupt

    def reported(self, result: Record) -> None:
        """A trial has said something."""
        run = self.runs[result["run"]]
        series = self._of_run[run.name]
        series.reported = True
        if result.get("event") != "ended":
            self.status.report(run, result)
            for follower in self.rules.followers:
                follower.report(run, result)
            return
        self._say_the_end(run, result["status"], result["text"])
        if result.get("left") == 0:
            self._leave(series)
        if result.get("kind") == DISK:
            self._drop(self.admission.waiting[:], "the disk cannot be written to")
            self.admission.waiting.clear()
        elif result.get("kind") == ERROR:
            alike = run.group, result["signature"]
            self._failures[alike] += 1
            if self._failures[alike] == ALIKE:
                dropped = self.admission.drop(run.group)
                self._drop(dropped, f"{ALIKE} runs of group {run.group} have failed alike")

    def lost(self, spec: dict[str, Any]) -> None:
        """Record the runs of a trial whose process went away too often to do so itself."""
        failure = Failure(LOST, f"its process was lost {MAX_RESTARTS + 1} times")
        for run in unrecorded(spec):
            name = run["record"]["run"]
            planned = {**run["record"], "attempt": self.ledger.begin(name)}
            text, _ = record_failure(spec, planned, failure, time.time(), MAX_RESTARTS)
            self.status.ended(self.runs[name], text, FAILED)
            self._tell_followers(self.runs[name], FAILED)

    def save_to_dir(self, checkpoint_dir: str, session_str: str = "default") -> None:
        """Nothing of this is Ray's to keep."""

    def __getstate__(self) -> dict[str, Any]:
        """Ray writes down what a Tuner was made of; nothing reads it."""
        return {}

    def _is_used_up(self, now: float) -> bool:
        return now >= self.rules.deadline or self.admission.slot_seconds >= self.rules.slot_seconds

    def _close(self, now: float) -> None:
        """Start nothing any more, and stop what runs."""
        self._closed_at = now
        self.admission.close()
        for series in self.admission.waiting:
            self._stop(series)

    def _stop(self, series: Series) -> None:
        """Ask a series to write its checkpoint and end, or not to wait for its turn."""
        if series in self._specs:
            for run in series.runs:
                self.ledger.ask_to_stop(run.name)
                self.status.stops(run)

    def _to_start(self) -> Series | None:
        """The series whose processes to start now; the earlier ones first.

        On a machine of our own no more trials start at once than it has cores.
        """
        if self._gates and sum(not self._gates.is_reached(spec["trial"]) for _, spec in self._trials.values()) >= CORES:
            return None
        series, self._next = self._next, None
        if not series and self._gates:
            series = self.admission.to_prepare()
        return series

    def _let_in(self, series: Series) -> None:
        """Open the gate of a series, which has its slots from here on."""
        self.status.prepares(series.runs[0])
        if self._gates:
            devices = self._devices.take(series, *_workers_and_share(series)) if self.resources.gpus else []
            self._gates.open(self._specs[series]["trial"], devices)

    def _leave(self, series: Series, *, again: bool = False) -> None:
        """Take back what a series holds, if anything; with `again` it waits for its turn once more."""
        if series in self.admission.running:
            self._devices.release(series)
            self.admission.ended(series, again=again)
            if self.resources.gpus:
                self._pack()

    def _devices_suffice(self, series: Series) -> bool:
        return not (self._gates and self.resources.gpus) or self._devices.suffice(*_workers_and_share(series))

    def _say_the_end(self, run: PlannedRun, status: str, text: str) -> None:
        """Of a run, or without a status of an attempt at it."""
        if status:
            self.status.ended(run, text, status)
        else:
            self.status.retries(run, text)
        self._tell_followers(run, status)

    def _tell_followers(self, run: PlannedRun, ending: str) -> None:
        recorded = ending in (FINISHED, FAILED, DIVERGED)
        record = self.ledger.record(run.name) if recorded and self.rules.followers else None
        for follower in self.rules.followers:
            follower.ended(run, ending if recorded else "", record)

    def _drop(self, series: Sequence[Series], why: str) -> None:
        self.status.dropped(run for one in series for run in one.runs)
        for one in series:
            self._stop(one)
        names = [f"{run.experiment.name} seed {run.config.seed}" for one in series for run in one.runs]
        some = f": {', '.join(names[:4])}{', ...' * (len(names) > 4)}" if names else ""
        print(f"{why}; {len(names)} run{'s' * (len(names) != 1)} not started{some}", flush=True)

    def _slots_of(self, run: PlannedRun) -> float:
        return 1 if self.rules.max_concurrent else self.resources.slots_of(run, self._gpus_per_worker(run))

    def _gpus_per_worker(self, run: PlannedRun) -> float | None:
        """As asked for; by itself, a run on a GPU of this machine takes what it was seen to need."""
        if self.rules.gpus_per_worker is not None or not (self.resources.gpus and self._gates):
            return self.rules.gpus_per_worker
        if self._records is None:
            self._records = list(self.ledger.records())
        return gpu_share(run, self._records)

    def _pack(self) -> None:
        """Let what waits take no more of a GPU than is known by now."""
        self._records = None
        for series in self.admission.waiting:
            series.slots = self._slots_of(series.runs[0])

    def _spec(self, series: Series) -> dict[str, Any]:
        """What a trial is told."""
        runs = series.runs
        trial = f"{runs[0].name}-{time.time():.3f}"
        return {
            "runs": [{"record": run.record(), "config": run.config} for run in runs],
            "per_worker": self.resources.per_worker(runs[0], self._gpus_per_worker(runs[0])),
            "slots": series.slots,
            "results": self.ledger.location,
            "folder": str(self.ledger.folder),
            "trial": trial,
            "gate": self._gates.of(trial) if self._gates else "",
            "revision": self._revision,
        }

    def _seconds_of(self, run: PlannedRun) -> float | None:
        """How long runs of the same experiment took that were not interrupted; None where there is none."""
        if self._durations is None:
            found: dict[str, list[float]] = {}
            for record in self.ledger.records():
                if (seconds := uninterrupted_seconds(record)) is not None:
                    found.setdefault(record["experiment"], []).append(seconds)
            self._durations = {name: statistics.median(of_all) for name, of_all in found.items()}
        return self._durations.get(run.experiment.name)


def _workers_and_share(series: Series) -> tuple[int, float]:
    """Workers of a series, and the GPUs that each of them takes."""
    workers = series.runs[0].num_workers
    return workers, series.slots / workers
