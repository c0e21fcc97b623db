"""What a sweep that goes on until its questions are answered asks, and what it is told to run next.

The sweep describes its `Situation`; `analysis.seeding` looks at the results and returns an `Allocation`.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from raysweep.experiment.questions import Question


@dataclass(frozen=True, kw_only=True, slots=True)
class Cost:
    """What one run of an experiment costs."""

    operations: float
    """Floating-point operations, or any other positive measure that all experiments share. Choices follow from it and
    not from measured times, so that a sweep that was stopped chooses as one that was not."""
    slots: float = 1.0
    """How many slots (GPUs, or CPUs where there are none) a run holds; where several follow each other in one trial,
    its part of them."""
    seconds: tuple[float, float, float] | None = None
    """Slots times seconds of one run, as they are forecast, between a lower and an upper bound: (low, expected, high).
    None where that is not known."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Candidate:
    """An experiment of which runs can be chosen."""

    name: str
    config: Mapping[str, Any]
    cost: Cost
    runs: Mapping[int, str]
    """The name of its run with each seed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Situation:
    """What a sweep can run, and what of it is there."""

    location: str
    """The folder or URL of the results."""
    dataset: str
    questions: Sequence[Question]
    candidates: Sequence[Candidate]
    """In the order of the plan: by priority, then as they are declared."""
    seeds: Sequence[int]
    """In the order in which they are taken."""
    done: frozenset[tuple[str, int]]
    """The experiments and seeds of finished runs."""
    lost: frozenset[tuple[str, int]]
    """Those of runs that have failed or diverged, and are not tried again."""
    most_seeds: int
    """An experiment gets at most so many seeds, with those that were lost."""
    slots: float
    """How many slots can be held at once; a round fills them."""
    budget: float = math.inf
    """Slots times seconds that are left."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Chosen:
    """A run to do next."""

    experiment: str
    seed: int
    why: str
    """For which question, in a few words."""


Outcome = Literal["answered", "undecided", "out of reach"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Prospect:
    """How far an answer is, and what is to be expected of it."""

    question: str
    """The name of the question, with its metric and arm where it has several."""
    outcome: Outcome
    """Out of reach are answers that cannot be given within the seeds and the budget that are left."""
    answer: str
    """The verdict so far."""
    n: int
    """The pairs (for a target, the runs) that it rests on."""
    why: str = ""
    """Why it is out of reach."""
    pairs: tuple[float, float, float] | None = None
    """How many more it takes until it is answered, by the variance seen: the expected number (the median) between the
    5 % and 95 % quantiles, (low, expected, high); infinite beyond the most seeds. None where no variance is known."""
    most_pairs: int = 0
    """How many more there can be."""
    seconds: tuple[float, float, float] | None = None
    """Slots times seconds of one more pair: (low, expected, high). None where that is not known."""
    experiments: tuple[str, ...] = ()
    """The experiments that a pair consists of, in the order of the plan."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Allocation:
    """What to run next, nothing where all is answered or out of reach, and the prospects of all answers."""

    chosen: tuple[Chosen, ...]
    prospects: tuple[Prospect, ...]
