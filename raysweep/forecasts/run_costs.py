"""What one run of each experiment costs: operations, which decide what runs, and the time that these are said to take.

Operations are those that the trainable works out, over all images of all phases (`Trainable.cost`). Where a trainable
of the plan gives none, images stand for them in all experiments, and where one has no phases, all runs count the same.
"""

import statistics
from collections.abc import Callable, Iterable, Sequence

from raysweep.experiment import Cost
from raysweep.forecasts.costs import PlannedCosts
from raysweep.forecasts.forecast import Forecast, forecasts
from raysweep.forecasts.machine import Machine
from raysweep.forecasts.past import past_spread
from raysweep.ledger import Ledger, Record, uninterrupted_seconds
from raysweep.planning import PlannedRun


class RunCosts:
    """Gives the cost of a run of each experiment; operations are worked out once."""

    def __init__(self, ledger: Ledger, machine: Machine) -> None:
        self._ledger, self._machine = ledger, machine
        self._costs = PlannedCosts(machine.device, machine.cache)
        self._operations: dict[str, float] = {}

    def __call__(self, runs: Sequence[PlannedRun]) -> dict[str, Cost]:
        """The costs by the names of the experiments, given one run of each."""
        if not {run.experiment.name for run in runs} <= self._operations.keys():
            self._operations = operations(runs, self._costs.flops)
        machine, records = self._machine, list(self._ledger.records())
        known = forecasts(
            runs,
            records,
            machine.share_of,
            machine.cache,
            error=past_spread(records),
            flops=self._costs.flops,
        )
        self._costs.keep()
        taken = _taken(records)
        costs = {}
        for run, forecast in zip(runs, known, strict=True):
            name, slots = run.experiment.name, machine.slots_of(run)
            seconds = _seconds(forecast) or taken.get(name)
            costs[name] = Cost(
                operations=self._operations[name],
                slots=slots / run.experiment.runs_per_trial,
                seconds=(slots * seconds[0], slots * seconds[1], slots * seconds[2]) if seconds else None,
            )
        return costs


def _seconds(forecast: Forecast) -> tuple[float, float, float] | None:
    """(low, expected, high) of a forecast; None where it says nothing."""
    low, expected, high = forecast.low, forecast.seconds, forecast.high
    return None if low is None or expected is None or high is None else (low, expected, high)


def _taken(records: Iterable[Record]) -> dict[str, tuple[float, float, float]]:
    """The shortest, the median and the longest time of the finished runs of each experiment, in seconds."""
    found: dict[str, list[float]] = {}
    for record in records:
        if (seconds := uninterrupted_seconds(record)) is not None and "same_as" not in record:
            found.setdefault(record["experiment"], []).append(seconds)
    return {name: (min(times), statistics.median(times), max(times)) for name, times in found.items()}


def operations(
    runs: Sequence[PlannedRun], flops: Callable[[PlannedRun], dict[str, tuple[float, float]]]
) -> dict[str, float]:
    """The operations of a run, or what stands for them, by the names of the experiments.

    `flops` returns the (forward, training) operations for an image, by phase; those of a run without any are unknown.
    """
    by_phase = [flops(run) for run in runs]
    for weights in (by_phase, [None] * len(runs)):
        found = [_over_phases(run, weight) for run, weight in zip(runs, weights, strict=True)]
        if all(found):
            return {run.experiment.name: number for run, number in zip(runs, found, strict=True)}
    return {run.experiment.name: 1.0 for run in runs}


def _over_phases(run: PlannedRun, flops: dict[str, tuple[float, float]] | None) -> float:
    """The operations of a run's phases or, without `flops`, its images; 0 where these are not known."""
    total = 0.0
    for phase in run.facts.get("phases") or ():
        if flops is not None and phase["phase"] not in flops:
            return 0.0
        forward, training = (1.0, 1.0) if flops is None else flops[phase["phase"]]
        passes = 1 if phase["cached"] else phase["epochs"]
        looked_at = passes * phase["validation_images"] + phase["validation_images_once"]
        total += training * phase["epochs"] * phase["train_images"] + forward * looked_at
    return total
