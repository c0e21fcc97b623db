"""The answers themselves, from p-values that are corrected within each family of questions.

They hold at any look (see `analysis.anytime`). Three claims can be made of a difference, and each is corrected by Holm
over its family: that there is one ("yes" where the arm is better, "no" where it is worse), that it is larger than the
smallest that matters, and that it is smaller ("equivalent"). In at most 5 % of families is one of the first kind wrong
anywhere, however often somebody looks; the same holds of the second, and of the third.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from analysis import statistics
from analysis.statistics import ALPHA
from analysis.verdicts.uncorrected import PValues, UncorrectedTest, is_there, needed_arms, unequal_accuracy
from analysis.verdicts.verdict import AT_LEAST, EQUIVALENT, LESS, NO, OPEN, REFUSED, SIZE_OPEN, UNDECIDED, YES


@dataclass(frozen=True, slots=True)
class Decision:
    """What the tests of a family say about one of its members."""

    answer: str
    reason: str
    size: str
    """Whether a difference that was shown is one that matters."""
    p: PValues
    """The p-values, corrected."""
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
        counted = {i: tests[i] for i in members if not tests[i].confounding.refused and _can_be_answered(tests[i])}
        families_of_claims = [_corrected(claims, counted) for claims in TOGETHER]
        corrected = {claim: family for family in families_of_claims for claim in family.claims}
        for i in members:
            p = PValues(**{claim: family.p.get((i, claim)) for claim, family in corrected.items()})
            own = corrected["equal" if tests[i].question.kind == "equivalence" else "differs"]
            decisions[i] = Decision(*_answer(tests[i], p), p, own.tests, own.level)
    return [decisions[i] for i in range(len(tests))]


CLAIMS = {
    "differs": ("difference", "trend", "interaction", "time", "pooled", "target"),
    "worse": ("time",),
    "matters": ("difference", "trend", "interaction", "time", "pooled", "equivalence"),
    "equal": ("difference", "trend", "interaction", "time", "pooled", "equivalence"),
}
"""The kinds of questions whose answers may make a claim (see `PValues`)."""

TOGETHER = (("differs", "worse"), ("matters",), ("equal",))
"""Claims that are corrected together: a "no" about times is one of the first two."""


@dataclass(frozen=True, slots=True)
class _Corrected:
    claims: Sequence[str]
    p: Mapping[tuple[int, str], float]
    """By test and claim."""
    tests: int
    level: float


def _corrected(claims: Sequence[str], counted: Mapping[int, UncorrectedTest]) -> _Corrected:
    """The p-values of claims after Holm's correction over all of them."""
    family = {
        (i, claim): getattr(test.p, claim)
        for claim in claims
        for i, test in counted.items()
        if test.question.kind in CLAIMS[claim]
    }
    known = {key: p for key, p in family.items() if p is not None}
    corrected = dict(zip(known, statistics.holm(list(known.values()), len(family)), strict=True))
    shown = sum(p <= ALPHA for p in corrected.values())
    return _Corrected(claims, corrected, len(family), ALPHA / max(1, len(family) - shown))


def _can_be_answered(test: UncorrectedTest) -> bool:
    """Whether all arms were run or planned, so that the test is one of those that this sweep makes."""
    return all(is_there(arm, test.setting) for arm in needed_arms(test))


def _answer(test: UncorrectedTest, p: PValues) -> tuple[str, str, str]:
    """The answer, why it is no more than that, and whether the difference matters."""
    if test.contrast.missing:
        return OPEN, test.contrast.missing, ""
    if test.confounding.refused:
        return REFUSED, test.confounding.refused, ""
    if len(test.contrast.values) < 2:
        return UNDECIDED, test.spoken_n, ""
    if test.question.kind == "equivalence":
        answer = EQUIVALENT if _shown(p.equal) else NO if _shown(p.matters) else UNDECIDED
        return answer, test.spoken_n if answer == UNDECIDED else "", ""
    if test.question.kind == "time" and (unequal := unequal_accuracy(test, p.worse)):
        return *unequal, ""
    if _shown(p.differs):
        size = AT_LEAST if _shown(p.matters) else LESS if _shown(p.equal) else SIZE_OPEN
        return YES if test.is_better else NO, "", "" if test.question.kind == "target" else size
    if _shown(p.equal):
        return EQUIVALENT, "", ""
    return UNDECIDED, test.spoken_n, ""


def _shown(p: float | None) -> bool:
    return p is not None and p <= ALPHA
