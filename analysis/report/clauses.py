"""What is said of several answers alike is said once: clauses that differ in names of arms and numbers alone."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from analysis.verdicts.verdict import Verdict

NUMBER = re.compile(r"(?<![\w.])[+-]?\d[\d,]*(?:\.\d+)?(?![\w])")

FEWEST = 3
"""Answers from which on a clause is shared."""


@dataclass(frozen=True, slots=True)
class Clause:
    """A sentence about an answer, and what is left of it without its names and numbers."""

    text: str
    form: str
    numbers: tuple[str, ...]


def clause(text: str, v: Verdict) -> Clause:
    """Takes a sentence apart."""
    form = text
    for name, word in sorted(((v.arm, "the arm"), (v.baseline, "the baseline")), key=lambda pair: -len(pair[0])):
        if name:
            form = re.sub(rf"(?<![\w.]){re.escape(name)}(?![\w=])", word, form)
    numbers = tuple(NUMBER.findall(form))
    return Clause(text=text, form=NUMBER.sub("#", form), numbers=numbers)


def shared(clauses: Sequence[Sequence[Clause]]) -> dict[str, str]:
    """The forms that all answers of a group have, each with the sentence that is said once, ranges in place of its
    numbers; none in groups of few. `clauses` has those of each answer."""
    if len(clauses) < FEWEST:
        return {}
    counted = Counter(form for said in clauses for form in {c.form for c in said})
    return {
        form: _summary(form, [c.numbers for said in clauses for c in said if c.form == form])
        for form, n in counted.items()
        if n == len(clauses)
    }


def _summary(form: str, numbers: Sequence[tuple[str, ...]]) -> str:
    """The form with each number, or from where to where it goes."""
    parts = form.split("#")
    if not numbers or len(parts) != len(numbers[0]) + 1:
        return form
    told = [_range(column) for column in zip(*numbers, strict=True)]
    return "".join(part + number for part, number in zip(parts, [*told, ""], strict=True))


def _range(column: Sequence[str]) -> str:
    ordered = sorted(set(column), key=lambda number: float(number.replace(",", "")))
    return ordered[0] if len(ordered) == 1 else f"{ordered[0]} to {ordered[-1]}"
