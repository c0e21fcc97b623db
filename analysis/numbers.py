"""How numbers are written, in tables and in sentences."""

import math
from typing import Any

import pandas as pd

Form = int | str | None
"""How a number is written: digits after the point; "g": as many as it has; "n": a count with commas; "M": in
millions or thousands; "s": a time; "p": a p-value; "%": a fraction as percent with its sign; "+": two digits with the
sign; None: a text."""


def written(value: Any, form: Form) -> str:
    """A value as a text; what is missing is an empty one."""
    if is_missing(value):
        return ""
    if form is None or isinstance(value, str):
        return "yes" if value is True else "no" if value is False else str(value)
    number = float(value)
    if not math.isfinite(number):
        return str(number)
    match form:
        case "g":
            return f"{number:g}"
        case "n":
            return f"{number:,.0f}"
        case "M":
            return f"{number / 1e6:.3g}M" if number >= 999_500 else f"{number / 1e3:.3g}K"
        case "s":
            return f"{number / 3600:.1f} h" if number >= 3600 else f"{number:.0f} s"
        case "p":
            return f"{number:.4f}" if number >= 0.0001 else "<0.0001"
        case "%":
            return f"{100 * number:+.1f} %"
        case "+":
            return f"{number:+.2f}"
    return f"{number:,.{form}f}"


def count(n: int, noun: str) -> str:
    """`1 seed`, `5 seeds`."""
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def is_missing(value: Any) -> bool:
    """Whether a value of a table stands for none."""
    return value is None or (not isinstance(value, str | list | tuple | dict) and bool(pd.isna(value)))


def with_unit(text: str, unit: str) -> str:
    """The text with a unit behind it, but for those that a reader of accuracies takes for granted."""
    return text if unit in ("", "%", "points") else f"{text} {unit}"


def size_told(size: float) -> str:
    """A train size: `10 %` of the training images for a fraction, `5000 images` for a number."""
    return f"{100 * size:g} %" if size <= 1 else f"{size:g} images"
