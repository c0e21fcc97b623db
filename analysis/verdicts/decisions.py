"""The answers themselves, from p-values that are corrected within each family of questions.

A difference is decided by Student's paired t-test, corrected over the family by Holm: "yes" where the arm is better,
"no" where it is worse; failing both, two one-sided tests may show that it is within the smallest effect that matters.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from analysis import statistics
from analysis.numbers import with_unit
from analysis.statistics import ALPHA
from analysis.verdicts.uncorrected import UncorrectedTest, is_there, loss_of_accuracy, needed_arms
from analysis.verdicts.verdict import EQUIVALENT, NO, OPEN, REFUSED, UNDECIDED, YES


@dataclass(frozen=True, slots=True)
class Decision:
    """What the tests of a family say about one of its members."""

    answer: str
    reason: str
    p: float | None
    """The corrected p-value of the claim."""
    p_other: float | None
    """That of its opposite."""
    tests: int
    level: float
    """The level at which Holm's method tests the next member."""


def decide(tests: Sequence[UncorrectedTest]) -> list[Decision]:
    """The answers, from p-values that are corrected within each family.

    A family's tests are those whose arms were all run or planned; what is refused is none.
    """
    families: dict[str, list[int]] = {}
    for index, test in enumerate(tests):
        families.setdefault(test.family, []).append(index)
    decisions: dict[int, Decision] = {}
    for members in families.values():
        counted = [i for i in members if not tests[i].confounding.refused and _can_be_answered(tests[i])]
        p = _corrected({i: tests[i].p for i in counted})
        p_other = _corrected({i: tests[i].p_other for i in counted})
        shown = sum(value <= ALPHA for value in p.values())
        level = ALPHA / max(1, len(counted) - shown)
        for i in members:
            answer, reason = _answer(tests[i], p.get(i), p_other.get(i))
            decisions[i] = Decision(answer, reason, p.get(i), p_other.get(i), len(counted), level)
    return [decisions[i] for i in range(len(tests))]


def _corrected(p_values: Mapping[int, float | None]) -> dict[int, float]:
    known = {i: p for i, p in p_values.items() if p is not None}
    return dict(zip(known, statistics.holm(list(known.values()), len(p_values)), strict=True))


def _can_be_answered(test: UncorrectedTest) -> bool:
    """Whether all arms were run or planned, so that the test is one of those that this sweep makes."""
    return all(is_there(arm, test.setting) for arm in needed_arms(test))


def _answer(test: UncorrectedTest, p: float | None, p_other: float | None) -> tuple[str, str]:
    """The answer, and why it is no more than that."""
    if test.contrast.missing:
        return OPEN, test.contrast.missing
    if test.confounding.refused:
        return REFUSED, test.confounding.refused
    if len(test.contrast.values) < 2:
        return UNDECIDED, test.spoken_n
    claimed, otherwise = p is not None and p <= ALPHA, p_other is not None and p_other <= ALPHA
    if test.question.kind == "equivalence":
        return (EQUIVALENT, "") if claimed else (NO, "") if otherwise else (UNDECIDED, test.spoken_n)
    if test.question.kind == "time" and (worse := loss_of_accuracy(test)):
        return worse
    if claimed:
        too_small = f"smaller than what matters, {_spoken_margin(test)}" if otherwise else ""
        return (YES if test.is_better else NO), too_small
    if otherwise:
        return EQUIVALENT, ""
    return UNDECIDED, test.spoken_n


def _spoken_margin(test: UncorrectedTest) -> str:
    matters = test.question.smallest_effect
    return f"{matters:.0%}" if test.question.kind == "time" else with_unit(f"{matters:g}", test.metric.unit)
