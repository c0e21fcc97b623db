"""Asks trainables what runs compute and hold, and judges whether that fits into the memory of a machine."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from raysweep.forecasts.known_costs import KnownCosts
from raysweep.forecasts.rates import Shape
from raysweep.messages import PlanError
from raysweep.planning import PlannedRun
from raysweep.trainable import Costs
from raysweep.trainable_loader import load_trainable, spoken_changes

Risk = Literal["none", "likely", "certain"]

RAY_BYTES = 150 * 2**20
"""Bytes that a worker of a sweep holds on a CPU beside its training: Ray, and pandas, which Ray Train imports."""

MARGIN = 0.15
"""How far the memory that a run needs may be from what was computed, as a fraction."""


class PlannedCosts:
    """The costs of a plan's runs on a device, computed once for all runs that share them, and kept in a cache."""

    def __init__(self, device: Literal["cpu", "cuda"], cache: Path) -> None:
        self._device: Literal["cpu", "cuda"] = device
        self._kept = KnownCosts(cache, device)
        self._known: dict[tuple[Shape, str], Costs | None] = {}

    def of(self, run: PlannedRun) -> Costs | None:
        """The costs of a run, including Ray's memory, or None if its trainable gives none."""
        phases = [(p["phase"], p["validation_images"], p["cached"]) for p in run.facts.get("phases", ())]
        key = Shape.of(run), repr(phases)
        if key not in self._known:
            self._known[key] = self._worked_out(run, run.config)
        return self._known[key]

    def memory(self, run: PlannedRun, config: Any) -> float:
        """The bytes that a worker of a run would hold with another configuration; infinite where that is unknown."""
        costs = self._worked_out(run, config)
        return costs["memory_bytes"] if costs else math.inf

    def flops(self, run: PlannedRun) -> dict[str, tuple[float, float]]:
        """The (forward, training) operations for each image, by phase, as far as they are known."""
        costs = self.of(run)
        phases = costs.get("phases", ()) if costs else ()
        return {phase["phase"]: (phase["flops_forward"], phase["flops_train"]) for phase in phases}

    def keep(self) -> None:
        """Write what was worked out into the cache."""
        self._kept.keep()

    def _worked_out(self, run: PlannedRun, config: Any) -> Costs | None:
        """What the trainable says, and Ray's memory. Raises PlanError, which names the experiment, for a run that
        cannot be."""
        if (costs := self._kept.of(run, config)) is None:
            try:
                costs = load_trainable(run.experiment.trainable).cost(config, run.num_workers, self._device)
            except PlanError:
                raise
            except ValueError as error:
                raise PlanError(f"{run.experiment.name}: {error}") from None
            if costs is None:
                return None
            self._kept.add(run, config, costs)
        more = RAY_BYTES if self._device == "cpu" else 0
        phases: Any = [{**phase, "memory_bytes": phase["memory_bytes"] + more} for phase in costs.get("phases", ())]
        return {**costs, "memory_bytes": costs["memory_bytes"] + more, "phases": phases}


def memory_risk(
    run: PlannedRun, needed: float | None, room: int | None, costs: PlannedCosts
) -> tuple[Risk | None, str]:
    """Return the risk that a worker that needs so many bytes has too little `room`, or None if either is unknown.

    Also returns the changed fields of the first remedy that leaves a margin, or a note that none does.
    """
    if needed is None or room is None:
        return None, ""
    if needed * (1 + MARGIN) <= room:
        return "none", ""
    risk: Risk = "certain" if needed * (1 - MARGIN) > room else "likely"
    trainable = load_trainable(run.experiment.trainable)
    for remedy in trainable.remedies(run.config, run.num_workers):
        least = max(needed * remedy.get("leaves", 0.0), needed - remedy.get("frees", math.inf))
        if least <= room and costs.memory(run, replace(run.config, **remedy["changes"])) * (1 + MARGIN) <= room:
            return risk, f"{spoken_changes(remedy['changes'])} (another experiment)"
    return risk, "none of the known remedies fits by itself" if trainable.has("remedies") else ""
