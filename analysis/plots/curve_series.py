"""The learning curves of a setting as plain numbers, for figures and for pages on which one zooms."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from analysis.comparison.cells import labels_by_run
from analysis.numbers import is_missing
from analysis.ordering import natural
from analysis.plots.said import accuracy_told
from analysis.reading.phases import PHASES
from analysis.reading.results import Setting, searched

Points = tuple[tuple[float, float], ...]
"""Epochs, counted over all phases, and the values after them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SeedCurve:
    """The curve of one run."""

    run: str
    seed: int | None
    points: Points
    """To the end of this run, phase after phase."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CurveSeries:
    """The curves of the runs that differ in nothing but their seeds."""

    label: str
    """What the runs are called, without their train size."""
    architecture: str
    """The label without what tells baselines from arms."""
    train_size: float | None
    """A fraction or a number of images; None where the runs have none."""
    measured: str
    """What the values are: `test accuracy, %`, `validation accuracy, %` or `training loss`."""
    boundaries: tuple[float, ...]
    """Between the last epoch of a phase and the first of the next one."""
    mean: Points
    """Mean over the runs, of each phase as far as all of them were trained."""
    seeds: tuple[SeedCurve, ...]
    """Each of the runs, to its own end."""


def curve_series(setting: Setting) -> list[CurveSeries]:
    """The series of a setting, by label, then by train size as a number; none where no run has curves."""
    runs = setting.runs
    if runs.empty or "curves" not in runs:
        return []
    runs = runs[~searched(runs) & runs["curves"].map(lambda curves: isinstance(curves, dict) and any(curves.values()))]
    if runs.empty:
        return []
    validated = any("val_acc" in point for run in runs["curves"] for name in PHASES for point in run.get(name) or ())
    metric, measured = ("val_acc", f"{accuracy_told(runs)}, %") if validated else ("train_loss", "training loss")
    labels = labels_by_run(setting)[runs.index]
    sizes = runs["train_size"] if "train_size" in runs else pd.Series(None, index=runs.index, dtype=object)
    if (labels == runs["experiment"]).all():
        sizes = pd.Series(None, index=runs.index, dtype=object)  # the names say it
    found = []
    for (label, size), rows in runs.groupby([labels, sizes.astype(object)], sort=False, dropna=False):
        name, train_size = str(label), None if is_missing(size) else float(str(size))
        architecture = name
        for suffix in {implied.baseline_suffix for implied in setting.families.implied} - {""}:
            architecture = architecture.replace(suffix, "", 1)
        found.append(_series((name, architecture), train_size, rows, metric, measured))
    if (labels != runs["experiment"]).any():
        found.sort(key=lambda one: (natural(one.label), one.train_size or 0.0))
    return [one for one in found if one.mean or any(seed.points for seed in one.seeds)]


def _series(names: tuple[str, str], size: float | None, rows: pd.DataFrame, metric: str, measured: str) -> CurveSeries:
    """The curves of runs, and their mean; each phase begins where the longest of the last one has ended."""
    ordered = rows.sort_values("seed", kind="stable")
    curves = ordered["curves"].tolist()
    own: list[list[tuple[float, float]]] = [[] for _ in curves]
    mean: list[tuple[float, float]] = []
    boundaries = []
    done = 0
    for name in PHASES:
        values = [[point.get(metric) for point in run.get(name) or ()] for run in curves]
        lengths = [len(curve) for curve in values if curve]
        if not lengths:
            continue
        if done:
            boundaries.append(done + 0.5)
        for points, curve in zip(own, values, strict=True):
            points += [(done + i, float(y)) for i, y in enumerate(curve, start=1) if y is not None]
        mean += _means([curve for curve in values if curve], done)
        done += max(lengths)
    named, seeds = ordered["run"].tolist(), ordered["seed"].tolist()
    label, architecture = names
    return CurveSeries(
        label=label,
        architecture=architecture,
        train_size=size,
        measured=measured,
        boundaries=tuple(boundaries),
        mean=tuple(mean),
        seeds=tuple(
            SeedCurve(run=str(run), seed=None if is_missing(seed) else int(seed), points=tuple(points))
            for run, seed, points in zip(named, seeds, own, strict=True)
        ),
    )


def _means(curves: Sequence[Sequence[float | None]], done: int) -> list[tuple[float, float]]:
    """The mean after each epoch that all curves have."""
    found = []
    for i, values in enumerate(zip(*curves, strict=False), start=1):
        known = [value for value in values if value is not None]
        if len(known) == len(values):
            found.append((float(done + i), sum(known) / len(known)))
    return found
