"""Runs of a plan without data and without a ledger."""

from dataclasses import replace
from typing import Any

from raysweep.experiment import Experiment
from raysweep.plan import Run


def planned(experiment: Experiment, num_workers: int = 1, **changes: Any) -> Run:
    """The run of an experiment with some fields changed."""
    config = replace(experiment.config, **{"seed": experiment.seeds[0], "save_dir": "results/runs/x", **changes})
    return Run(
        name=f"{experiment.name}-s{config.seed}-0123456789",
        key="0123456789abcdef",
        experiment=experiment,
        group="g",
        config=config,
        num_workers=num_workers,
        changed="",
        facts={"data": "d", "numerics": 1},
    )
