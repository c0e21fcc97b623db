"""Plans over the trainable of known numbers, and records of their runs."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from raysweep.experiment import Experiment, Family
from raysweep.forecasts.machine import Machine
from raysweep.forecasts.rates import Share
from raysweep.ledger.records import FINISHED, Ledger
from raysweep.planning.runs import PlannedRun, make_runs
from tests.planned_trainable import PlannedConfig

BASE = Experiment(name="base", config=PlannedConfig(), trainable="tests.planned_trainable")
FAMILY = Family(
    name="planned", dataset="none", experiments=(BASE,), groups=(), questions=(), grid=lambda axes: ([], [])
)
SHARE = Share(device_name="abacus, threads: 1", threads=1, at_once=2)
RATES = {
    "setup_seconds": 3.0,
    "head_images_per_second": 100.0,
    "head_validation_images_per_second": 50.0,
    "head_cached_validation_images_per_second": 500.0,
    "head_warm_up_seconds": 2.0,
    "finetune_images_per_second": 10.0,
    "finetune_validation_images_per_second": 20.0,
    "finetune_checkpoint_seconds": 0.5,
}
HEAD = 1000 / 100 + 500 / 500
TUNING = 1000 / 10 + 500 / 20 + 0.5
WHOLE = 3 + 2 + 10 * HEAD + (500 / 50 - 500 / 500) + 10 * TUNING + 500 / 20
"""Seconds of an epoch in either phase, and of the base experiment with ten epochs of each, at RATES."""


def machine_of_one_slot(cache: Path) -> Machine:
    """A machine that does one run at a time."""
    return Machine(
        slots=1, slots_of=lambda _: 1, share_of=lambda _: SHARE, memory_of=lambda _: None, device="cpu", cache=cache
    )


def planned(
    ledger: Ledger, experiment: Experiment = BASE, *, seeds: tuple[int, ...] = (0,), **fields: Any
) -> list[PlannedRun]:
    """Runs of an experiment with other fields of its configuration."""
    return make_runs([experiment_with(experiment, **fields)], ledger, family=FAMILY, overrides={}, seeds=seeds)


def experiment_with(experiment: Experiment = BASE, **fields: Any) -> Experiment:
    return replace(experiment, config=replace(experiment.config, **fields))


def record(ledger: Ledger, run: PlannedRun, rates: Mapping[str, float] = RATES, **results: Any) -> None:
    """Enter that a run has finished on the device of SHARE."""
    measured = {**rates, "device_name": SHARE.device_name, **results}
    ledger.write({**run.record(), "status": FINISHED, "results": measured, "curves": {}})
