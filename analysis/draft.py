"""The tests of one answer by itself, before those of its family are known."""

import math
from dataclasses import dataclass
from statistics import fmean

from analysis import statistics
from analysis.comparability import Comparability
from analysis.comparison import Arm, Contrast, arms_of, contrasts, label_of
from analysis.results import Question, Setting
from analysis.statistics import ALPHA


@dataclass(frozen=True, kw_only=True)
class Draft:
    """What is known of an answer before the other tests of its family are."""

    question: Question
    setting: Setting
    contrast: Contrast
    comparable: Comparability
    post_hoc: str
    p: float | None = None
    """Of the claim: that there is a difference, or, of an equivalence, that there is none that matters."""
    p_other: float | None = None
    """Of the opposite claim."""

    @property
    def kind(self) -> str:
        return str(self.question.get("kind", "difference"))

    @property
    def margin(self) -> float:
        """The smallest effect that matters on the scale of the contrast."""
        matters = float(self.question.get("smallest_effect", 0.5))
        return math.log1p(matters) if self.kind == "time" else matters

    @property
    def family(self) -> str:
        return str(self.question.get("family") or "all questions")


def p_values(draft: Draft) -> tuple[float | None, float | None]:
    """Of the claim and of its opposite."""
    values, margin = draft.contrast.values, draft.margin
    if draft.kind == "equivalence":
        beyond = [statistics.one_sided_test([sign * value for value in values], margin) for sign in (1, -1)]
        least = None if None in beyond else min(1.0, 2 * min(p for p in beyond if p is not None))
        return statistics.equivalence_test(values, margin), least
    if draft.kind == "target":
        return statistics.t_test(values, draft.question["target"]), None
    p = statistics.t_test(values)
    if draft.kind == "time" and p is not None and is_better(draft):
        p = max(p, _p_of_equal(draft))
    return p, statistics.equivalence_test(values, margin)


def _p_of_equal(draft: Draft) -> float:
    """p-value of the arm being no worse than the baseline, by more than `equal_within`, in the metric of `equal`."""
    accuracy = equal_contrast(draft)
    p = statistics.one_sided_test(accuracy.values, -equal_within(draft.question)) if accuracy.values else None
    return 1.0 if p is None else p


def equal_within(question: Question) -> float:
    return float(question.get("equal_within", 0.5))


def equal_contrast(draft: Draft) -> Contrast:
    """The difference in the metric that has to be equal, for the seeds of the times."""
    question = {**draft.question, "kind": "difference", "metrics": [draft.question["equal"]]}
    return next(c for c in contrasts(question, draft.setting) if c.arm == draft.contrast.arm)


def is_better(draft: Draft) -> bool:
    """Whether the estimate is on the side that the question calls better."""
    mean = fmean(draft.contrast.values)
    if draft.kind == "target":
        return bool(mean >= draft.question["target"])
    return mean > 0 if draft.question.get("better", "higher") == "higher" else mean < 0


def needed_arms(draft: Draft) -> list[Arm]:
    """The arms without which this contrast cannot be."""
    question = draft.question
    if draft.kind in ("trend", "interaction"):
        return arms_of(question)
    own = [arm for arm in question["arms"] if label_of(arm) == draft.contrast.arm]
    return [arm for arm in (question.get("baseline"), *own) if arm]


def loss_of_accuracy(draft: Draft) -> tuple[str, str] | None:
    """Why times cannot be compared: accuracies are not equal (then "no"), or are not known to be (then "undecided")."""
    question, accuracy = draft.question, equal_contrast(draft)
    within = equal_within(question)
    if not accuracy.values:
        return "undecided", accuracy.missing
    spoken = f"{question['equal']} {fmean(accuracy.values):+.2f}"
    if interval := statistics.mean_interval(accuracy.values):
        spoken += " [{:+.2f}, {:+.2f}]".format(*interval)
    p = statistics.one_sided_test([-value for value in accuracy.values], within)
    if p is not None and p <= ALPHA / 2:
        return "no", f"not at the same accuracy: {spoken}"
    p = statistics.one_sided_test(accuracy.values, -within)
    if is_better(draft) and (p is None or p > ALPHA):
        return (
            "undecided",
            f"n = {len(accuracy.values)}; that {question['equal']} is no lower by {within:g} is not shown: {spoken}",
        )
    return None
