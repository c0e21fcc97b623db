"""Gauges of what runs report, which Ray exports to Prometheus beside its own, as `ray_raysweep_images_per_second`."""

from collections.abc import Mapping
from typing import Any

from ray.util.metrics import Gauge

from raysweep.ledger import FINISHED, Record
from raysweep.planning import PlannedRun

RUN_TAGS = ("run", "experiment", "seed", "group", "phase")
"""The labels that tell the values of a gauge apart."""


class Gauges:
    """The gauges of a sweep, as a follower of its reports. They need an initialised Ray."""

    def __init__(self) -> None:
        self._rate = Gauge("raysweep_images_per_second", "Training images per second; 0 once a run has ended", RUN_TAGS)
        self._epoch = Gauge("raysweep_epoch", "Epochs of the phase that are done", RUN_TAGS)
        self._accuracy = Gauge(
            "raysweep_accuracy", "Validation accuracy in percent; of phase final, the result", RUN_TAGS
        )
        self._runs = Gauge("raysweep_runs", "Runs of the sweep by state: done, running, waiting", ("state",))
        self._phases: dict[str, str] = {}
        self._run_counts: tuple[int, int, int] | None = None

    def report(self, run: PlannedRun, report: Mapping[str, Any]) -> None:
        """A run has ended an epoch; other events change nothing."""
        if report["event"] != "epoch":
            return
        phase = report["phase"]
        if self._phases.get(run.name, phase) != phase:
            self._rate.set(0, _tags(run, self._phases[run.name]))
        self._phases[run.name] = phase
        tags = _tags(run, phase)
        self._rate.set(report["images_per_second"], tags)
        self._epoch.set(report["epoch"], tags)
        if "val_acc" in report:
            self._accuracy.set(report["val_acc"], tags)

    def ended(self, run: PlannedRun, status: str, text: str = "", record: Record | None = None) -> None:
        """A run, or an attempt at it, has ended; the arguments are those of `Follower.ended`."""
        if run.name in self._phases:
            self._rate.set(0, _tags(run, self._phases.pop(run.name)))
        if status == FINISHED and record and "final_acc" in record["results"]:
            self._accuracy.set(record["results"]["final_acc"], _tags(run, "final"))

    def runs(self, done: int, running: int, waiting: int) -> None:
        """Set how many runs are done, running and waiting, if the numbers have changed."""
        if (done, running, waiting) != self._run_counts:
            self._run_counts = done, running, waiting
            for state, number in zip(("done", "running", "waiting"), self._run_counts, strict=True):
                self._runs.set(number, {"state": state})


def _tags(run: PlannedRun, phase: str) -> dict[str, str]:
    """The labels of a run's values, in one of its phases or in the phase "final"."""
    experiment, seed = run.experiment.name, str(run.config.seed)
    return {"run": run.name, "experiment": experiment, "seed": seed, "group": run.group, "phase": phase}
