"""What a question compares: the metric's differences between its arms, paired by seed, and the runs behind them."""

import math
from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
import pandas as pd

from analysis.comparison.contrast import NO_SEED, Contrast
from analysis.comparison.grid import grid
from analysis.comparison.pairing import hidden_deviation, pairing_fields
from analysis.comparison.runs import label_of, metric_of, rows_of
from analysis.comparison.trend import trend
from analysis.reading.results import Setting
from raysweep.experiment import Arm, Question


def contrasts(question: Question, setting: Setting) -> list[Contrast]:
    """Every arm and metric of a question, or the one trend or interaction that it asks about."""
    if question.kind == "trend":
        return [trend(question, metric, setting) for metric in question.metrics]
    if question.kind == "pooled":
        return [grid(question, arm, metric, setting) for arm in question.arms for metric in question.metrics]
    if question.kind == "interaction":
        one, other, both = question.arms
        terms = [(question.baseline, 1), (one, -1), (other, -1), (both, 1)]
        return [_sum(question, terms, both, metric, setting) for metric in question.metrics]
    compared = [] if question.kind == "target" else [(question.baseline, -1)]
    return [
        _sum(question, [*compared, (arm, 1)], arm, metric, setting)
        for arm in question.arms
        for metric in question.metrics
    ]


def _sum(question: Question, terms: Sequence[tuple[Arm, int]], arm: Arm, metric: str, setting: Setting) -> Contrast:
    """The weighted sum of arms over the seeds that all of them have."""
    about_time = question.kind == "time"
    made = partial(Contrast, metric=metric, arm=label_of(arm), baseline=label_of(question.baseline))
    rows = {label_of(term): rows_of(term, setting.runs) for term, _ in terms}
    absent = [label for label, part in rows.items() if part.empty]
    if absent:
        return made(missing=f"no result of {' and '.join(absent)}")
    some_filter = any(not isinstance(term, str) for term, _ in terms)
    beside = pairing_fields(rows, setting, question.factor) if some_filter else []
    series = {}
    for label, part in rows.items():
        values = metric_of(part, metric)
        if about_time:
            values = np.log(values[values > 0])
        series[label] = _keyed(part.loc[values.index], values, beside)
    absent = [label for label, part in rows.items() if metric_of(part, metric).empty]
    if absent:
        return made(missing=f"no {metric} of {' and '.join(absent)}")
    pairs = _paired(series)
    if pairs.empty:
        unseeded = [label for label, values in series.items() if values.empty]
        said = f"runs without a seed cannot be paired ({' and '.join(unseeded)})" if unseeded else "no seed in common"
        return made(missing=said)
    sums = (pairs * pd.Series({label_of(term): weight for term, weight in terms})).sum(axis=1)
    by_seed = sums.groupby(level=0, sort=False).mean()
    sides = pairs.groupby(level=0, sort=False).mean()
    hidden = 0.0 if about_time else hidden_deviation(setting.families.metric(metric), rows.values(), len(terms))
    return made(
        values=tuple(map(float, by_seed)),
        seeds=tuple(by_seed.index),
        floor=hidden,
        means={str(label): float(math.exp(mean) if about_time else mean) for label, mean in sides.mean().items()},
        sides={str(label): tuple(map(float, values)) for label, values in sides.items()},
        rows={label: _used(part, pairs, beside) for label, part in rows.items()},
    )


def _keyed(rows: pd.DataFrame, values: pd.Series, beside: Sequence[str]) -> pd.Series:
    """The values by seed, and by the fields beside it; of runs without a seed there can be one."""
    seeds = rows["seed"].astype(object)
    if len(rows) == 1 and seeds.isna().all():
        seeds = seeds.where(seeds.notna(), NO_SEED)
    keys = [seeds, *(rows[name].astype(str) for name in beside)]
    kept = seeds.notna()
    keyed = pd.Series(values[kept].to_numpy(), index=pd.MultiIndex.from_arrays([key[kept] for key in keys]))
    return keyed[~keyed.index.duplicated(keep="last")]


def _paired(series: Mapping[str, pd.Series]) -> pd.DataFrame:
    """The values of all arms by their common seeds; two single runs are a pair if one of them has no seed."""
    single = all(len(values) == 1 for values in series.values())
    if single and any(values.index[0][0] == NO_SEED for values in series.values()):
        index = next(iter(series.values())).index
        return pd.DataFrame({label: values.to_numpy() for label, values in series.items()}, index=index)
    return pd.concat(series, axis=1, join="inner")


def _used(rows: pd.DataFrame, pairs: pd.DataFrame, beside: Sequence[str]) -> pd.DataFrame:
    """The runs of an arm that are in pairs."""
    if len(rows) == 1:
        return rows
    keys = [rows["seed"].astype(object), *(rows[name].astype(str) for name in beside)]
    return rows[pd.MultiIndex.from_arrays(keys).isin(pairs.index)]
