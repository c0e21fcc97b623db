"""What metrics of the best epoch were chosen from: the accuracies of all epochs, which records hold as curves."""

from collections.abc import Iterable, Iterator, Mapping
from statistics import fmean
from typing import Any

from raysweep.experiment import Declaration, Selected

LAST = 5
"""Epochs over whose mean the choice of one costs nothing."""


def last_epochs(record: Mapping[str, Any], families: Iterable[Declaration]) -> Iterator[tuple[str, float]]:
    """For each metric of a best epoch, the mean over the last five epochs (or all, of fewer), named with `_last5`.

    `record` has its `results`, and `curves` of points by name.
    """
    for selected in (s for declaration in families for s in declaration.confounds.selected):
        values = _values(record.get("curves") or {}, selected)
        if values and selected.metrics[0] in record["results"]:
            yield selected.last, fmean(values[-LAST:])


def _values(curves: Mapping[str, list[Mapping[str, Any]]], selected: Selected) -> list[float]:
    """The values of the epochs from which the best was chosen."""
    curve = next((curves[name] for name in reversed(selected.curves) if curves.get(name)), [])
    found = [point.get(selected.value) for point in curve]
    return [value for value in found if isinstance(value, int | float)]
