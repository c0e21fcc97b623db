"""One answer by itself, before the other tests of its family are known: p-values, and what is to be said with it."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from statistics import fmean
from typing import Any

from analysis import statistics
from analysis.comparability import Comparability
from analysis.comparison import Arm, Contrast, arms_of, contrasts, label_of, metric_of, rows_of
from analysis.results import Question, Setting
from analysis.statistics import ALPHA
from raysweep.experiment import is_of_arm


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
    values, margin, floor = draft.contrast.values, draft.margin, draft.contrast.floor
    if draft.kind == "equivalence":
        beyond = [statistics.one_sided_test([sign * value for value in values], margin, floor) for sign in (1, -1)]
        least = None if None in beyond else min(1.0, 2 * min(p for p in beyond if p is not None))
        return statistics.equivalence_test(values, margin, floor), least
    if draft.kind == "target":
        return statistics.t_test(values, draft.question["target"], floor), None
    p = statistics.t_test(values, floor=floor)
    if draft.kind == "time" and p is not None and is_better(draft):
        p = max(p, _p_of_equal(draft))
    return p, statistics.equivalence_test(values, margin, floor)


def _p_of_equal(draft: Draft) -> float:
    """p-value of the arm being no worse than the baseline, by more than `equal_within`, in the metric of `equal`."""
    accuracy = equal_contrast(draft)
    p = (
        statistics.one_sided_test(accuracy.values, -equal_within(draft.question), accuracy.floor)
        if accuracy.values
        else None
    )
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
    p = statistics.one_sided_test([-value for value in accuracy.values], within, accuracy.floor)
    if p is not None and p <= ALPHA / 2:
        return "no", f"not at the same accuracy, {question['equal']} {fmean(accuracy.values):+.2f}"
    p = statistics.one_sided_test(accuracy.values, -within, accuracy.floor)
    if is_better(draft) and (p is None or p > ALPHA):
        n = len(accuracy.values)
        return "undecided", f"n = {n}, that {question['equal']} is no lower by {within:g} is not shown"
    return None


def spoken_accuracy(draft: Draft) -> str:
    """`final_acc +0.02 [-0.05, +0.09]`: of a question about time, how far apart the metric is that has to be equal."""
    accuracy = equal_contrast(draft)
    values = accuracy.values
    if not values:
        return ""
    interval = statistics.mean_interval(values, floor=accuracy.floor)
    spread = " [{:+.2f}, {:+.2f}]".format(*interval) if interval else ""
    return f"{draft.question['equal']} {fmean(values):+.2f}{spread}"


def post_hoc(question: Question, setting: Setting) -> str:
    """Why a question does not count as asked beforehand; "" where it does.

    It does if it was written down before the first result of its arms on this data, and has not been changed since.
    """
    if "hash" not in question:
        return "post hoc: it was not written down beforehand"
    if question.get("altered"):
        return "post hoc: it is not as it was written down"
    written = str(question["written"])
    if setting.dataset in question.get("seen", ()):
        return f"post hoc: {'changed' if question.get('replaces') else 'written down'} when there were results already"
    for arm in arms_of(question):
        rows = rows_of(arm, setting.runs)
        if "imported" in rows and (rows["imported"].notna() & rows["finished"].isna()).any():
            return "post hoc: when imported results were made is not known"
        if "finished" in rows and any(_time(finished) < _time(written) for finished in rows["finished"].dropna()):
            return f"post hoc: written down on {written[:10]}, after results"
    return ""


def _time(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.astimezone()


def lost(draft: Draft) -> Iterable[str]:
    """`A: 1 diverged (seed 44), 2 missing (seeds 45, 46)`, for each arm of which runs have no result."""
    setting = draft.setting
    for arm in needed_arms(draft):
        done, ended = rows_of(arm, setting.runs), rows_of(arm, setting.ended)
        have = set(zip(done["experiment"], done["seed"], strict=True))
        lost_runs = list(zip(ended["experiment"], ended["seed"], ended["status"], strict=True))
        parts = []
        for status in dict.fromkeys(status for *_, status in lost_runs):
            seeds = [seed for name, seed, how in lost_runs if how == status and (name, seed) not in have]
            if seeds:
                parts.append(f"{len(seeds)} {status} ({_spoken_seeds(seeds)})")
        known = have | {(name, seed) for name, seed, _ in lost_runs}
        planned = [plan for plan in setting.planned if is_planned(arm, plan)]
        if missing := sorted(plan["seed"] for plan in planned if (plan["experiment"], plan["seed"]) not in known):
            parts.append(f"{len(missing)} missing ({_spoken_seeds(missing)})")
        without = done.index.difference(metric_of(done, draft.contrast.metric).index)
        if len(without) and len(without) < len(done):
            parts.append(f"{len(without)} without {draft.contrast.metric} ({_spoken_seeds(done.loc[without, 'seed'])})")
        if parts:
            yield f"{label_of(arm)}: {', '.join(parts)}"


def is_planned(arm: Arm, plan: Mapping[str, Any]) -> bool:
    """Whether a planned run belongs to an arm."""
    return is_of_arm(arm, plan["experiment"], plan.get("config") or {})


def _spoken_seeds(seeds: Iterable[Any]) -> str:
    named = list(dict.fromkeys(str(seed) for seed in seeds))
    return f"seed{'s' * (len(named) != 1)} {', '.join(named[:6])}{', ...' * (len(named) > 6)}"
