"""What stands beside an answer to show how far it depends on its test: other tests of the same values.

They are for a fixed number of seeds, and not corrected over the family: none of them decides.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from analysis.pooling.estimate import Estimate, correlation, unpaired
from analysis.pooling.moderated import moderated_estimates
from analysis.statistics import Interval
from analysis.verdicts.uncorrected import UncorrectedTest, target_of


@dataclass(frozen=True, kw_only=True, slots=True)
class OtherTest:
    """A test of the answer's claim by other means than its own."""

    p: float
    interval: Interval
    """95 % interval on the scale of the estimate."""
    degrees: float
    """Degrees of freedom."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Moderated(OtherTest):
    """The moderated t-test (see `analysis.pooling.moderated`), with the prior that it draws variances towards."""

    d0: float
    s0: float
    """In the unit of the values; of times, of their logarithms."""
    cells: int
    """How many comparisons the prior was estimated from."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Sensitivity:
    """What other tests of the same values say; each None where there is none."""

    moderated: Moderated | None = None
    unpaired: OtherTest | None = None
    """Welch's test of the two arms, as if runs with the same seed had nothing in common."""
    correlation: tuple[float, Interval] | None = None
    """That of the two arms over seeds, with its 95 % interval; from eight pairs on."""


def sensitivities(tests: Sequence[UncorrectedTest]) -> list[Sensitivity]:
    """What stands beside each of the answers of one or more families."""
    moderated = _moderated(tests)
    return [
        Sensitivity(moderated=moderated.get(i), unpaired=_unpaired(test), correlation=_correlation(test))
        for i, test in enumerate(tests)
    ]


def _moderated(tests: Sequence[UncorrectedTest]) -> dict[int, Moderated]:
    """Of the tests of a family whose values have one scale: the same setting and metric, and the same kind of contrast.

    A difference and an equivalence of the same runs are one cell.
    """
    groups: dict[tuple[str, ...], list[int]] = {}
    for i, test in enumerate(tests):
        if len(test.contrast.values) > 1 and not test.confounding.refused and test.question.kind != "pooled":
            scale = "difference" if test.question.kind == "equivalence" else test.question.kind
            over = test.question.over if scale == "trend" else ""
            group = (test.family, test.setting.title, test.contrast.metric, scale, over)
            groups.setdefault(group, []).append(i)
    found = {}
    for members in groups.values():
        cells = {tests[i].contrast.values: tests[i].contrast.floor for i in members}
        known = moderated_estimates(list(cells), list(cells.values()))
        if known:
            prior, by_values = known[0], dict(zip(cells, known[1], strict=True))
            for i in members:
                estimate = by_values[tests[i].contrast.values]
                found[i] = Moderated(
                    p=_p(tests[i], estimate),
                    interval=_interval(tests[i], estimate),
                    degrees=estimate.degrees,
                    d0=prior.degrees,
                    s0=prior.variance**0.5,
                    cells=prior.cells,
                )
    return found


def _unpaired(test: UncorrectedTest) -> OtherTest | None:
    sides = _sides(test)
    if sides is None:
        return None
    estimate = unpaired(*sides, floor=test.contrast.floor / 2**0.5)  # which is that of a difference of two
    if estimate is None:
        return None
    return OtherTest(p=_p(test, estimate), interval=_interval(test, estimate), degrees=estimate.degrees)


def _correlation(test: UncorrectedTest) -> tuple[float, Interval] | None:
    sides = _sides(test)
    return correlation(*sides) if sides else None


def _sides(test: UncorrectedTest) -> tuple[Sequence[float], Sequence[float]] | None:
    """The values of arm and baseline by seed; None where no two arms are compared."""
    sides, contrast = test.contrast.sides, test.contrast
    if len(sides) != 2 or not {contrast.arm, contrast.baseline} <= set(sides) or test.confounding.refused:
        return None
    return sides[contrast.arm], sides[contrast.baseline]


def _p(test: UncorrectedTest, estimate: Estimate) -> float:
    """The p-value of the answer's claim, of times without that of being equal in another metric."""
    if test.question.kind == "equivalence":
        return estimate.p_within(test.margin)
    return estimate.p(target_of(test.question) if test.question.kind == "target" else 0.0)


def _interval(test: UncorrectedTest, estimate: Estimate) -> Interval:
    low, high = estimate.interval()
    return test.on_scale(low), test.on_scale(high)
