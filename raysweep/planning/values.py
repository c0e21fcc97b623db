"""Reads the values of flags from text. Each function raises ArgumentTypeError, with one line, for a wrong text."""

import math
from argparse import ArgumentTypeError
from collections.abc import Sequence

from raysweep.messages import PlanError

MOST_SEEDS = 100_000
MOST_WORKERS = 100_000
MOST_PORTS = 65_535
SMALLEST_SHARE = 0.01
"""The smallest part of a GPU that a worker can take, other than none."""
MOST_GPUS = 64
LONGEST = 60
"""Characters of a wrong value that a message shows."""


def seeds_of(text: str) -> tuple[int, ...]:
    """Read seeds, written as `0,1,2` or, for a range, `0-89`."""
    seeds: list[int] = []
    for part in text.split(","):
        first, to, last = part.partition("-")
        start, end = _whole(first), _whole(last if to else first)
        if start is None or end is None:
            raise ArgumentTypeError(f"{_shown(text)} is not a list of whole numbers such as 0,1,2 or 0-89")
        seeds += range(start, min(end, start + MOST_SEEDS) + 1)
        if len(seeds) > MOST_SEEDS:
            break
    if not seeds or max(seeds) >= 2**32 or len(set(seeds)) < len(seeds) or len(seeds) > MOST_SEEDS:
        raise ArgumentTypeError(f"{_shown(text)} holds a too large or repeated seed, none, or more than {MOST_SEEDS}")
    return tuple(seeds)


def workers_of(text: str) -> int:
    """Read a number of workers, which is at least 1."""
    workers = _whole(text)
    if not workers:
        raise ArgumentTypeError(f"{_shown(text)} is not a whole number of at least 1")
    if workers > MOST_WORKERS:
        raise ArgumentTypeError(f"{_shown(text)} is more than {MOST_WORKERS} workers")
    return workers


def port_of(text: str) -> int:
    """Read the number of a port; 0 is any free one."""
    port = _whole(text)
    if port is None or port > MOST_PORTS:
        raise ArgumentTypeError(f"{_shown(text)} is not a port, a whole number from 0 to {MOST_PORTS}")
    return port


def most_seeds_of(text: str) -> int:
    """Read the largest number of seeds, which is at least 1."""
    seeds = _whole(text)
    if not seeds or seeds > MOST_SEEDS:
        raise ArgumentTypeError(f"{_shown(text)} is not a whole number from 1 to {MOST_SEEDS}")
    return seeds


def accuracy_of(text: str) -> float:
    """Read an accuracy in percent, between 0 and 100 but neither of them."""
    percent = _number(text)
    if not 0 < percent < 100:
        raise ArgumentTypeError(f"{_shown(text)} is not an accuracy in percent, above 0 and below 100")
    return percent


def gpus_of(text: str) -> float:
    """Read how many GPUs a worker takes, which may be a fraction of one."""
    gpus = _number(text)
    if gpus and not SMALLEST_SHARE <= gpus <= MOST_GPUS:
        raise ArgumentTypeError(
            f"{_shown(text)} is not a number of GPUs: it is 0, or between {SMALLEST_SHARE} and {MOST_GPUS}"
        )
    return abs(gpus)


def budget_of(text: str) -> tuple[float, bool]:
    """Read a budget of hours, `12`, or GPU hours, `96gpu`. Returns the hours, and whether they are GPU hours."""
    number = text.removesuffix("gpu")
    hours = _number(number)
    if not 0 < hours < math.inf:
        raise ArgumentTypeError(f"{_shown(text)} is not a number of hours such as 12, or of GPU-hours such as 96gpu")
    return hours, number != text


def text_of(text: str, flag: str) -> str:
    """The text itself. Raises PlanError for one of blanks alone, which would name the current folder."""
    if not text.strip():
        raise PlanError(f"{flag} names nothing")
    return text


def words_of(items: Sequence[str], flag: str) -> tuple[str, ...]:
    """The words themselves. Raises PlanError for one of blanks alone."""
    return tuple(text_of(item, flag) for item in items)


def names_of(items: Sequence[str], flag: str) -> tuple[str, ...]:
    """`["A,C", "F"]` -> `("A", "C", "F")`. Raises PlanError if that names nothing."""
    names = tuple(name for item in items for name in item.split(",") if name.strip())
    if not names:
        raise PlanError(f"{flag} names nothing")
    return names


def fields_of(items: Sequence[str], flag: str) -> dict[str, str]:
    """`["epochs=3"]` -> `{"epochs": "3"}`. Raises PlanError for an item that is not field=value."""
    found = {}
    for item in items:
        name, equals, value = item.partition("=")
        if not (name and equals and value):
            raise PlanError(f"{flag} {item}: expected field=value")
        if name in found:
            raise PlanError(f"{flag} names {name} twice")
        found[name] = value
    return found


def _whole(text: str) -> int | None:
    """The whole number that a text of decimal digits holds, or None for another text.

    Of a number with more than 20 digits, which is too large for every flag, it is the one that the first 20 make.
    """
    return int(text.lstrip("0")[:20] or 0) if text.isascii() and text.isdigit() else None


def _number(text: str) -> float:
    """The number in a text, or -1, which no flag accepts, if it holds none."""
    try:
        return float(text)
    except ValueError:
        return -1.0


def _shown(text: str) -> str:
    """A wrong value as a message shows it."""
    return repr(text if len(text) <= LONGEST else f"{text[:LONGEST]}...")
