"""Runs a plan on Ray: each series of runs is a Tune trial that holds its slots and drives a Ray Train worker group.

`admission` decides what starts and what makes room, `trial` is what happens in the trials, here both meet Tune. Ray's
own state is never read back. What survives a crash is the ledger and the trainables' checkpoints, so resuming is
launching what is left to do.
"""

import contextlib
import datetime
import math
import os
import statistics
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
import ray.exceptions
from ray import tune
from ray.tune.search import Searcher

from raysweep.admission import Admission, Series
from raysweep.cluster import SLOT, Resources
from raysweep.failures import DISK, ERROR, LOST, Failure, one_line
from raysweep.ledger import DIVERGED, FAILED, FINISHED, Ledger, Record
from raysweep.plan import Run
from raysweep.state import STOPPED
from raysweep.status import Status
from raysweep.trial import MAX_RESTARTS, record_failure, run_trial, unrecorded
from raysweep.view import view

HEAD_NODE = "node:__internal_head__"
"""What Ray gives every head node; a trial must ask for something, and without slots asks for a trace of this."""

TEND_EVERY = 0.5
"""Seconds between two looks at what has come in from outside."""
ALIKE = 3
"""Failures of a group with the same cause after which none of its runs is started any more."""
ENDINGS = {"finished,": FINISHED, "finished;": FAILED, FAILED: FAILED, DIVERGED: DIVERGED, STOPPED: STOPPED}
"""How a run has ended, by what is said of it; one whose results could not be recorded is to be done again."""
GRACE = 60.0
"""Seconds that runs have after Ctrl-C to end their step and write their checkpoint."""


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
    incoming: Callable[[], Sequence[Run]] = list
    """Runs that came in meanwhile and go first."""
    interrupted: Callable[[], bool] = bool


def launch(
    runs: Sequence[Run], ledger: Ledger, resources: Resources, rules: Rules = Rules(), status: Status | None = None
) -> float:
    """Run all `runs` in order, as many at a time as there are slots, and record each. Needs an initialised Ray.

    Tells `status`, which has been started, what happens; without one, it is shown for as long as this lasts. Returns
    the slots times seconds that it used. Raises ConnectionError where the cluster is lost meanwhile, KeyboardInterrupt
    where `rules.interrupted` said so.
    """
    queue = _Queue(ledger, resources, rules, status)
    queue.add(runs)
    has_slots = rules.max_concurrent is None
    trial = tune.with_resources(
        run_trial,
        lambda config: tune.PlacementGroupFactory(
            [{"CPU": 0, **({SLOT: config["spec"]["slots"]} if has_slots else {HEAD_NODE: 0.001})}]
        ),
    )
    tuner = tune.Tuner(
        trial,
        tune_config=tune.TuneConfig(
            search_alg=queue,
            num_samples=-1,
            trial_name_creator=lambda trial: _first(trial)["run"],
            trial_dirname_creator=lambda trial: _first(trial)["run"],
        ),
        run_config=tune.RunConfig(
            name=f"sweep-{datetime.datetime.now():%Y%m%d-%H%M%S}-{os.getpid()}",
            storage_path=str(ledger.folder / "ray"),
            failure_config=tune.FailureConfig(max_failures=MAX_RESTARTS),
            callbacks=[_Watch(queue)],
            verbose=0,
        ),
    )
    try:
        with contextlib.ExitStack() as stack:
            if status is None:
                queue.status.start()
                stack.callback(queue.status.close)
            tuner.fit()
    except (ray.exceptions.RayError, tune.TuneError) as error:
        raise ConnectionError(f"the Ray cluster was lost ({one_line(error)}); the same command goes on") from None
    if rules.interrupted():
        raise KeyboardInterrupt
    return queue.admission.slot_seconds


def _first(trial: Any) -> Record:
    """What the record of a trial's first run says beforehand."""
    record: Record = trial.config["spec"]["runs"][0]["record"]
    return record


class _Queue(Searcher):  # type: ignore[misc]
    """Gives Tune its trials one by one, when admission says so, and tells admission how they went."""

    def __init__(self, ledger: Ledger, resources: Resources, rules: Rules, status: Status | None = None) -> None:
        super().__init__()
        self.ledger, self.resources, self.rules = ledger, resources, rules
        self.runs: dict[str, Run] = {}
        slots = resources.slots if rules.max_concurrent is None else rules.max_concurrent
        self.status = status or Status(ledger, view(), slots=slots, slots_of=self._slots_of)
        self.admission = Admission(slots, backfill=rules.backfill, seconds_of=self._seconds_of)
        self._trials: dict[str, tuple[Series, dict[str, Any]]] = {}
        self._of_run: dict[str, Series] = {}
        self._failures: Counter[tuple[str, str]] = Counter()
        self._revision = git_revision()
        self._tended = time.monotonic()
        self._closed_at = 0.0
        self._finished = False
        """Whether Tune has been told that there is nothing more: what is handed over now is for the next sweep."""
        self._durations: dict[str, float] | None = None

    def add(self, runs: Sequence[Run], *, urgent: bool = False) -> None:
        """Let runs wait for their turn; those that wait already, before all others with `urgent`."""
        waiting = {run.key: one for one in self.admission.waiting for run in one.runs}
        known = {run.key for run in self.runs.values()}
        for run in runs:
            if urgent and run.key in waiting:
                waiting[run.key].urgent = True
        new = [run for run in runs if run.key not in known]
        self.runs |= {run.name: run for run in new}
        self.status.add([run for run in runs if run.name in self.runs], urgent=urgent)
        parts = _in_series(new)
        self.admission.add(Series(part, self._slots_of(part[0]), urgent=urgent) for part in parts)

    def suggest(self, trial_id: str) -> Any:
        """The next trial's configuration; None while there is none to start."""
        self.tend()
        series = self.admission.next()
        if series:
            spec = self._spec(series.runs)
            self._trials[trial_id] = series, spec
            self.status.prepares(series.runs[0])
            for run in series.runs:
                self.ledger.let_go_on(run.name)
                self._of_run[run.name] = series
            return {"spec": spec}
        self._finished = not self.admission.running and (self.admission.closed or not self.admission.waiting)
        return Searcher.FINISHED if self._finished else None

    def on_trial_complete(self, trial_id: str, result: Record | None = None, error: bool = False) -> None:
        """A trial has left its slots."""
        series, spec = self._trials.pop(trial_id)
        self._durations = None
        for run in self.status.active(series.runs):
            record = self.ledger.record(run.name) or {}
            said = record["status"] if record.get("trial") == spec["trial"] else STOPPED
            self.status.ended(run, said, said)
        stopped = series.asked_to_stop and not error
        left = {run["record"]["run"] for run in unrecorded(spec)} if stopped else set()
        if left:
            series.runs = [run for run in series.runs if run.name in left]
        self.admission.ended(series, again=bool(left))

    def tend(self) -> None:
        """See to what came from outside: urgent runs, Ctrl-C, the end of the budget; ask for room."""
        now, rules, admission = time.monotonic(), self.rules, self.admission
        if now - self._tended < TEND_EVERY:
            return
        self._tended = now
        urgent = () if self._finished or self._closed_at else rules.incoming()
        if urgent:
            self.add(urgent, urgent=True)
            print(f"{len(urgent)} urgent run{'s' * (len(urgent) != 1)} came in and go first", flush=True)
        if not self._closed_at and rules.interrupted():
            self._close(now)
        elif not self._closed_at and (now >= rules.deadline or admission.slot_seconds >= rules.slot_seconds):
            self._drop(admission.waiting, "the budget is used up")
            self._close(now)
        for series in admission.to_stop():
            for run in series.runs:
                self.ledger.ask_to_stop(run.name)
                self.status.stops(run)
        if rules.interrupted():
            waits_for = [series for series in admission.running if series.reported]
            if not waits_for or now - self._closed_at > GRACE:
                raise KeyboardInterrupt

    def reported(self, result: Record) -> None:
        """A trial has said something."""
        run = self.runs[result["run"]]
        self._of_run[run.name].reported = True
        if result.get("event") != "ended":
            self.status.report(run, result)
            return
        text = result["text"]
        ending = next((status for start, status in ENDINGS.items() if text.startswith(start)), None)
        if ending:
            self.status.ended(run, text, ending)
        else:
            self.status.retries(run, text)
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

    def save_to_dir(self, checkpoint_dir: str, session_str: str = "default") -> None:
        """Nothing of this is Ray's to keep."""

    def __getstate__(self) -> dict[str, Any]:
        """Ray writes down what a Tuner was made of; nothing reads it."""
        return {}

    def _close(self, now: float) -> None:
        """Start nothing any more, and stop what runs."""
        self._closed_at = now
        self.admission.close()

    def _drop(self, series: Sequence[Series], why: str) -> None:
        self.status.dropped(run for one in series for run in one.runs)
        names = [f"{run.experiment.name} seed {run.config.seed}" for one in series for run in one.runs]
        some = f": {', '.join(names[:4])}{', ...' * (len(names) > 4)}" if names else ""
        print(f"{why}; {len(names)} run{'s' * (len(names) != 1)} not started{some}", flush=True)

    def _slots_of(self, run: Run) -> float:
        return 1 if self.rules.max_concurrent else self.resources.slots_of(run, self.rules.gpus_per_worker)

    def _spec(self, runs: Sequence[Run]) -> dict[str, Any]:
        """What a trial is told."""
        return {
            "runs": [{"record": run.record(), "config": run.config} for run in runs],
            "per_worker": self.resources.per_worker(runs[0], self.rules.gpus_per_worker),
            "slots": self.resources.slots_of(runs[0], self.rules.gpus_per_worker),
            "results": self.ledger.location,
            "folder": str(self.ledger.folder),
            "trial": f"{runs[0].name}-{time.time():.3f}",
            "revision": self._revision,
            "loopback": self.rules.loopback,
        }

    def _seconds_of(self, run: Run) -> float | None:
        """How long runs of the same experiment took that were not interrupted; None where there is none."""
        if self._durations is None:
            found: dict[str, list[float]] = {}
            for record in self.ledger.records():
                if record["status"] == FINISHED and record.get("attempt") == 1:
                    start, end = (datetime.datetime.fromisoformat(record[name]) for name in ("started", "finished"))
                    found.setdefault(record["experiment"], []).append((end - start).total_seconds())
            self._durations = {name: statistics.median(seconds) for name, seconds in found.items()}
        return self._durations.get(run.experiment.name)


class _Watch(tune.Callback):  # type: ignore[misc]
    """Hands what Tune sees to the queue."""

    def __init__(self, queue: _Queue) -> None:
        self._queue = queue

    def on_step_begin(self, iteration: int, trials: list[Any], **info: Any) -> None:
        self._queue.tend()

    def on_trial_result(self, iteration: int, trials: list[Any], trial: Any, result: Record, **info: Any) -> None:
        self._queue.reported(result)

    def on_trial_recover(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        run = self._queue.runs[_first(trial)["run"]]
        self._queue.status.retries(run, "lost its process; goes on from what its runs have left")

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self._queue.lost(trial.config["spec"])


def _in_series(runs: Sequence[Run]) -> list[list[Run]]:
    """Neighbouring runs of one experiment in parts of at most `runs_per_trial`."""
    series: list[list[Run]] = []
    for run in runs:
        last = series[-1] if series else []
        if last and last[0].experiment == run.experiment and len(last) < run.experiment.runs_per_trial:
            last.append(run)
        else:
            series.append([run])
    return series


def git_revision() -> str | None:
    """The git revision of this code, with a + where it was changed since; None outside of a repository."""
    folder = str(Path(__file__).parent)
    command = ["git", "-C", folder, "describe", "--always", "--dirty=+", "--abbrev=12", "--exclude=*"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None
