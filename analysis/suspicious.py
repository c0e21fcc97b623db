"""Runs to look at twice: an accuracy far from what the grid around it says, training that ended long before others'.

A run is held against two things. The seeds of its experiment: their median. And the grid of its setting: of the
experiments that differ from its own in one field, each is one value to expect, once what the field is worth elsewhere
is taken off. What is usual is measured by the setting itself (median absolute deviations), so that noisy sweeps name
no more runs than quiet ones.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np
import pandas as pd

from analysis.comparison.neighbours import Neighbours
from analysis.comparison.runs import metric_of
from analysis.reading.phases import PHASES
from analysis.reading.results import Results, searched

METRIC = "final_acc"

FAR = 6.0
"""Robust standard deviations beyond which an accuracy is far off; of a thousand normal ones none is."""
LEAST = 2.0
"""Points below which nothing is far off."""
FEWEST_BESIDE, FEWEST_RESIDUALS = 2, 8
"""Values to expect from, and residuals to take a spread from, without which nothing is said."""
EARLY = 0.4
"""The part of its siblings' epochs below which a run ended early."""

RECIPE = ("epochs", "patience")
"""Ends of the names of fields that say how long to train."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Suspicion:
    """Why to look at a run."""

    run: str
    experiment: str
    seed: Any
    reason: str


def suspicious_runs(results: Results) -> list[Suspicion]:
    """Those of all settings; imported ones, too."""
    found = []
    for setting in results.settings:
        runs = setting.runs[~searched(setting.runs)] if len(setting.runs) else setting.runs
        if runs.empty:
            continue
        reasons: dict[Any, list[str]] = {}
        neighbours = Neighbours.of(setting)
        for index, reason in [*_far_off(runs, neighbours), *_ended_early(runs, neighbours)]:
            reasons.setdefault(index, []).append(reason)
        for index, said in reasons.items():
            run = runs.loc[index]
            found.append(
                Suspicion(run=run["run"], experiment=run["experiment"], seed=run["seed"], reason="; ".join(said))
            )
    return found


def _far_off(runs: pd.DataFrame, neighbours: Neighbours) -> Iterator[tuple[Any, str]]:
    values = metric_of(runs, METRIC)
    by_experiment = {
        name: {index: float(values[index]) for index in rows.index.intersection(values.index)}
        for name, rows in neighbours.runs.items()
    }
    means = {name: median(found.values()) for name, found in by_experiment.items() if found}
    yield from _judged(_from_seeds(by_experiment), values, "the median of its seeds is {expected:.2f}")
    yield from _judged(
        _from_grid(by_experiment, means, neighbours), values, "its neighbours in the grid let expect {expected:.2f}"
    )


def _from_seeds(by_experiment: Mapping[str, Mapping[Any, float]]) -> dict[Any, float]:
    """The median over all seeds, where there are two or more beside each: one that is far off does not move it."""
    return {
        index: median(found.values())
        for found in by_experiment.values()
        if len(found) > FEWEST_BESIDE
        for index in found
    }


def _from_grid(
    by_experiment: Mapping[str, Mapping[Any, float]], means: Mapping[str, float], neighbours: Neighbours
) -> dict[Any, float]:
    """What neighbours let expect: their accuracy and what it is worth elsewhere to go from there to here."""
    steps: dict[tuple[str, Any, Any], list[tuple[str, float]]] = {}
    beside = {name: [n for n in neighbours.beside(name) if n.experiment in means] for name in means}
    own = {name: dict(zip(neighbours.fields, neighbours.points[name], strict=True)) for name in means}
    for name, others in beside.items():
        for other in others:
            step = (other.field, other.value, own[name][other.field])
            steps.setdefault(step, []).append((name, means[name] - means[other.experiment]))
    expected: dict[Any, float] = {}
    for name, others in beside.items():
        said = []
        for other in others:
            elsewhere = [d for n, d in steps[other.field, other.value, own[name][other.field]] if n != name]
            if len(elsewhere) >= FEWEST_BESIDE:
                said.append(means[other.experiment] + median(elsewhere))
        if len(said) >= FEWEST_BESIDE:
            expected |= dict.fromkeys(by_experiment[name], median(said))
    return expected


def _judged(expected: Mapping[Any, float], values: pd.Series, wording: str) -> Iterator[tuple[Any, str]]:
    """Those whose distance from what is expected is far beyond the usual one."""
    away = {index: float(values[index]) - at for index, at in expected.items()}
    if len(away) < FEWEST_RESIDUALS:
        return
    usual = 1.4826 * float(np.median(np.abs(list(away.values()))))
    for index, distance in away.items():
        if abs(distance) > max(LEAST, FAR * usual):
            yield index, f"{METRIC} {values[index]:.2f}, where {wording.format(expected=expected[index])}"


def _ended_early(runs: pd.DataFrame, neighbours: Neighbours) -> Iterator[tuple[Any, str]]:
    """Runs with far fewer epochs in a phase than the same experiment with other seeds, or its neighbours."""
    if "curves" not in runs:
        return
    lengths = {index: _epochs(curves) for index, curves in runs["curves"].items()}
    for name, rows in neighbours.runs.items():
        alike = [n.experiment for n in neighbours.beside(name) if not n.field.endswith(RECIPE)]
        others = [lengths.get(index, {}) for other in alike for index in neighbours.runs[other].index]
        for index in rows.index.intersection(runs.index):
            siblings = [lengths.get(other, {}) for other in rows.index if other != index]
            for phase, spoken in PHASES.items():
                n = lengths[index].get(phase, 0)
                usual = _usual(siblings, phase) or _usual(others, phase)
                if n and usual and n < EARLY * usual:
                    yield index, f"{spoken} ended after {n} epochs, of others like it after {usual:g}"


def _usual(lengths: Sequence[Mapping[str, int]], phase: str) -> float:
    """The median length of a phase; 0 where fewer than two others have it."""
    found = [known[phase] for known in lengths if known.get(phase)]
    return float(median(found)) if len(found) >= FEWEST_BESIDE else 0.0


def _epochs(curves: Any) -> dict[str, int]:
    return {phase: len(points) for phase, points in curves.items() if points} if isinstance(curves, dict) else {}
