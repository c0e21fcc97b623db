"""Trends: by seed, the slope of a metric over the logarithm of a field, of a series or of what it is beyond another."""

from functools import partial

import numpy as np
import pandas as pd

from analysis.comparison.contrast import Contrast
from analysis.comparison.runs import label_of, metric_of, rows_of, varied_fields
from analysis.numbers import count
from analysis.reading.results import Setting
from raysweep.experiment import Question

UNSEEDED = "runs without a seed make no series"


def trend(question: Question, metric: str, setting: Setting) -> Contrast:
    """The slope per doubling of the field, one for each seed that has two values of it or more."""
    arms, base = question.arms, question.baseline
    label = label_of(arms[0]) if len(arms) == 1 else ", ".join(map(label_of, arms))
    made = partial(Contrast, metric=metric, arm=label, baseline=label_of(base))
    series = {label: pd.concat([rows_of(arm, setting.runs) for arm in arms])}
    if base:
        series[label_of(base)] = rows_of(base, setting.runs)
    absent = [label_of(arm) for arm in arms if rows_of(arm, setting.runs).empty] + [
        name for name, rows in series.items() if rows.empty and name != label
    ]
    if absent:
        return made(missing=f"no result of {' and '.join(absent)}")
    size = "actual_train_samples" if question.over == "train_size" and "actual_train_samples" in setting.runs else None
    tables = {name: _by_seed_and_size(rows, metric, size or question.over) for name, rows in series.items()}
    if without := [name for name, table in tables.items() if table is None]:
        return made(missing=f"no {question.over} of {without[0]}")
    known = {name: table for name, table in tables.items() if table is not None}
    empty = [name for name, table in known.items() if table.empty]
    if empty:
        seeded = any(series[name]["seed"].notna().any() for name in empty)
        measured = all(len(metric_of(series[name], metric)) for name in empty)
        return made(missing=UNSEEDED if measured and not seeded else f"no {metric} of {' and '.join(empty)}")
    points = (known[label] - known[label_of(base)] if base else known[label]).dropna()
    by_seed = {int(str(seed)): part for seed, part in points.groupby(level="seed") if len(part) > 1}
    if not by_seed:
        seeded = any(rows["seed"].notna().any() for rows in series.values())
        said = f"no seed at two values of {question.over}" if seeded else UNSEEDED
        return made(missing=said)
    slopes, flags = _slopes(by_seed, question.over)
    for name, rows in series.items():
        for field in varied_fields(rows, setting, (*question.factor, question.over)):
            flags.append(f"{field} varies within {name}")
    return made(
        values=tuple(slopes.values()),
        seeds=tuple(slopes),
        means={name: float(table.mean()) for name, table in known.items()},
        rows={name: rows[rows["seed"].isin(slopes)] for name, rows in series.items()},
        flags=tuple(flags),
    )


def _by_seed_and_size(rows: pd.DataFrame, metric: str, size: str) -> pd.Series | None:
    """The means of a metric by seed and size; None where no run has a size."""
    values, sizes = metric_of(rows, metric), metric_of(rows, size)
    if sizes.empty:
        return None
    known = rows.loc[values.index].assign(value=values, size=sizes)
    return known[known["size"] > 0].groupby(["seed", "size"])["value"].mean()


def _slopes(by_seed: dict[int, pd.Series], over: str) -> tuple[dict[int, float], list[str]]:
    """The slope of each seed, and what is to be said of them.

    Seeds that lack some of the values are left out where at least two have all.
    """
    most = max(map(len, by_seed.values()))
    complete = {seed: part for seed, part in by_seed.items() if len(part) == most}
    kept = complete if len(complete) > 1 else by_seed
    flags = [f"{count(len(by_seed) - len(kept), 'seed')} without all values of {over}, left out"] * (kept != by_seed)
    sizes = {seed: part.index.get_level_values("size") for seed, part in kept.items()}
    if len({tuple(values) for values in sizes.values()}) > 1:
        flags.append(f"not every seed has all values of {over}")
    slopes = {}
    for seed, part in kept.items():
        x = np.log2(sizes[seed].to_numpy(dtype=float))
        slopes[seed] = float(np.polyfit(x - x.mean(), part.to_numpy(), 1)[0])
    return slopes, flags
