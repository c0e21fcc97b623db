"""The plan of a sweep, run by run in the order of execution: what each is, needs and takes, and whether it fits.

Sizes and operations are those of the trainable's `cost(config, num_workers, device)`, which gives `flops_forward`,
`flops_train` (for each image), `memory_bytes` (of a worker) and the same for each of its `phases`; where it has none
these are None, and so are times and risks that would follow from them.
"""

import dataclasses
import importlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from raysweep.forecasts.forecast import Forecast, forecasts
from raysweep.forecasts.machine import device_name, worker_memory
from raysweep.forecasts.past import past_error
from raysweep.forecasts.rates import Shape, Share
from raysweep.forecasts.schedule import Total, Trial, total
from raysweep.ledger import DIVERGED, FINISHED, Ledger
from raysweep.planning import PlannedRun, Resources, in_bundles, relations

State = Literal["done", "diverged", "goes on", "new", "changed", "extended"]
Risk = Literal["none", "likely", "certain"]

CHECKPOINT = "last.pt"
"""In a run's folder: what it goes on from."""

RAY_BYTES = 150 * 2**20
"""What a worker of a sweep holds beside its training, on a CPU: Ray, and pandas, which Ray Train imports."""

MARGIN = 0.15
"""How far the memory that a run needs may be from what was computed, as a fraction."""

REMEDIES: tuple[tuple[str, Any], ...] = (("global_avg_pool", True), ("global_batch_size", 512), ("mixing_horizon", 27))
"""Fields of the configuration, in the order in which they are tried where memory is short."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """A run of the plan."""

    run: PlannedRun
    state: State
    how: str
    """Of a run that changes or extends what is there: in what."""
    cost: Mapping[str, Any]
    """Empty where the trainable has none."""
    forecast: Forecast
    risk: Risk | None
    """Of running out of memory; None where that cannot be said."""
    remedy: str
    """What would fit; another experiment."""

    @property
    def to_do(self) -> bool:
        """Whether it will run."""
        return self.state not in ("done", "diverged")

    def fact(self, name: str) -> Any:
        """What `check` or `cost` says by this name; None where neither does."""
        return self.run.facts.get(name, self.cost.get(name))


@dataclass(frozen=True, kw_only=True, slots=True)
class Setting:
    """Where the plan is to be executed."""

    slots: float
    """Workers at the same time, at one GPU (or CPU) each."""
    slots_of: Callable[[PlannedRun], float]
    share_of: Callable[[PlannedRun], Share]
    memory_of: Callable[[PlannedRun], int | None]
    """Bytes that a worker of a run may use."""
    device: str
    """What `cost` is asked about: "cpu" or "cuda"."""
    cache: Path


def setting_of(resources: Resources, gpus_per_worker: float | None, cache: Path) -> Setting:
    """The devices of this machine, as a sweep on `resources` shares them out."""
    gpu = resources.gpus > 0

    def at_once(run: PlannedRun) -> int:
        return max(1, int(resources.slots / resources.slots_of(run, gpus_per_worker) + 1e-9))

    def share_of(run: PlannedRun) -> Share:
        threads = max(1, int(resources.per_worker(run, gpus_per_worker)["CPU"]))
        device = device_name(threads, gpu=gpu)
        return Share(device_name=device, threads=threads, at_once=at_once(run), gpus=resources.gpus)

    def memory_of(run: PlannedRun) -> int | None:
        if resources.slots_of(run, gpus_per_worker) > resources.slots:
            return None  # it is planned for another machine
        room = worker_memory(1 if gpu else at_once(run) * run.num_workers, gpu=gpu)
        return room if room is None or not gpu else int(room * min(1.0, gpus_per_worker or 1.0))

    return Setting(
        slots=resources.slots,
        slots_of=lambda run: resources.slots_of(run, gpus_per_worker),
        share_of=share_of,
        memory_of=memory_of,
        device="cuda" if gpu else "cpu",
        cache=cache,
    )


def rows_of(runs: Sequence[PlannedRun], ledger: Ledger, setting: Setting) -> list[Row]:
    """One for each run, in the given order."""
    records = list(ledger.records())
    diverged = {record["run"] for record in records if record["status"] == DIVERGED}
    costs = _Costs(setting.device)
    done = {record["key"] for record in records if record["status"] == FINISHED}
    resumed = {run.name for run in runs if run.key not in done and (Path(run.config.save_dir) / CHECKPOINT).is_file()}
    error = past_error(records)
    known = forecasts(
        runs,
        records,
        setting.share_of,
        setting.cache,
        error=error.spread if error else 0.0,
        flops=costs.flops,
        position=lambda run: _position(run) if run.name in resumed else None,
    )
    rows = []
    for run, (kind, how), forecast in zip(runs, relations(runs, records), known, strict=True):
        cost = costs.of(run)
        risk, remedy = _risk(run, cost, setting.memory_of(run), costs)
        state: Any = "done" if kind == "kept" else kind
        if state != "done" and run.name in diverged:
            state = "diverged"
        elif state != "done" and run.name in resumed:
            state = "goes on"
        row = Row(run=run, state=state, how=how, cost=cost, forecast=forecast, risk=risk, remedy=remedy)
        rows.append(row)
    return rows


def total_of(rows: Sequence[Row], setting: Setting) -> Total:
    """Work and duration of what is to do."""
    first = {row.run.key: row for row in reversed(rows)}
    todo = [row for row in rows if row.to_do and first[row.run.key] is row]
    of_run = {row.run.name: row.forecast for row in todo}
    trials = [
        Trial(runs=[of_run[run.name] for run in part], slots=setting.slots_of(part[0]))
        for part in in_bundles([row.run for row in todo])
    ]
    return total(trials, setting.slots)


def plan_as_json(rows: Sequence[Row]) -> list[dict[str, Any]]:
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
            "memory_risk": row.risk,
            "remedy": row.remedy or None,
            "phases": _phases(row),
        }
        for row in rows
    ]


def _whole(number: float | None) -> int | None:
    return None if number is None else round(number)


SIZES = (
    *("final_channels", "final_size", "n_params_extractor", "n_params_classifier"),
    *("flops_forward", "flops_train", "memory_bytes"),
)


def _phases(row: Row) -> list[dict[str, Any]]:
    """What is known of each phase: images and epochs, operations and memory."""
    costs = {phase["phase"]: phase for phase in row.cost.get("phases") or ()}
    facts = [dict(phase) for phase in row.run.facts.get("phases") or ()]
    return [{**phase, **costs.get(phase["phase"], {})} for phase in facts] or [dict(p) for p in costs.values()]


class _Costs:
    """What the trainables say of sizes, asked once for all runs that have the same."""

    def __init__(self, device: str) -> None:
        self.device = device
        self._known: dict[tuple[Shape, str], Mapping[str, Any]] = {}

    def of(self, run: PlannedRun) -> Mapping[str, Any]:
        """The cost of a run; empty where its trainable has none."""
        phases = [(p["phase"], p["validation_images"], p["cached"]) for p in run.facts.get("phases") or ()]
        key = Shape.of(run), repr(phases)
        if key not in self._known:
            cost = getattr(importlib.import_module(run.experiment.trainable), "cost", None)
            self._known[key] = self._in_a_sweep(cost(run.config, run.num_workers, self.device)) if cost else {}
        return self._known[key]

    def _in_a_sweep(self, cost: Mapping[str, Any]) -> dict[str, Any]:
        """The cost of a run, with what Ray brings along."""
        more = RAY_BYTES if self.device == "cpu" else 0
        phases = [{**phase, "memory_bytes": phase["memory_bytes"] + more} for phase in cost.get("phases") or ()]
        return {**cost, "memory_bytes": cost["memory_bytes"] + more, "phases": phases}

    def memory(self, run: PlannedRun, config: Any) -> int:
        """The memory of a worker of a run with another configuration."""
        cost = importlib.import_module(run.experiment.trainable).cost(config, run.num_workers, self.device)
        return int(self._in_a_sweep(cost)["memory_bytes"])

    def flops(self, run: PlannedRun) -> dict[str, tuple[float, float]] | None:
        """(forward, training) operations for each image by phase."""
        return {
            phase["phase"]: (phase["flops_forward"], phase["flops_train"]) for phase in self.of(run).get("phases") or ()
        }


def _risk(run: PlannedRun, cost: Mapping[str, Any], room: int | None, costs: _Costs) -> tuple[Risk | None, str]:
    """Of running out of memory, with the first remedy that leaves a margin."""
    needed = cost.get("memory_bytes")
    if needed is None or room is None:
        return None, ""
    if needed * (1 + MARGIN) <= room:
        return "none", ""
    risk: Risk = "certain" if needed * (1 - MARGIN) > room else "likely"
    names = {f.name for f in dataclasses.fields(run.config)} & dict(REMEDIES).keys()
    for name, value in REMEDIES:
        before = getattr(run.config, name) if name in names else value
        if before == value or (before and name != "global_avg_pool" and before <= value):
            continue
        if name == "global_batch_size" and value % run.num_workers:
            continue
        if _at_least(run, needed, name, value) > room:
            continue
        if costs.memory(run, replace(run.config, **{name: value})) * (1 + MARGIN) <= room:
            return risk, f"{name}={value} (another experiment)"
    return risk, "none of the seed's remedies fits by itself" if names else ""


def _at_least(run: PlannedRun, needed: int, name: str, value: Any) -> float:
    """Memory that a remedy leaves at least: of a batch its part of all, else all but what parameters can take (the
    weight, its gradient, two moments and two copies, in single precision). Saves working out what cannot fit."""
    if name == "global_batch_size":
        return float(needed * value / getattr(run.config, name))
    parameters = run.facts.get("n_params_extractor", math.inf) + run.facts.get("n_params_classifier", math.inf)
    return needed - 24 * float(parameters)


def _position(run: PlannedRun) -> tuple[str, int] | None:
    """Where the trainable says that a run goes on."""
    position = getattr(importlib.import_module(run.experiment.trainable), "position", None)
    return position(run.config) if position else None
