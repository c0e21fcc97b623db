"""The runs of an arm, their values of a metric, and the fields in which runs differ."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from analysis.reading.results import Setting
from raysweep.experiment import Arm, Question


def label_of(arm: Arm) -> str:
    """How tables call an arm."""
    return arm if isinstance(arm, str) else arm.label


def arms_of(question: Question) -> list[Arm]:
    """All arms, the baseline first."""
    return [arm for arm in (question.baseline, *question.arms) if arm]


def rows_of(arm: Arm, runs: pd.DataFrame) -> pd.DataFrame:
    """The runs of an arm."""
    if isinstance(arm, str):
        return runs[runs["experiment"] == arm]
    chosen = pd.Series(True, index=runs.index)
    for name, value in arm.fields.items():
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
