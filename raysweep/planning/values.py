"""The values of flags, read from text. Each function raises ArgumentTypeError, in a line, for what it cannot take."""

import math
from argparse import ArgumentTypeError
from collections.abc import Sequence

from raysweep.messages import PlanError

MOST_SEEDS = 100_000


def seeds_of(text: str) -> tuple[int, ...]:
    """The seeds of a list such as `0,1,2` or of a range such as `0-89`."""
    seeds: list[int] = []
    for part in text.split(","):
        first, to, last = part.partition("-")
        if not (first.isdigit() and (last.isdigit() or not to)):
            raise ArgumentTypeError(f"{text!r} is not a list of whole numbers such as 0,1,2 or 0-89")
        seeds += range(int(first), min(int(last or first), int(first) + MOST_SEEDS) + 1)
    if not seeds or max(seeds) >= 2**32 or len(set(seeds)) < len(seeds) or len(seeds) > MOST_SEEDS:
        raise ArgumentTypeError(f"{text!r} holds a too large or repeated seed, none, or more than {MOST_SEEDS}")
    return tuple(seeds)


def workers_of(text: str) -> int:
    """A whole number of at least 1."""
    if not text.isdigit() or int(text) < 1:
        raise ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(text)


def accuracy_of(text: str) -> float:
    """An accuracy in percent, neither 0 nor 100."""
    percent = _number(text)
    if not 0 < percent < 100:
        raise ArgumentTypeError(f"{text!r} is not an accuracy in percent, above 0 and below 100")
    return percent


def gpus_of(text: str) -> float:
    """How many GPUs a worker takes, or which part of one."""
    gpus = _number(text)
    if not 0 <= gpus <= 64:
        raise ArgumentTypeError(f"{text!r} is not a number of GPUs")
    return gpus


def budget_of(text: str) -> tuple[float, bool]:
    """Hours, and whether they are those of GPUs: `12`, `96gpu`."""
    number = text.removesuffix("gpu")
    hours = _number(number)
    if not 0 < hours < math.inf:
        raise ArgumentTypeError(f"{text!r} is not a number of hours such as 12, or of GPU-hours such as 96gpu")
    return hours, number != text


def names_of(items: Sequence[str], flag: str) -> tuple[str, ...]:
    """`["A,C", "F"]` -> `("A", "C", "F")`. Raises PlanError where that names nothing."""
    names = tuple(name for item in items for name in item.split(",") if name)
    if not names:
        raise PlanError(f"{flag} names nothing")
    return names


def fields_of(items: Sequence[str], flag: str) -> dict[str, str]:
    """`["epochs=3"]` -> `{"epochs": "3"}`. Raises PlanError for anything that is not field=value."""
    found = {}
    for item in items:
        name, equals, value = item.partition("=")
        if not (name and equals and value):
            raise PlanError(f"{flag} {item}: expected field=value")
        if name in found:
            raise PlanError(f"{flag} names {name} twice")
        found[name] = value
    return found


def _number(text: str) -> float:
    """The number; -1, which no flag takes, where it is none."""
    try:
        return float(text)
    except ValueError:
        return -1.0
