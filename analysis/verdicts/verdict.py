"""What an answer consists of."""

from collections.abc import Mapping
from dataclasses import dataclass

from analysis.images.compared import OverImages
from analysis.pooling.pooled import PooledEffect
from analysis.statistics import Interval
from analysis.verdicts.power import SeedsNeeded
from analysis.verdicts.sensitivity import Sensitivity

YES, NO, EQUIVALENT, UNDECIDED, REFUSED, OPEN = "yes", "no", "equivalent", "undecided", "refused", "open"
AT_LEAST, LESS, SIZE_OPEN = "by at least what matters", "by less than what matters", "size open"


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
    """Why it is not more than undecided, refused or open."""
    size: str = ""
    """Of a difference that was shown, whether it was shown to be one that matters."""
    estimate: float | None = None
    """The effect in `unit`; a time or a speed is compared by arm over baseline less 1."""
    unit: str = ""
    """The unit of the estimate: that of the metric, or points for percentages that are subtracted."""
    interval: Interval | None = None
    """95 % interval of the estimate that holds at all looks together; None where so few values have none yet."""
    interval_corrected: Interval | None = None
    """The same at the `level` of Holm's method: of a difference it leaves out zero just where one is shown. None where
    so few values have none, and for answers that other intervals decide (equivalences, pooled ones)."""
    interval_fixed: Interval | None = None
    """Student's 95 % interval, for one look at this number of seeds."""
    over_images: OverImages | None = None
    """What the estimate is over seeds and test images; None where it is no difference of two accuracies."""
    std: float | None = None
    """Standard deviation over seeds of the differences, for times of their logarithms (divisor n - 1)."""
    effect_size: float | None = None
    """Mean over standard deviation of the differences over seeds (Cohen's d of pairs)."""
    superiority: float | None = None
    """The part of pairs in which the arm's value is the larger one, ties counted half."""
    n: int = 0
    seeds: tuple[int, ...] = ()
    means: Mapping[str, float] | None = None
    equal: str = ""
    """The difference in the metric that has to be equal, for a question about time."""
    test: str = ""
    p: float | None = None
    """p-value at any look, of the difference; of an equivalence, of two one-sided tests."""
    p_corrected: float | None = None
    """Corrected by Holm over the `tests` of the family; it decides."""
    p_fixed: float | None = None
    """p-value of the `test`, for one look at this number of seeds."""
    family: str = ""
    tests: int = 0
    level: float = 0.0
    """The level at which Holm's method tests the next member of the family."""
    p_sign_flip: float | None = None
    p_sign_flip_least: float | None = None
    """The smallest p-value that so few pairs can give."""
    p_equivalent: float | None = None
    """The p-value at any look of two one-sided tests, corrected by Holm over the family."""
    p_matters: float | None = None
    """That of the difference being one that matters."""
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
    sensitivity: Sensitivity | None = None
    """What other tests of the same values say, for a fixed n and uncorrected: they stand beside the answer."""
    pooled: PooledEffect | None = None
    """How much cells differ, for a question that is pooled over them."""
    over: str = ""
    """The field that a trend is over."""
    last_epochs: "Verdict | None" = None
    """Where the best epoch was picked on the test set, the answer for the mean over the last five, if it is another."""
    looks: str = ""
    """When it was looked at before, and what was said then; "" where this is the first time."""
    noted: tuple[str, ...] = ()
    """What people have noted on the runs."""
    left_out: tuple[str, ...] = ()
    """Runs of the arms that notes leave out, each with the reason and the day."""
    with_left_out: "Verdict | None" = None
    """Where runs are left out, the answer that they would take part in."""
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
