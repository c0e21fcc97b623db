"""The queue from which Tune takes the trials of a sweep.

`Admission` decides which bundle of runs starts, is prepared or has to stop. The queue carries its decisions out: it
tells the placement, the ledger and the followers, and passes on to `Admission` what trials report and what comes from
outside (urgent runs, Ctrl-C, the end of the budget). It does not import Ray; `tune_adapter` connects it with Tune.
"""

import statistics
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from raysweep.admission import Admission, RunBundle
from raysweep.ledger import DIVERGED, FAILED, FINISHED, STOPPED, Ledger, uninterrupted_seconds
from raysweep.live import Status
from raysweep.messages import enumerated
from raysweep.planning import PlannedRun, Rules, in_bundles
from raysweep.ray_internals import Feature
from raysweep.running.failures import DISK, ERROR, LOST, Failure
from raysweep.running.placement import Placement
from raysweep.running.recording import record_failure, unrecorded
from raysweep.running.spec import MAX_RESTARTS, Attempt, TrialSpec

POLL_EVERY = 0.5
"""Seconds between two checks for urgent runs, Ctrl-C and the end of the budget."""
ALIKE_LIMIT = 3
"""After this many failures with the same cause in a group, no more of the group's runs are started."""
GRACE = 60.0
"""Seconds that runs have after Ctrl-C to finish their step and write their checkpoint."""


class TrialQueue:
    """Hands out trials one by one, as `Admission` decides, and tells it and the followers how they went."""

    def __init__(
        self,
        ledger: Ledger,
        placement: Placement,
        rules: Rules,
        status: Status,
        without: frozenset[Feature] = frozenset(),
    ) -> None:
        """`without` names what the trials have to do without."""
        self.ledger, self.placement, self.rules, self.status = ledger, placement, rules, status
        self._without = without
        self.runs: dict[str, PlannedRun] = {}
        self._durations = _Durations(ledger)
        self.admission = Admission(
            placement.slots, backfill=rules.backfill, seconds_of=self._durations, fits=placement.has_room
        )
        self.finished = False
        """Whether nothing is left to start; runs that are handed over from now on are left to the next sweep."""
        self._next: RunBundle | None = None
        """The bundle that has been admitted but has no processes yet, if any."""
        self._trials: dict[str, tuple[RunBundle, TrialSpec]] = {}
        self._specs: dict[RunBundle, TrialSpec] = {}
        """The trials of the bundles that have processes, or are about to get them."""
        self._bundle_of: dict[str, RunBundle] = {}
        self._failures: Counter[tuple[str, str]] = Counter()
        self.polled = time.monotonic()
        """When Tune last let the queue look at what came from outside, on the monotonic clock."""
        self._closed_at = 0.0

    def add(self, runs: Sequence[PlannedRun], *, urgent: bool = False) -> None:
        """Let runs wait for their turn. With `urgent` they go before all others, even if they are waiting already."""
        if urgent:
            self.admission.make_urgent({run.key for run in runs})
        known = {run.key for run in self.runs.values()}
        new = [run for run in runs if run.key not in known]
        self.runs |= {run.name: run for run in new}
        self.status.add([run for run in runs if run.name in self.runs], urgent=urgent)
        self.admission.add(RunBundle(part, self.placement.slots_of(part[0]), urgent=urgent) for part in in_bundles(new))

    def suggest(self, trial_id: str) -> TrialSpec | None:
        """Return what the trial with this id is to do; None while there is nothing to start."""
        self.poll()
        self._admit()
        bundle = self._to_start()
        if bundle is None:
            self.finished = not self.admission.running and (self.admission.closed or not self.admission.waiting)
            return None
        spec = _spec_of(bundle, self.ledger, self.placement, self._without)
        self._specs[bundle], self._trials[trial_id] = spec, (bundle, spec)
        for run in bundle.runs:
            self.ledger.runs.let_go_on(run.name)
            self._bundle_of[run.name] = bundle
        if bundle in self.admission.running:
            self._let_in(bundle)
        return spec

    def trial_ended(self, trial_id: str, *, failed: bool = False) -> None:
        """Take back what a trial still holds, since its processes are free; runs that did not end wait again."""
        bundle, spec = self._trials.pop(trial_id)
        del self._specs[bundle]
        self._durations.forget()
        self.placement.trial_ended(spec.trial)
        for run in self.status.active(bundle.runs):
            record = self.ledger.record(run.name) or {}
            ending = record["status"] if record.get("trial") == spec.trial else STOPPED
            self.status.ended(run, ending, ending)
        may_go_on = not failed and (bundle in self.admission.waiting or bundle.asked_to_stop)
        if self.admission.trial_ended(bundle, unrecorded(spec) if may_go_on else []):
            self._release(bundle)

    def poll(self) -> None:
        """Act on what came from outside (urgent runs, Ctrl-C, the end of the budget), and let in and stop bundles.

        Raises KeyboardInterrupt after Ctrl-C, once no run has a checkpoint left to write or their time is up.
        """
        self._admit()
        now, rules, admission = time.monotonic(), self.rules, self.admission
        if now - self.polled < POLL_EVERY:
            return
        self.polled = now
        rules.counted(*self.status.counts())
        urgent = () if self.finished or self._closed_at else rules.incoming()
        if urgent:
            self.add(urgent, urgent=True)
            print(f"{len(urgent)} urgent run{'s' * (len(urgent) != 1)} came in and go first", flush=True)
        is_used_up = now >= rules.deadline or admission.slot_seconds >= rules.slot_seconds
        if not self._closed_at and rules.interrupted():
            self._close(now)
        elif (admission.running or admission.waiting) and not self._closed_at and is_used_up:
            self._drop(admission.waiting, "the budget is used up")
            self._close(now)
        for bundle in admission.to_stop():
            self._stop(bundle)
        if rules.interrupted():
            to_wait_for = [bundle for bundle in admission.running if bundle.reported]
            if not to_wait_for or now - self._closed_at > GRACE:
                raise KeyboardInterrupt

    def reported(self, result: Mapping[str, Any]) -> None:
        """Pass on what a trial has reported: a report of its trainable, or an `EndReport`."""
        run = self.runs[result["run"]]
        bundle = self._bundle_of[run.name]
        self.admission.has_reported(bundle)
        if result.get("event") != "ended":
            for follower in (self.status, *self.rules.followers):
                follower.report(run, result)
            return
        self._notify_ended(run, result["status"], result["text"])
        if result["left"] == 0 and self.admission.release(bundle):
            self._release(bundle)
        if result["kind"] == DISK:
            self._drop(self.admission.drop(), "the results folder cannot be read or written to")
        elif result["kind"] == ERROR:
            alike = run.group, result["signature"]
            self._failures[alike] += 1
            if self._failures[alike] == ALIKE_LIMIT:
                self._drop(self.admission.drop(run.group), f"{ALIKE_LIMIT} runs of group {run.group} have failed alike")

    def lost(self, spec: TrialSpec, why: str = "") -> None:
        """Record as failed the runs of a trial whose process was lost too often to do so itself."""
        failure = Failure(LOST, f"its process was lost {MAX_RESTARTS + 1} times{why}")
        for run in unrecorded(spec):
            attempt = Attempt(run=run, number=self.ledger.begin(run.name))
            text, _ = record_failure(spec, attempt, failure, time.time(), MAX_RESTARTS)
            self._notify_ended(run, FAILED, text)

    def _admit(self) -> None:
        """Let in the bundles whose turn it is, up to one that has no processes yet, which becomes `_next`."""
        while self._next is None and (bundle := self.admission.next()):
            if bundle in self._specs:
                self._let_in(bundle)
            else:
                self._next = bundle

    def _to_start(self) -> RunBundle | None:
        """The bundle whose processes start now: the one whose turn it is, else one to be prepared."""
        if not self.placement.may_start():
            return None
        bundle, self._next = self._next, None
        if bundle is None and self.placement.prepares:
            bundle = self.admission.to_prepare()
        return bundle

    def _let_in(self, bundle: RunBundle) -> None:
        """Give a bundle its slots, for which its processes wait."""
        self.status.admitted(bundle.runs[0])
        self.placement.let_in(bundle, self._specs[bundle].trial)

    def _release(self, bundle: RunBundle) -> None:
        """Take back the resources of a bundle that has given up its slots."""
        if self.placement.release(bundle):
            self.admission.resize(self.placement.slots_of)

    def _close(self, now: float) -> None:
        """Start nothing any more, and have the running bundles stopped."""
        self._closed_at = now
        self.admission.close()
        for bundle in self.admission.waiting:
            self._stop(bundle)

    def _stop(self, bundle: RunBundle) -> None:
        """Ask a bundle's processes, if it has any, to end: with a checkpoint, or without waiting for their turn."""
        if bundle in self._specs:
            for run in bundle.runs:
                self.ledger.runs.ask_to_stop(run.name)
                self.status.asked_to_stop(run)

    def _drop(self, bundles: Sequence[RunBundle], why: str) -> None:
        """Print why bundles will not be started, and stop the processes that they have."""
        self.status.dropped(run for bundle in bundles for run in bundle.runs)
        for bundle in bundles:
            self._stop(bundle)
        names = [f"{run.experiment.name} seed {run.config.seed}" for bundle in bundles for run in bundle.runs]
        named = f": {enumerated(names, 4)}" if names else ""
        print(f"{why}; {len(names)} run{'s' * (len(names) != 1)} not started{named}", flush=True)

    def _notify_ended(self, run: PlannedRun, status: str, text: str) -> None:
        """Tell the status and all followers that a run, or an attempt at it, has ended."""
        recorded = status in (FINISHED, FAILED, DIVERGED)
        record = self.ledger.record(run.name) if recorded and self.rules.followers else None
        for follower in (self.status, *self.rules.followers):
            follower.ended(run, status, text, record)


class _Durations:
    """How long the runs of each experiment took without interruption, according to the records."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._known: dict[str, float] | None = None

    def __call__(self, run: PlannedRun) -> float | None:
        """The median over the finished runs of the same experiment in seconds; None if there are none."""
        if self._known is None:
            found: dict[str, list[float]] = {}
            for record in self._ledger.records():
                if (seconds := uninterrupted_seconds(record)) is not None:
                    found.setdefault(record["experiment"], []).append(seconds)
            self._known = {name: statistics.median(seconds_of_runs) for name, seconds_of_runs in found.items()}
        return self._known.get(run.experiment.name)

    def forget(self) -> None:
        """Read the records again when a duration is asked for the next time."""
        self._known = None


def _spec_of(bundle: RunBundle, ledger: Ledger, placement: Placement, without: frozenset[Feature]) -> TrialSpec:
    """The specification of a trial that does the runs of a bundle, and whose processes start now."""
    first = bundle.runs[0]
    trial = f"{first.name}-{time.time():.3f}"
    return TrialSpec(
        trial=trial,
        runs=tuple(bundle.runs),
        per_worker=placement.per_worker(first),
        asked_of_ray=placement.asked_of_ray(bundle.slots),
        results=ledger.location,
        folder=str(ledger.folder),
        gate=placement.trial_starts(trial),
        without=without,
    )
