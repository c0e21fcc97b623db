"""What a question compares: the metric's differences between its arms, paired by seed, and the runs behind them."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from analysis.results import Question, Setting, count

Arm = str | Mapping[str, Any]
"""The name of an experiment, or a filter: its label and the fields of the configuration."""


@dataclass(frozen=True, kw_only=True)
class Contrast:
    """One number for each seed, whose mean is the answer's estimate."""

    metric: str
    arm: str
    baseline: str
    """Labels of the two; of a target or a single trend, "" for the baseline."""
    values: tuple[float, ...] = ()
    """By seed: arm minus baseline; of a question about time, the logarithm of their ratio; of a trend, the slope per
    doubling; of an interaction, both - one - other + baseline; of a target, the metric."""
    seeds: tuple[int, ...] = ()
    means: Mapping[str, float] | None = None
    """Of each arm, over these seeds."""
    rows: Mapping[str, pd.DataFrame] | None = None
    """Of each arm, the runs behind the values."""
    missing: str = ""
    """What there is no result of yet; then there are no values."""
    floor: float = 0.0
    """What the resolution of an accuracy, one test image, hides of the standard deviation of the values."""
    flags: tuple[str, ...] = ()


def contrasts(question: Question, setting: Setting) -> list[Contrast]:
    """Every arm and metric of a question, or the one trend or interaction that it asks about."""
    kind = question.get("kind", "difference")
    if kind == "trend":
        return [_trend(question, metric, setting) for metric in question["metrics"]]
    if kind == "interaction":
        one, other, both = question["arms"]
        terms = [(question["baseline"], 1), (one, -1), (other, -1), (both, 1)]
        return [_sum(question, terms, both, metric, setting) for metric in question["metrics"]]
    if kind == "target":
        return [
            _sum(question, [(arm, 1)], arm, metric, setting)
            for arm in question["arms"]
            for metric in question["metrics"]
        ]
    return [
        _sum(question, [(question["baseline"], -1), (arm, 1)], arm, metric, setting)
        for arm in question["arms"]
        for metric in question["metrics"]
    ]


def label_of(arm: Arm) -> str:
    """How tables call an arm."""
    return arm if isinstance(arm, str) else str(arm["label"])


def arms_of(question: Question) -> list[Arm]:
    """All arms, the baseline first."""
    return [arm for arm in (question.get("baseline"), *question["arms"]) if arm]


def rows_of(arm: Arm, runs: pd.DataFrame) -> pd.DataFrame:
    """The runs of an arm."""
    if isinstance(arm, str):
        return runs[runs["experiment"] == arm]
    chosen = pd.Series(True, index=runs.index)
    for name, value in arm["fields"].items():
        if name not in runs:
            return runs.iloc[:0]
        if isinstance(value, list | dict):
            chosen &= runs[name].map(lambda found, value=value: found == value)
        else:
            chosen &= runs[name].isna() if value is None else runs[name] == value
    return runs[chosen]


def metric_of(rows: pd.DataFrame, metric: str) -> pd.Series:
    """The finite values of a metric, by run."""
    if metric not in rows:
        return pd.Series(dtype=float)
    values = pd.to_numeric(rows[metric], errors="coerce").astype(float)
    return values[np.isfinite(values)]


def varied_fields(rows: pd.DataFrame, setting: Setting, apart_from: Sequence[str] = ()) -> list[str]:
    """The fields of configurations that differ among runs and have an effect on one of them, the seed aside."""
    left_out = {*apart_from, "seed", *without_effect(rows)}
    return [name for name in sorted(setting.config - left_out) if name in rows and len(values_of(rows, name)) > 1]


def without_effect(rows: pd.DataFrame) -> set[str]:
    """The fields that cannot have changed the numbers of these runs."""
    if "no_effect" not in rows:
        return set(ALWAYS_COSMETIC)
    found = {tuple(names) for names in rows["no_effect"] if isinstance(names, list)}
    return {*ALWAYS_COSMETIC, *(name for names in found for name in names)}


ALWAYS_COSMETIC = ("data_dir", "save_dir", "dataset")
"""Where data and checkpoints lie; which data it is, is compared by their fingerprint."""


def values_of(rows: pd.DataFrame, name: str) -> list[Any]:
    """The distinct values of a column in their order, None for what is missing."""
    column = rows[name]
    if column.isna().all():
        return [None] if len(column) else []
    found: dict[str, Any] = {}
    for value in column.drop_duplicates() if _is_plain(column) else column:
        known = None if not isinstance(value, list | dict) and pd.isna(value) else value
        found.setdefault(repr(known), known)
    return sorted(found.values(), key=lambda value: (value is not None, str(value)))


def _is_plain(column: pd.Series) -> bool:
    return not any(isinstance(value, list | dict) for value in column.head(1))


def _sum(question: Question, terms: Sequence[tuple[Arm, int]], arm: Arm, metric: str, setting: Setting) -> Contrast:
    """The weighted sum of arms over the seeds that all of them have."""
    about_time = question.get("kind") == "time"
    made = partial(Contrast, metric=metric, arm=label_of(arm), baseline=label_of(question.get("baseline") or ""))
    rows = {label_of(term): rows_of(term, setting.runs) for term, _ in terms}
    absent = [label for label, part in rows.items() if part.empty]
    if absent:
        return made(missing=f"no result of {' and '.join(absent)}")
    series, factor = {}, question.get("factor", ())
    cells = _cells(rows, setting, factor) if any(not isinstance(term, str) for term, _ in terms) else []
    for label, part in rows.items():
        values = metric_of(part, metric)
        if about_time:
            values = np.log(values[values > 0])
        series[label] = _keyed(part.loc[values.index], values, cells)
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
    means = pairs.groupby(level=0, sort=False).mean().mean()
    used = {label: _used(part, series[label], pairs, cells) for label, part in rows.items()}
    return made(
        values=tuple(map(float, by_seed)),
        seeds=tuple(by_seed.index),
        floor=0.0 if about_time else _hidden_deviation(metric, rows.values(), len(terms)),
        means={str(label): float(math.exp(mean) if about_time else mean) for label, mean in means.items()},
        rows=used,
    )


def _hidden_deviation(metric: str, rows: Iterable[pd.DataFrame], terms: int) -> float:
    """Of a sum of `terms` accuracies that are multiples of one image, each rounded: step / sqrt(12); 0 for others."""
    accuracies = {"acc": 1, "acc5": 1, "gain": 2}.get(metric.rpartition("_")[2], 0)  # a gain is a difference of two
    images = [metric_of(part, "test_samples") for part in rows]
    known = [float(part.min()) for part in images if len(part)]
    return 100 / min(known) * math.sqrt(terms * accuracies / 12) if known and min(known) > 0 else 0.0


def _trend(question: Question, metric: str, setting: Setting) -> Contrast:
    """By seed, the slope of the metric over the logarithm of a field, of the series or of what it is beyond another."""
    over, base = question.get("over", "train_size"), question.get("baseline")
    arms = question["arms"]
    label = label_of(arms[0]) if len(arms) == 1 else ", ".join(map(label_of, arms))
    made = partial(Contrast, metric=metric, arm=label, baseline=label_of(base or ""))
    series_rows = {label: pd.concat([rows_of(arm, setting.runs) for arm in arms])}
    if base:
        series_rows[label_of(base)] = rows_of(base, setting.runs)
    absent = [label_of(arm) for arm in arms if rows_of(arm, setting.runs).empty] + [
        name for name, rows in series_rows.items() if rows.empty and name != label
    ]
    if absent:
        return made(missing=f"no result of {' and '.join(absent)}")
    size = "actual_train_samples" if over == "train_size" and "actual_train_samples" in setting.runs else over
    tables = {}
    for name, rows in series_rows.items():
        values, sizes = metric_of(rows, metric), metric_of(rows, size)
        if sizes.empty:
            return made(missing=f"no {over} of {name}")
        known = rows.loc[values.index].assign(value=values, size=sizes)
        tables[name] = known[known["size"] > 0].groupby(["seed", "size"])["value"].mean()
    empty = [name for name, table in tables.items() if table.empty]
    if empty:
        return made(missing=f"no {metric} of {' and '.join(empty)}")
    points = tables[label] - tables[label_of(base)] if base else tables[label]
    points = points.dropna()
    by_seed = {int(str(seed)): part for seed, part in points.groupby(level="seed") if len(part) > 1}
    if not by_seed:
        seeded = any(rows["seed"].notna().any() for rows in series_rows.values())
        return made(missing=f"no seed at two values of {over}" if seeded else "runs without a seed make no series")
    most = max(map(len, by_seed.values()))
    complete = {seed: part for seed, part in by_seed.items() if len(part) == most}
    kept = complete if len(complete) > 1 else by_seed
    slopes = {}
    for seed, part in kept.items():
        x = np.log2(part.index.get_level_values("size").to_numpy(dtype=float))
        slopes[seed] = float(np.polyfit(x - x.mean(), part.to_numpy(), 1)[0])
    flags = [f"{count(len(by_seed) - len(kept), 'seed')} without all values of {over}, left out"] * (kept != by_seed)
    if len({tuple(part.index.get_level_values("size")) for part in kept.values()}) > 1:
        flags.append(f"not every seed has all values of {over}")
    for name, rows in series_rows.items():
        for field in varied_fields(rows, setting, (*question.get("factor", ()), over)):
            flags.append(f"{field} varies within {name}")
    used = {name: rows[rows["seed"].isin(slopes)] for name, rows in series_rows.items()}
    return made(
        values=tuple(slopes.values()),
        seeds=tuple(slopes),
        means={name: float(table.mean()) for name, table in tables.items()},
        rows=used,
        flags=tuple(flags),
    )


def _cells(rows: Mapping[str, pd.DataFrame], setting: Setting, factor: Sequence[str]) -> list[str]:
    """Beside the seed, what pairs the runs of filters: the fields that vary within an arm on purpose of neither."""
    return sorted({name for part in rows.values() for name in varied_fields(part, setting, factor)})


def _keyed(rows: pd.DataFrame, values: pd.Series, cells: Sequence[str]) -> pd.Series:
    """The values by seed (and cell); of runs without a seed there can be one."""
    seeds = rows["seed"].astype(object)
    if len(rows) == 1 and seeds.isna().all():
        seeds = seeds.where(seeds.notna(), NO_SEED)
    keys = [seeds, *(rows[name].astype(str) for name in cells)]
    kept = seeds.notna()
    keyed = pd.Series(values[kept].to_numpy(), index=pd.MultiIndex.from_arrays([key[kept] for key in keys]))
    return keyed[~keyed.index.duplicated(keep="last")]


NO_SEED = -1
"""Stands for the seed of a run that was made without one."""


def _paired(series: Mapping[str, pd.Series]) -> pd.DataFrame:
    """The values of all arms by their common seeds; two single runs are a pair if one of them has no seed."""
    single = all(len(values) == 1 for values in series.values())
    if single and any(values.index[0][0] == NO_SEED for values in series.values()):
        index = next(iter(series.values())).index
        return pd.DataFrame({label: values.to_numpy() for label, values in series.items()}, index=index)
    return pd.concat(series, axis=1, join="inner")


def _used(rows: pd.DataFrame, values: pd.Series, pairs: pd.DataFrame, cells: Sequence[str]) -> pd.DataFrame:
    """The runs of an arm that are in pairs."""
    if len(rows) == 1:
        return rows
    keys = [rows["seed"].astype(object), *(rows[name].astype(str) for name in cells)]
    return rows[pd.MultiIndex.from_arrays(keys).isin(pairs.index)]
