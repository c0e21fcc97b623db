"""Answers to a sweep's questions: differences, interactions and targets, paired by seed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from analysis.statistics import runs_needed, t_interval


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """One arm against the baseline in one metric. Where `missing` names what has no result yet there are no numbers."""

    metric: str
    baseline: str
    arm: str
    baseline_mean: float | None = None
    arm_mean: float | None = None
    difference: float | None = None
    """Mean over seeds of arm minus baseline; of an interaction, of (both - one - other + baseline)."""
    std: float | None = None
    """Standard deviation of that difference over seeds (divisor n - 1); None for one seed."""
    interval: tuple[float, float] | None = None
    """95 % interval of the difference (Student); None for one seed."""
    n_seeds: int = 0
    missing: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Claim:
    """Whether the mean of an experiment reaches a target, in as many words as its interval allows."""

    experiment: str
    metric: str
    verdict: str
    """">= 94", "< 94", or how many runs would tell."""


def compare(question: Mapping[str, Any], results: pd.DataFrame) -> list[Comparison]:
    """Every arm and metric of a question about differences, or the one interaction that it asks about.

    `results` has one row for each run: experiment, seed, metrics.
    """
    if question.get("kind") == "interaction":
        one, other, both = question["arms"]
        terms = {question["baseline"]: 1, one: -1, other: -1, both: 1}
        return [_contrast(terms, both, metric, results, question) for metric in question["metrics"]]
    return [
        _contrast({question["baseline"]: -1, arm: 1}, arm, metric, results, question)
        for arm in question["arms"]
        for metric in question["metrics"]
    ]


def claims(question: Mapping[str, Any], results: pd.DataFrame) -> list[Claim]:
    """What can be said of the arms of a question about a target; nothing of those without a result.

    A claim is made where the 95 % interval of the mean (Student, two-sided) lies wholly on one side of the target.
    """
    found = []
    for arm in question["arms"]:
        for metric in question["metrics"]:
            values = _by_seed(results, arm, metric)
            if not values.empty:
                verdict = target_verdict(values.tolist(), question["target"])
                found.append(Claim(experiment=arm, metric=metric, verdict=verdict))
    return found


def target_verdict(values: Sequence[float], target: float) -> str:
    """ ">= target" or "< target" where the interval of the mean supports it, else how many runs it needs."""
    interval = t_interval(values)
    if interval is None:
        return "needs n >= 2"
    if interval[0] >= target:
        return f">= {target:g}"
    if interval[1] < target:
        return f"< {target:g}"
    needed = runs_needed(values, target)
    return f"needs n = {needed}" if needed else "too near to tell"


def _contrast(
    terms: Mapping[str, int], arm: str, metric: str, results: pd.DataFrame, question: Mapping[str, Any]
) -> Comparison:
    """The weighted sum of experiments over the seeds that all of them have."""
    names = {"metric": metric, "baseline": question["baseline"], "arm": arm}
    by_experiment = {name: _by_seed(results, name, metric) for name in terms}
    absent = [name for name, values in by_experiment.items() if values.empty]
    if absent:
        run = set(results["experiment"])
        what = f"no {metric} of" if set(absent) <= run else "no result of"
        return Comparison(**names, missing=f"{what} {' and '.join(absent)}")
    pairs = pd.concat(by_experiment, axis=1, join="inner")
    if pairs.empty:
        return Comparison(**names, missing="no seed in common")
    difference = (pairs * pd.Series(terms)).sum(axis=1)
    return Comparison(
        **names,
        baseline_mean=float(pairs[question["baseline"]].mean()),
        arm_mean=float(pairs[arm].mean()),
        difference=float(difference.mean()),
        std=float(difference.std(ddof=1)) if len(pairs) > 1 else None,
        interval=t_interval(difference.tolist()),
        n_seeds=len(pairs),
    )


def _by_seed(results: pd.DataFrame, experiment: str, metric: str) -> pd.Series:
    if metric not in results:
        return pd.Series(dtype=float)
    rows = results[results["experiment"] == experiment]
    return rows.drop_duplicates("seed", keep="last").set_index("seed")[metric].dropna().astype(float)
