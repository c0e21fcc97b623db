"""Sends what runs report to TensorBoard's files, and to MLflow and W&B if the user asks for them.

Each of these sinks is called in a thread of its own, so a full disk or a silent server neither stops nor delays a run;
the user is told once. Steps count the epochs of the whole run: if the phase `head` has 20 epochs, `head/val_acc` is at
steps 1 to 20 and `finetune/val_acc` goes on at 21; if a phase stops early, the next one follows at once.
"""

import functools
import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from raysweep.ledger import FINISHED, STOPPED, Ledger, Record
from raysweep.messages import one_line
from raysweep.planning import PlannedRun
from raysweep.reports import RESERVED
from raysweep.tracking.services import Destination

NOT_METRICS = {"event", "phase", "epoch", "epochs", *RESERVED}
"""The fields of a report that say where and when something was measured, and those that are added to it."""

MAX_QUEUED_CALLS = 10_000
"""How many calls may wait for a slow sink; further ones are lost."""
CLOSE_TIMEOUT = 30.0
"""Seconds that all sinks together have at the end of the sweep to work off the calls that wait."""
CLOSE_TIMEOUT_WITHOUT_RAY = 5.0
"""The same where Ray was lost, for which some sinks would wait in vain."""


class Sink(Protocol):
    """A tool that measurements are sent to. Its methods may raise or block; they are called one after the other."""

    label: str
    """The tool's name in messages."""

    def start(self, run: PlannedRun, step: int, fields: Mapping[str, Any]) -> None:
        """A run with these fields begins, or goes on after a step."""

    def metrics(self, run: PlannedRun, step: int, values: Mapping[str, float]) -> None:
        """A run has measured these values at a step."""

    def end(self, run: PlannedRun, status: str) -> None:
        """A run has ended with this status of its record, or with "" if it may go on later."""

    def close(self) -> None:
        """No more calls follow."""


class Tracking:
    """A follower of the sweep that hands each report to all sinks."""

    def __init__(self, sinks: Sequence[tuple[str, Callable[[], Sink]]], say: Callable[[str], None] = print) -> None:
        """`sinks` holds the label of each sink and a function that makes it, which may raise or block as well.

        `say` prints a line, and may be called from any thread.
        """
        self._sink_threads = [_SinkThread(label, make, say) for label, make in sinks]
        self._step_counters: dict[str, _StepCounter] = {}

    @classmethod
    def of(cls, ledger: Ledger, destinations: Sequence[Destination], say: Callable[[str], None] = print) -> "Tracking":
        """Return a tracking to TensorBoard's files in the results folder, and to the destinations of --track."""

        def event_files() -> Sink:
            from raysweep.tracking.tensorboard import EventFiles

            return EventFiles(ledger)

        sinks: list[tuple[str, Callable[[], Sink]]] = [("TensorBoard", event_files)]
        sinks += [(destination.label, functools.partial(destination.open, ledger)) for destination in destinations]
        return cls(sinks, say)

    def report(self, run: PlannedRun, report: Mapping[str, Any]) -> None:
        """A run has started, or has ended an epoch."""
        if report["event"] == "start":
            counter = self._step_counters[run.name] = _StepCounter.from_start(report)
            self._call_sinks("start", run, counter.last, fields_of(run))
        elif report["event"] == "epoch":
            phase = report["phase"]
            step = self._step_counters.setdefault(run.name, _StepCounter()).count(phase, report["epoch"])
            metrics = _numbers({name: report[name] for name in report if name not in NOT_METRICS})
            self._call_sinks("metrics", run, step, {f"{phase}/{name}": value for name, value in metrics.items()})

    def ended(self, run: PlannedRun, status: str, text: str = "", record: Record | None = None) -> None:
        """A run has ended, or an attempt at it, as `Follower.ended` says."""
        counter = self._step_counters.pop(run.name, None)
        finished = record if status == FINISHED else None
        if counter is None:  # its results were found without training, so it has reported no start
            counter = _StepCounter(last=sum(map(len, finished["curves"].values())) if finished else 0)
            self._call_sinks("start", run, counter.last, fields_of(run))
        if finished:
            known = {**run.facts, **finished["config"]}
            results = _numbers({name: value for name, value in finished["results"].items() if name not in known})
            self._call_sinks("metrics", run, counter.last, {f"final/{name}": value for name, value in results.items()})
        self._call_sinks("end", run, "" if status == STOPPED else status)

    def close(self, *, without_ray: bool = False) -> None:
        """Let all sinks work off their waiting calls and close, for at most CLOSE_TIMEOUT seconds in all.

        Where Ray was lost, some of them cannot, and have less time.
        """
        deadline = time.monotonic() + (CLOSE_TIMEOUT_WITHOUT_RAY if without_ray else CLOSE_TIMEOUT)
        for sink_thread in self._sink_threads:
            sink_thread.finish()
        for sink_thread in self._sink_threads:
            sink_thread.join(deadline)

    def _call_sinks(self, method: str, *args: Any) -> None:
        """Have a method of every sink called."""
        for sink_thread in self._sink_threads:
            sink_thread.put(method, *args)


def fields_of(run: PlannedRun) -> dict[str, Any]:
    """What identifies a run: its experiment, group, workers, and all configuration fields that affect its numbers."""
    record = run.record()
    changing = {name: value for name, value in record["config"].items() if name not in record["no_effect"]}
    return {**{name: record[name] for name in ("experiment", "group", "num_workers")}, **changing}


def _numbers(values: Mapping[str, Any]) -> dict[str, float]:
    """The values that are numbers, and not booleans."""
    return {name: v for name, v in values.items() if isinstance(v, int | float) and not isinstance(v, bool)}


@dataclass(kw_only=True, slots=True)
class _StepCounter:
    """Counts a run's epochs over its phases."""

    last: int = 0
    """The step of the last epoch that has ended."""
    phase: str = ""
    before: int = 0
    """The number of epochs of the earlier phases."""

    @classmethod
    def from_start(cls, start: Mapping[str, Any]) -> "_StepCounter":
        """The counter of a run with this report of its start, which says how many epochs each earlier phase took."""
        if not start.get("resumed_at"):
            return cls()
        phase, epoch, _ = start["resumed_at"]
        done = {name.removesuffix("_epochs"): n for name, n in start.items() if name.endswith("_epochs")}
        before = sum(n for name, n in done.items() if name != phase)
        return cls(last=before + epoch, phase=phase, before=before)

    def count(self, phase: str, epoch: int) -> int:
        """Count an epoch that has ended, and return its step."""
        if phase != self.phase:
            self.phase, self.before = phase, self.last
        self.last = self.before + epoch
        return self.last


class _SinkThread:
    """Makes the calls of one sink, one after the other, in a thread that nothing waits for."""

    def __init__(self, label: str, make: Callable[[], Sink], say: Callable[[str], None]) -> None:
        self._label, self._make, self._say = label, make, say
        self._calls: queue.SimpleQueue[tuple[str, tuple[Any, ...]]] = queue.SimpleQueue()
        self._warned = False
        self._thread = threading.Thread(target=self._work, daemon=True, name=label)
        self._thread.start()

    def put(self, method: str, *args: Any) -> None:
        """Have a method of the sink called, after the calls that wait already."""
        if not self._thread.is_alive():
            return
        if self._calls.qsize() < MAX_QUEUED_CALLS:
            self._calls.put((method, args))
        else:
            self._warn("it does not keep up")

    def finish(self) -> None:
        """Have the sink closed after the calls that wait already."""
        self._calls.put(("close", ()))

    def join(self, deadline: float) -> None:
        """Wait until the sink is closed, but not beyond `deadline` on the monotonic clock."""
        self._thread.join(max(0.0, deadline - time.monotonic()))
        if self._thread.is_alive():
            self._warn("it does not answer")

    def _work(self) -> None:
        """Make the sink, and then all calls up to the one of `close`."""
        method = ""
        try:
            sink = self._make()
        except Exception as error:
            self._warn(one_line(error))
            return
        while method != "close":
            method, args = self._calls.get()
            try:
                getattr(sink, method)(*args)
            except Exception as error:
                self._warn(one_line(error))

    def _warn(self, why: str) -> None:
        """Tell the user why calls are lost, but only the first time."""
        if not self._warned:
            self._warned = True
            self._say(f"{self._label} does not get everything ({why}); the runs go on, their results are recorded")
