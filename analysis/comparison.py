"""Answers to a sweep's questions: differences between arms and their baseline, paired by seed."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """One arm against the baseline in one metric. Where `missing` names what has no result yet there are no numbers."""

    question: str
    metric: str
    baseline: str
    arm: str
    baseline_mean: float | None = None
    arm_mean: float | None = None
    difference: float | None = None
    """Mean over seeds of arm minus baseline."""
    std: float | None = None
    """Standard deviation of that difference over seeds (divisor n - 1); None for one seed."""
    n_seeds: int = 0
    missing: str | None = None


def compare(question: Mapping[str, Any], results: pd.DataFrame) -> list[Comparison]:
    """Every arm and metric of a question. `results` has one row for each run: experiment, seed, metrics."""
    comparisons = []
    for arm in question["arms"]:
        for metric in question["metrics"]:
            names = {
                "question": question["text"],
                "metric": metric,
                "baseline": question["baseline"],
                "arm": arm,
            }
            base, other = (_by_seed(results, name, metric) for name in (question["baseline"], arm))
            pairs = pd.concat([base, other], axis=1, join="inner", keys=["base", "arm"])
            absent = [name for name, values in ((question["baseline"], base), (arm, other)) if values.empty]
            if absent:
                run = set(results["experiment"])
                what = f"no {metric} of" if set(absent) <= run else "no result of"
                comparisons.append(Comparison(**names, missing=f"{what} {' and '.join(absent)}"))
            elif pairs.empty:
                comparisons.append(Comparison(**names, missing="no seed in common"))
            else:
                difference = pairs["arm"] - pairs["base"]
                comparisons.append(
                    Comparison(
                        **names,
                        baseline_mean=float(pairs["base"].mean()),
                        arm_mean=float(pairs["arm"].mean()),
                        difference=float(difference.mean()),
                        std=float(difference.std(ddof=1)) if len(pairs) > 1 else None,
                        n_seeds=len(pairs),
                    )
                )
    return comparisons


def _by_seed(results: pd.DataFrame, experiment: str, metric: str) -> pd.Series:
    if metric not in results:
        return pd.Series(dtype=float)
    rows = results[results["experiment"] == experiment]
    return rows.drop_duplicates("seed", keep="last").set_index("seed")[metric].dropna().astype(float)
