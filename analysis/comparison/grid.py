"""The comparison of two arms over a grid: paired within each cell, which all fields but the factor make, and pooled."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import fmean
from typing import Any

import pandas as pd

from analysis.comparison.contrast import NO_SEED, Contrast
from analysis.comparison.pairing import hidden_deviation, pairing_fields
from analysis.comparison.runs import label_of, metric_of, rows_of
from analysis.numbers import count, is_missing
from analysis.pooling.pooled import pooled_effect
from analysis.reading.results import Setting
from raysweep.experiment import Arm, Question

Key = tuple[str, ...]
"""The values of the fields that make a cell."""


@dataclass(frozen=True)
class _Runs:
    """The runs of one arm in a cell with one seed; several where they differ in the factor alone."""

    rows: list[Any]
    """Their labels in the frame."""
    value: float
    """The mean of the metric."""


Pair = Mapping[str, _Runs]
"""Of one seed, the runs of each arm by its label."""


def grid(question: Question, arm: Arm, metric: str, setting: Setting) -> Contrast:
    """Arm minus baseline in each cell that has both, the mean over its seeds, and what the cells say together."""
    rows = {label_of(term): rows_of(term, setting.runs) for term in (question.baseline, arm)}
    base, label = rows
    made = partial(Contrast, metric=metric, arm=label, baseline=base)
    if absent := [name for name, part in rows.items() if part.empty]:
        return made(missing=f"no result of {' and '.join(absent)}")
    values = {name: metric_of(part, metric) for name, part in rows.items()}
    if absent := [name for name, part in values.items() if part.empty]:
        return made(missing=f"no {metric} of {' and '.join(absent)}")
    beside = pairing_fields(rows, setting, question.factor)
    sides = {name: _by_cell(part.loc[values[name].index], values[name], beside) for name, part in rows.items()}
    cells = {
        key: pairs for key in sides[label] if (pairs := _pairs({n: side.get(key, {}) for n, side in sides.items()}))
    }
    if not cells:
        return made(missing=f"no cell of {label} and {base} with a seed in common")
    named = dict(zip(_names(rows[label], cells, label, beside), cells.values(), strict=True))
    differences = {
        name: tuple(pair[label].value - pair[base].value for pair in pairs.values()) for name, pairs in named.items()
    }
    floor = hidden_deviation(setting.families.metric(metric), rows.values(), 2)
    return made(
        values=tuple(map(fmean, differences.values())),
        seeds=tuple(sorted({seed for pairs in cells.values() for seed in pairs})),
        means={
            name: fmean(fmean(pair[name].value for pair in pairs.values()) for pairs in cells.values()) for name in rows
        },
        rows={
            name: part.loc[[run for pairs in cells.values() for pair in pairs.values() for run in pair[name].rows]]
            for name, part in rows.items()
        },
        floor=floor,
        flags=tuple(filter(None, (_averaged(name, cells) for name in rows))),
        cells=differences,
        pooled=pooled_effect(differences, floor),
    )


def _by_cell(rows: pd.DataFrame, values: pd.Series, beside: Sequence[str]) -> dict[Key, dict[int, _Runs]]:
    """The runs of an arm by cell and seed."""
    found: dict[Key, dict[int, list[tuple[Any, float]]]] = {}
    points = zip(*(map(_spoken, rows[name]) for name in beside), strict=True) if beside else [()] * len(rows)
    for run, seed, value, key in zip(rows.index, rows["seed"], values, points, strict=True):
        seeds = found.setdefault(tuple(key), {})
        seeds.setdefault(NO_SEED if is_missing(seed) else int(seed), []).append((run, float(value)))
    return {
        key: {seed: _Runs([run for run, _ in runs], fmean(value for _, value in runs)) for seed, runs in seeds.items()}
        for key, seeds in found.items()
    }


def _pairs(sides: Mapping[str, Mapping[int, _Runs]]) -> dict[int, Pair]:
    """The runs of a cell by their common seeds; two single runs are a pair if one of them has no seed."""
    single = all(sum(len(runs.rows) for runs in side.values()) == 1 for side in sides.values())
    if single and any(NO_SEED in side for side in sides.values()):
        return {NO_SEED: {name: runs for name, side in sides.items() for runs in side.values()}}
    common = set.intersection(*(set(side) for side in sides.values())) - {NO_SEED}
    return {seed: {name: side[seed] for name, side in sides.items()} for seed in sorted(common)}


def _names(rows: pd.DataFrame, cells: Mapping[Key, Mapping[int, Pair]], arm: str, beside: Sequence[str]) -> list[str]:
    """What cells are called: the experiments of the arm, and their fields where these are the same in several."""
    named = [
        "/".join(dict.fromkeys(rows.loc[[run for pair in pairs.values() for run in pair[arm].rows], "experiment"]))
        for pairs in cells.values()
    ]
    repeated = {name for name, n in Counter(named).items() if n > 1}
    fields = [", ".join(f"{name}={value}" for name, value in zip(beside, key, strict=True)) for key in cells]
    return [f"{name} ({at})" if name in repeated else name for name, at in zip(named, fields, strict=True)]


def _averaged(name: str, cells: Mapping[Key, Mapping[int, Pair]]) -> str:
    """What is said where runs of an arm differ in the factor alone; "" where none do."""
    several = sum(any(len(pair[name].rows) > 1 for pair in pairs.values()) for pairs in cells.values())
    return f"{name} has several runs of one seed in {count(several, 'cell')}: their mean counts" if several else ""


def _spoken(value: Any) -> str:
    if is_missing(value):
        return "none"
    return f"{value:.12g}" if isinstance(value, float) else str(value)
