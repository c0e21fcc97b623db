"""Keeps the predictions that were made before runs started, and says how good they were."""

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from raysweep.forecasts.forecast import Forecast
from raysweep.ledger import FINISHED, Record
from raysweep.planning import PlannedRun


def with_predictions(runs: Sequence[PlannedRun], known: Sequence[Forecast]) -> list[PlannedRun]:
    """The runs, each with its forecast, which becomes part of its record."""
    return [replace(run, predicted=predicted(forecast)) for run, forecast in zip(runs, known, strict=True)]


def predicted(forecast: Forecast) -> dict[str, Any]:
    """What a run's record keeps of a forecast: the seconds, and by phase the epochs and the seconds of each, so that a
    run which stops early can be compared."""
    if forecast.seconds is None or forecast.remaining:
        return {}
    epochs = {name: [forecast.epochs[name], seconds] for name, seconds in forecast.seconds_per_epoch.items()}
    return {"predicted_seconds": forecast.seconds, "predicted_epochs": epochs, "predicted_basis": forecast.basis}


@dataclass(frozen=True, kw_only=True, slots=True)
class PastError:
    """The ratio of the time that runs took to the time predicted for as many epochs as they trained."""

    n: int
    ratio: float
    """The median over runs."""
    spread: float
    """Standard deviation of the ratio's logarithm; 0 for fewer than two runs."""


def past_error(records: Iterable[Record]) -> PastError | None:
    """The error over all runs that finished without interruption and had a prediction that was not a rough one; None if
    there are none."""
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


def past_spread(records: Iterable[Record]) -> float:
    """The spread of the past error, by which the ends of forecasts are moved apart; 0 where there is none."""
    error = past_error(records)
    return error.spread if error else 0.0
