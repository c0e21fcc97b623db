"""Lists the runs of a sweep in their order, with what each is, needs and takes, and whether it fits.

Sizes and operations are the facts and costs that the trainable gives (see `raysweep.trainable`); where it gives none
these are None, and so are times and risks that would follow from them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from raysweep.forecasts.costs import PlannedCosts, Risk, memory_risk
from raysweep.forecasts.forecast import Forecast, forecasts
from raysweep.forecasts.machine import Machine
from raysweep.forecasts.past import past_spread
from raysweep.forecasts.rough import ProductSpeed
from raysweep.forecasts.schedule import Total, Trial, total
from raysweep.ledger import DIVERGED, FINISHED, Ledger
from raysweep.planning import PlannedRun, in_bundles, relations
from raysweep.trainable import Costs
from raysweep.trainable_loader import load_trainable

State = Literal["done", "diverged", "goes on", "new", "changed", "extended"]


@dataclass(frozen=True, kw_only=True, slots=True)
class PlanRow:
    """A run of the plan, and what is known of it before it runs."""

    run: PlannedRun
    state: State
    how: str
    """The fields in which the run changes or extends the results that are there; "" where it does neither."""
    costs: Costs | None
    """What the run computes and holds; None where its trainable does not say."""
    forecast: Forecast
    risk: Risk | None
    """How likely the run is to exceed the memory, or None if that is unknown."""
    remedy: str
    """The changed fields with which the run would fit, or a note that none exist; "" if it fits or that is unknown."""

    @property
    def to_do(self) -> bool:
        """Whether it will run."""
        return self.state not in ("done", "diverged")

    def fact(self, name: str) -> Any:
        """The value of this name that `check` or `cost` gives, or None if neither does."""
        known: dict[str, Any] = {**(self.costs or {}), **self.run.facts}
        return known.get(name)


def plan_rows(runs: Sequence[PlannedRun], ledger: Ledger, machine: Machine) -> list[PlanRow]:
    """One for each run, in the given order. Raises UnreadableError where a record or a checkpoint cannot be read."""
    records = list(ledger.records())
    diverged = {record["run"] for record in records if record["status"] == DIVERGED}
    costs = PlannedCosts(machine.device, machine.cache)
    done = {record["key"] for record in records if record["status"] == FINISHED}
    todo = [run for run in runs if run.key not in done]
    for run in todo:
        ledger.runs.require_readable(run.name, to_start=False)
    resumed = {run.name for run in todo if _has_checkpoint(run)}
    known = forecasts(
        runs,
        records,
        machine.share_of,
        machine.cache,
        error=past_spread(records),
        flops=costs.flops,
        product=ProductSpeed(machine.share_of, machine.cache),
        position=lambda run: _position(run) if run.name in resumed else None,
    )
    rows = []
    for run, (kind, how), forecast in zip(runs, relations(runs, records), known, strict=True):
        cost = costs.of(run)
        risk, remedy = memory_risk(run, cost["memory_bytes"] if cost else None, machine.memory_of(run), costs)
        state: Any = "done" if kind == "kept" else kind
        if state != "done" and run.name in diverged:
            state = "diverged"
        elif state != "done" and run.name in resumed:
            state = "goes on"
        row = PlanRow(run=run, state=state, how=how, costs=cost, forecast=forecast, risk=risk, remedy=remedy)
        rows.append(row)
    costs.keep()
    return rows


def total_of(rows: Sequence[PlanRow], machine: Machine) -> Total:
    """The work and the duration of the runs that are still to do."""
    first = {row.run.key: row for row in reversed(rows)}
    todo = [row for row in rows if row.to_do and first[row.run.key] is row]
    of_run = {row.run.name: row.forecast for row in todo}
    trials = [
        Trial(runs=[of_run[run.name] for run in part], slots=machine.slots_of(part[0]))
        for part in in_bundles([row.run for row in todo])
    ]
    return total(trials, machine.slots)


def plan_as_json(rows: Sequence[PlanRow]) -> list[dict[str, Any]]:
    """One object for each run, for scripts: plain values, None where something is not known."""
    return [
        {
            "experiment": row.run.experiment.name,
            "priority": row.run.experiment.priority,
            "seed": row.run.config.seed,
            "run": row.run.name,
            "group": row.run.group,
            "num_workers": row.run.num_workers,
            "state": row.state,
            **{name: _whole(row.fact(name)) for name in SIZES},
            "seconds": row.forecast.seconds,
            "seconds_low": row.forecast.low,
            "seconds_high": row.forecast.high,
            "seconds_are": "remaining" if row.forecast.remaining else "whole",
            "seconds_per_epoch": dict(row.forecast.seconds_per_epoch) or None,
            "basis": row.forecast.basis,
            "by_matrix_product": row.forecast.by_product,
            **_loading(row),
            "memory_risk": row.risk,
            "remedy": row.remedy or None,
            "phases": _phases(row),
        }
        for row in rows
    ]


def _loading(row: PlanRow) -> dict[str, Any]:
    """For which part of the time, in percent, each phase is known to wait for images, and what that takes to end."""
    known = row.forecast.loading
    return {"data_wait": (known and dict(known.waits)) or None, "more_cpus": known and known.more_cpus}


def _whole(number: float | None) -> int | None:
    return None if number is None else round(number)


SIZES = (
    *("final_channels", "final_size", "n_params_extractor", "n_params_classifier"),
    *("flops_forward", "flops_train", "memory_bytes"),
)


def _phases(row: PlanRow) -> list[dict[str, Any]]:
    """What is known of each phase: images and epochs, operations and memory."""
    costs = {phase["phase"]: phase for phase in (row.costs.get("phases", ()) if row.costs else ())}
    facts = row.run.facts.get("phases", ())
    return [{**phase, **costs.get(phase["phase"], {})} for phase in facts] or [dict(p) for p in costs.values()]


def _has_checkpoint(run: PlannedRun) -> bool:
    """Whether there is a checkpoint from which a run would go on."""
    names = load_trainable(run.experiment.trainable).traits.checkpoints
    return any((Path(run.config.save_dir) / name).is_file() for name in names[:1])


def _position(run: PlannedRun) -> tuple[str, int] | None:
    """Where the trainable says that a run goes on."""
    return load_trainable(run.experiment.trainable).position(run.config)
