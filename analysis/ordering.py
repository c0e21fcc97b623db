"""The order of rows everywhere: by architecture, then by size, then by seed, numbers in names compared as numbers."""

import math
import re
from typing import Any

import pandas as pd

from analysis.numbers import is_missing

NUMBER = re.compile(r"([0-9]+(?:\.[0-9]+)?(?:e[-+][0-9]+)?)")
SIZE = re.compile(r"_[sn][0-9]+(?:\.[0-9]+)?$")
"""The end of a name that says the train size, in percent or as a number of images."""

Key = tuple[Any, ...]


def natural(text: str) -> Key:
    """A key by which `3b_cmod_L4_s05` comes before `_s10`, `L4` before `L8` before `L16`, and a name before longer ones
    that begin with it."""
    parts: list[tuple[int, float, str]] = []
    for i, part in enumerate(NUMBER.split(text)):
        if part:
            parts.append((0, float(part), "") if i % 2 else (1, 0.0, part.casefold()))
    return (*parts, (-1, 0.0, text))


def experiment_order(name: str, size: Any = None) -> Key:
    """A key of an experiment by its architecture, which is its name without the size, then by its train size."""
    return natural(SIZE.sub("", name)), _number(size), natural(name)


def run_order(frame: pd.DataFrame) -> pd.DataFrame:
    """The runs by data set, then as `experiment_order` has them, then by seed; runs without a seed come last."""
    if frame.empty:
        return frame
    size, seed, dataset = (frame[name] if name in frame else [None] * len(frame) for name in COLUMNS)
    keys = [
        (natural(str(data)), experiment_order(str(name), number), _number(own))
        for data, name, number, own in zip(dataset, frame["experiment"], size, seed, strict=True)
    ]
    return frame.iloc[sorted(range(len(frame)), key=keys.__getitem__)]


COLUMNS = ("train_size", "seed", "dataset")


def _number(value: Any) -> float:
    """A number of a table as one that can be compared; infinite where there is none."""
    known = not is_missing(value) and isinstance(value, int | float)
    return float(value) if known and not math.isnan(value) else math.inf
