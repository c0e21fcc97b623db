"""The order in which people look for things: numbers in names by their size (s05 before s10), seeds last."""

import re

import pandas as pd

_DIGITS = re.compile(r"(\d+)")

Natural = tuple[tuple[int, int, str], ...]
"""What a text is sorted by."""


def natural(text: str) -> Natural:
    """The key by which `L4` comes before `L16`: parts of digits compare as numbers, the others as texts."""
    return tuple((0, int(part), "") if part.isdecimal() else (1, 0, part) for part in _DIGITS.split(text) if part)


def run_order(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows by experiment, numbers in names by their size, then by seed; runs without a seed come first."""
    if frame.empty:
        return frame
    seeds = pd.to_numeric(frame["seed"], errors="coerce").fillna(-1)
    keys = [(natural(str(name)), seed) for name, seed in zip(frame["experiment"], seeds, strict=True)]
    return frame.iloc[sorted(range(len(frame)), key=keys.__getitem__)]
