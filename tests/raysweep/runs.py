"""For tests of runs: some without data and a ledger, their processes, and what of their results is measured."""

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from raysweep.experiment import Experiment
from raysweep.planning.runs import PlannedRun
from raysweep.running import supervisor

MEASURED = ("seconds", "images_per_second", "data_wait", "memory_bytes")
"""Ends of the names of results that no two runs share."""


def planned(experiment: Experiment, num_workers: int = 1, **changes: Any) -> PlannedRun:
    """The run of an experiment with some fields changed."""
    config = replace(experiment.config, **{"seed": experiment.seeds[0], "save_dir": "results/runs/x", **changes})
    return PlannedRun(
        name=f"{experiment.name}-s{config.seed}-0123456789",
        key="0123456789abcdef",
        experiment=experiment,
        group="g",
        dataset=getattr(config, "dataset", "none"),
        config=config,
        num_workers=num_workers,
        changed="",
        facts={"data": "d", "numerics": 1},
    )


def processes_of(name: str, roots: set[int]) -> Iterator[tuple[float, int]]:
    """Ray's processes of that name below `roots`: (when it started, pid)."""
    for pid, started in supervisor.descendants(roots):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            if Path(f"/proc/{pid}/cmdline").read_bytes().startswith(f"ray::{name}".encode()):
                yield float(started), pid
