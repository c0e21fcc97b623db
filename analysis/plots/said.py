"""What titles and axes say of the runs that a plot shows."""

from collections.abc import Sequence

import pandas as pd

from analysis.reading.results import Setting

BAND = "band: 95 % interval of the mean over seeds"


def runs_told(setting: Setting, runs: pd.DataFrame, band: str = "") -> str:
    """`cifar10, imported; n = 5 seeds; band: 95 % interval of the mean over seeds`; of single runs without the band."""
    several = len(runs) and runs.groupby("experiment").size().max() > 1
    return "; ".join(filter(None, [setting.title, n_told(runs), band if several else ""]))


def n_told(runs: pd.DataFrame) -> str:
    """How many seeds each experiment has: `n = 5 seeds`, `n = 1 to 5 seeds`, `n = 1 run, without a seed`."""
    counts = runs.groupby("experiment").size() if len(runs) else pd.Series(dtype=int)
    if counts.empty:
        return ""
    fewest, most = int(counts.min()), int(counts.max())
    n = f"{fewest}" if fewest == most else f"{fewest} to {most}"
    if runs["seed"].isna().all():
        return f"n = {n} run{'s' * (most != 1)}, without a seed"
    return f"n = {n} seed{'s' * (most != 1)}"


def accuracy_told(runs: pd.DataFrame) -> str:
    """On which images accuracies were measured: `test accuracy`, or where some were held out `validation accuracy`."""
    if "validation" in runs and runs["validation"].notna().any():
        held_out = set(runs["validation"].dropna().astype(str) != "test set")
    elif "val_split" in runs:
        held_out = set(pd.to_numeric(runs["val_split"], errors="coerce").fillna(0.0) > 0)
    else:
        held_out = {False}
    if len(held_out) > 1:
        return "test or validation accuracy"
    return "validation accuracy" if held_out == {True} else "test accuracy"


def named_once(names: Sequence[str]) -> str:
    """Names of one and the same line: `A = B`."""
    return " = ".join(dict.fromkeys(names))
