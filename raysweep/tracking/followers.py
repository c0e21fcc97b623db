"""What runs report, written where people follow experiments: TensorBoard always, MLflow and W&B if asked for.

Each of them works off a queue in a thread of its own, so a full disk or a silent server neither stops nor delays a run:
it says so once. Steps are epochs of the whole run. `head/val_acc` is at steps 1 to 20 and `finetune/val_acc` goes on at
21; where a phase stops early, the next follows on it.
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
from raysweep.tracking.services import Destination

NOT_MEASURED = {"event", "run", "phase", "epoch", "epochs"}
"""What says in a report when something was measured."""
OF_TUNE = {
    *("training_iteration", "timestamp", "pid", "done", "time_this_iter_s", "time_total_s", "time_since_restore"),
    *("iterations_since_restore", "timesteps_total", "episodes_total", "should_checkpoint"),
}
"""What Tune adds to a report."""

MOST_WAITING = 10_000
"""Calls that wait for a slow sink before others are lost."""
LAST_WORDS = 30.0
"""Seconds that all sinks together have at the end to write what waits."""


class Sink(Protocol):
    """Where measurements go. Any call may raise or block; none is made twice at the same time."""

    label: str

    def start(self, run: PlannedRun, step: int, fields: Mapping[str, Any]) -> None: ...

    def metrics(self, run: PlannedRun, step: int, values: Mapping[str, float]) -> None: ...

    def end(self, run: PlannedRun, status: str) -> None: ...

    def close(self) -> None: ...


class Tracking:
    """Hands each report to all sinks. `say` prints a line, from any thread."""

    def __init__(self, sinks: Sequence[tuple[str, Callable[[], Sink]]], say: Callable[[str], None] = print) -> None:
        """`sinks`: the label of each, and what makes it, which may raise and block as well."""
        self._lanes = [_Lane(label, make, say) for label, make in sinks]
        self._steps: dict[str, _Steps] = {}

    @classmethod
    def of(cls, ledger: Ledger, destinations: Sequence[Destination], say: Callable[[str], None] = print) -> "Tracking":
        """To TensorBoard's files below the results, and to the destinations of --track."""

        def event_files() -> Sink:
            from raysweep.tracking.tensorboard import EventFiles

            return EventFiles(ledger)

        sinks: list[tuple[str, Callable[[], Sink]]] = [("TensorBoard", event_files)]
        sinks += [(destination.label, functools.partial(destination.open, ledger)) for destination in destinations]
        return cls(sinks, say)

    def report(self, run: PlannedRun, report: Mapping[str, Any]) -> None:
        """A run has started, or ended an epoch."""
        if report["event"] == "start":
            steps = self._steps[run.name] = _Steps.at(report)
            self._tell("start", run, steps.last, fields_of(run))
        elif report["event"] == "epoch":
            phase = report["phase"]
            step = self._steps.setdefault(run.name, _Steps()).count(phase, report["epoch"])
            measured = _numbers({name: report[name] for name in report if name not in NOT_MEASURED | OF_TUNE})
            self._tell("metrics", run, step, {f"{phase}/{name}": value for name, value in measured.items()})

    def ended(self, run: PlannedRun, status: str, text: str = "", record: Record | None = None) -> None:
        """A run has ended, or an attempt at it, as `Follower.ended` says."""
        steps = self._steps.pop(run.name, None)
        finished = record if status == FINISHED else None
        if steps is None:  # its results were there before it started
            steps = _Steps(last=sum(map(len, finished["curves"].values())) if finished else 0)
            self._tell("start", run, steps.last, fields_of(run))
        if finished:
            known = {**run.facts, **finished["config"]}
            results = _numbers({name: value for name, value in finished["results"].items() if name not in known})
            self._tell("metrics", run, steps.last, {f"final/{name}": value for name, value in results.items()})
        self._tell("end", run, "" if status == STOPPED else status)

    def close(self) -> None:
        """Write what waits, for as long as that may take in all."""
        deadline = time.monotonic() + LAST_WORDS
        for lane in self._lanes:
            lane.finish()
        for lane in self._lanes:
            lane.join(deadline)

    def _tell(self, what: str, *args: Any) -> None:
        for lane in self._lanes:
            lane.put(what, *args)


def fields_of(run: PlannedRun) -> dict[str, Any]:
    """What tells a run from others: its experiment and group, workers, and every field that can change its numbers."""
    record = run.record()
    changing = {name: value for name, value in record["config"].items() if name not in record["no_effect"]}
    return {**{name: record[name] for name in ("experiment", "group", "num_workers")}, **changing}


def _numbers(values: Mapping[str, Any]) -> dict[str, float]:
    return {name: v for name, v in values.items() if isinstance(v, int | float) and not isinstance(v, bool)}


@dataclass(kw_only=True, slots=True)
class _Steps:
    """Counts a run's epochs over its phases."""

    last: int = 0
    phase: str = ""
    before: int = 0
    """Epochs of the earlier phases."""

    @classmethod
    def at(cls, start: Mapping[str, Any]) -> "_Steps":
        """As a report of a start says, which for a run that goes on holds how many epochs each earlier phase took."""
        if not start.get("resumed_at"):
            return cls()
        phase, epoch, _ = start["resumed_at"]
        done = {name.removesuffix("_epochs"): n for name, n in start.items() if name.endswith("_epochs")}
        before = sum(n for name, n in done.items() if name != phase)
        return cls(last=before + epoch, phase=phase, before=before)

    def count(self, phase: str, epoch: int) -> int:
        """The step of an epoch that has ended."""
        if phase != self.phase:
            self.phase, self.before = phase, self.last
        self.last = self.before + epoch
        return self.last


class _Lane:
    """The calls of one sink, one after the other in a thread that nobody waits for."""

    def __init__(self, label: str, make: Callable[[], Sink], say: Callable[[str], None]) -> None:
        self._label, self._make, self._say = label, make, say
        self._calls: queue.SimpleQueue[tuple[str, tuple[Any, ...]]] = queue.SimpleQueue()
        self._warned = False
        self._thread = threading.Thread(target=self._work, daemon=True, name=label)
        self._thread.start()

    def put(self, what: str, *args: Any) -> None:
        """Have a method of the sink called."""
        if not self._thread.is_alive():
            return
        if self._calls.qsize() < MOST_WAITING:
            self._calls.put((what, args))
        else:
            self._warn("it does not keep up")

    def finish(self) -> None:
        """Have the sink closed after what waits."""
        self._calls.put(("close", ()))

    def join(self, deadline: float) -> None:
        """Wait for that, until a time on the monotonic clock."""
        self._thread.join(max(0.0, deadline - time.monotonic()))
        if self._thread.is_alive():
            self._warn("it does not answer")

    def _work(self) -> None:
        what = ""
        try:
            sink = self._make()
        except Exception as error:
            self._warn(one_line(error))
            return
        while what != "close":
            what, args = self._calls.get()
            try:
                getattr(sink, what)(*args)
            except Exception as error:
                self._warn(one_line(error))

    def _warn(self, why: str) -> None:
        if not self._warned:
            self._warned = True
            self._say(f"{self._label} does not get everything ({why}); the runs go on, their results are recorded")
