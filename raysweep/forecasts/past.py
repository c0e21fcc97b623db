"""What was predicted of runs before they ran, and how good that was."""

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from raysweep.forecasts.forecast import Forecast
from raysweep.ledger import FINISHED, Record
from raysweep.planning import PlannedRun


def with_predictions(runs: Sequence[PlannedRun], known: Sequence[Forecast]) -> list[PlannedRun]:
    """The runs with what is expected of them now, for their records."""
    return [replace(run, predicted=predicted(forecast)) for run, forecast in zip(runs, known, strict=True)]


def predicted(forecast: Forecast) -> dict[str, Any]:
    """What a run's record says of it: the time, and what an epoch counts, for runs that stop early."""
    if forecast.seconds is None or forecast.remaining:
        return {}
    epochs = {name: [forecast.epochs[name], seconds] for name, seconds in forecast.seconds_per_epoch.items()}
    return {"predicted_seconds": forecast.seconds, "predicted_epochs": epochs, "predicted_basis": forecast.basis}


@dataclass(frozen=True, kw_only=True, slots=True)
class PastError:
    """What runs took, over what was predicted for the epochs that they needed."""

    n: int
    ratio: float
    """Median."""
    spread: float
    """Standard deviation of the ratio's logarithm; 0 for fewer than two."""


def past_error(records: Iterable[Record]) -> PastError | None:
    """Of the runs that finished without interruption and had a prediction (rough ones aside); None without any."""
    logs = []
    for record in records:
        whole = record["status"] == FINISHED and record.get("attempt") in (None, 1) and not record.get("restarts")
        if not whole or "same_as" in record or record.get("predicted_basis") == "rough":
            continue
        seconds, took = record.get("predicted_seconds"), record["results"].get("seconds")
        if seconds and took:
            for phase, (epochs, one) in record.get("predicted_epochs", {}).items():
                seconds -= (epochs - record["results"].get(f"{phase}_epochs", epochs)) * one
            if seconds > 0:
                logs.append(math.log(took / seconds))
    if not logs:
        return None
    spread = statistics.stdev(logs) if len(logs) > 1 else 0.0
    return PastError(n=len(logs), ratio=math.exp(statistics.median(logs)), spread=spread)
