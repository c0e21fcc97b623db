"""What an answer consists of."""

from collections.abc import Mapping
from dataclasses import dataclass

from analysis.images.compared import OverImages
from analysis.statistics import Interval
from analysis.verdicts.power import SeedsNeeded

YES, NO, EQUIVALENT, UNDECIDED, REFUSED, OPEN = "yes", "no", "equivalent", "undecided", "refused", "open"


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """The answer to a question in one metric, for one arm, in one setting."""

    question: str
    """The name of the question."""
    text: str
    kind: str
    setting: str
    metric: str
    arm: str
    baseline: str
    answer: str
    reason: str = ""
    """Why it is not more than undecided, refused or open; or that a difference is too small to matter."""
    estimate: float | None = None
    """The effect in `unit`; a time or a speed is compared by arm over baseline less 1."""
    unit: str = ""
    """The unit of the estimate: that of the metric, or points for percentages that are subtracted."""
    interval: Interval | None = None
    """95 % interval of the estimate."""
    over_images: OverImages | None = None
    """What the estimate is over seeds and test images; None where it is no difference of two accuracies."""
    std: float | None = None
    """Standard deviation over seeds of the differences, for times of their logarithms (divisor n - 1)."""
    n: int = 0
    seeds: tuple[int, ...] = ()
    means: Mapping[str, float] | None = None
    equal: str = ""
    """The difference in the metric that has to be equal, for a question about time."""
    test: str = ""
    p: float | None = None
    p_corrected: float | None = None
    """Corrected by Holm over the `tests` of the family."""
    family: str = ""
    tests: int = 0
    p_sign_flip: float | None = None
    p_sign_flip_least: float | None = None
    """The smallest p-value that so few pairs can give."""
    p_equivalent: float | None = None
    """The p-value of two one-sided tests, corrected by Holm over the family."""
    matters: float = 0.0
    """The smallest effect that matters, in the unit of the estimate."""
    relative: bool = False
    """Whether the estimate is a fraction."""
    confounded: bool = False
    """Whether the arms differ in more of their configurations than the factor."""
    flags: tuple[str, ...] = ()
    """Sentences on what the arms differ in beyond the factor, and on a question that came after its results."""
    lost: tuple[str, ...] = ()
    """Runs of the arms that failed, diverged or are missing."""
    over: str = ""
    """The field that a trend is over."""
    note: str = ""
    isolated_by: str = ""
    """The command for runs that differ in the factor alone."""
    needed: SeedsNeeded | None = None
    """What would settle an undecided question."""
    runs: tuple[str, ...] = ()
    """Names of the runs that the numbers rest on."""
    out_of_reach: tuple[str, ...] = ()
    """The arms that were neither run nor planned, where the question cannot be answered for the lack of them: at most
    one of its arms was."""
