"""One answer by itself, before the other tests of its family are known: p-values, and what is to be said with it."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from statistics import fmean
from typing import Any

from analysis import anytime, statistics
from analysis.comparison.confounds import Confounding, confounding
from analysis.comparison.contrast import Contrast
from analysis.comparison.contrasts import contrasts
from analysis.comparison.runs import arms_of, label_of, metric_of, rows_of
from analysis.numbers import count
from analysis.reading.results import Setting
from analysis.statistics import ALPHA
from raysweep.experiment import Arm, Metric, Question, is_of_arm
from raysweep.ledger import WrittenQuestion


@dataclass(frozen=True, kw_only=True, slots=True)
class PValues:
    """p-values of what an answer may claim, which hold at any look; None for a claim that this one cannot make."""

    differs: float | None = None
    """That there is a difference, at equal accuracy where the arm is faster; of a target, one from the target."""
    matters: float | None = None
    """That the difference is larger than the smallest that matters."""
    equal: float | None = None
    """That it is smaller than that."""
    worse: float | None = None
    """Of times, that the arm is worse in the metric that has to be equal."""
    fixed: float | None = None
    """p-value of the main claim at this number of values, for one look."""


@dataclass(frozen=True, kw_only=True)
class UncorrectedTest:
    """What is known of an answer before the other tests of its family are."""

    asked: WrittenQuestion
    setting: Setting
    contrast: Contrast
    confounding: Confounding
    post_hoc: str
    """Why the question does not count as asked beforehand; "" where it does."""
    p: PValues = field(default_factory=PValues)

    @property
    def question(self) -> Question:
        """What is asked."""
        return self.asked.question

    @property
    def metric(self) -> Metric:
        """What is compared."""
        return self.setting.families.metric(self.contrast.metric)

    @property
    def margin(self) -> float:
        """The smallest effect that matters on the scale of the contrast."""
        matters = self.question.smallest_effect
        return math.log1p(matters) if self.question.kind == "time" else matters

    @property
    def family(self) -> str:
        """The name of the questions whose p-values are corrected together."""
        return self.question.family or "all questions"

    @property
    def is_better(self) -> bool:
        """Whether the estimate is on the side that the question, or the metric itself, calls better."""
        mean, lower = self.contrast.estimate, (self.question.better or self.metric.better) == "lower"
        if self.question.kind == "target":
            target = target_of(self.question)
            return mean <= target if lower else mean >= target
        return mean < 0 if lower else mean > 0

    @property
    def spoken_n(self) -> str:
        """`n = 5`, or how many cells a pooled answer rests on."""
        n = len(self.contrast.values)
        return count(n, "cell") if self.question.kind == "pooled" else f"n = {n}"

    def on_scale(self, value: float) -> float:
        """A value on the scale of the contrast, on that of the estimate."""
        return math.expm1(value) if self.question.kind == "time" else value


def uncorrected_tests(asked: WrittenQuestion, setting: Setting) -> list[UncorrectedTest]:
    """A test for every arm and metric of a question, whether there are results of it or not."""
    question = asked.question
    return [
        _test(asked, contrast, setting)
        for contrast in contrasts(question, setting)
        if question.kind != "target" or contrast.arm in setting.experiments
    ]


def _test(asked: WrittenQuestion, contrast: Contrast, setting: Setting) -> UncorrectedTest:
    test = UncorrectedTest(
        asked=asked,
        setting=setting,
        contrast=contrast,
        confounding=confounding(asked.question, contrast, setting) if contrast.rows else Confounding(),
        post_hoc=post_hoc(asked, setting) if contrast.rows else "",
    )
    if not contrast.values or test.confounding.refused:
        return test
    return replace(test, p=p_values(test))


def p_values(test: UncorrectedTest) -> PValues:
    """The p-values of all that the values of a test may claim."""
    values, margin, floor = test.contrast.values, test.margin, test.contrast.floor
    kind = test.question.kind
    if kind == "target":
        target = target_of(test.question)
        fixed = statistics.t_test(values, target, floor)
        return PValues(differs=anytime.two_sided(values, target, floor), fixed=fixed)
    matters, equal = anytime.beyond(values, margin, floor), anytime.equivalence(values, margin, floor)
    if kind == "pooled":
        return _of_cells(test, PValues(differs=anytime.two_sided(values, floor=floor), matters=matters, equal=equal))
    if kind == "equivalence":
        return PValues(matters=matters, equal=equal, fixed=statistics.equivalence_test(values, margin, floor))
    differs, fixed, worse = anytime.two_sided(values, floor=floor), statistics.t_test(values, floor=floor), None
    if kind == "time":
        accuracy = equal_contrast(test)
        gains, within = _gains(test, accuracy), test.question.equal_within
        worse = anytime.one_sided([-gain for gain in gains], within, accuracy.floor)
        if test.is_better:
            differs = _both(differs, anytime.one_sided(gains, -within, accuracy.floor))
            fixed = _both(fixed, statistics.one_sided_test(gains, -within, accuracy.floor))
            matters = _both(matters, differs)
    return PValues(differs=differs, matters=matters, equal=equal, worse=worse, fixed=fixed)


def _of_cells(test: UncorrectedTest, at_any_look: PValues) -> PValues:
    """The p-values of a pooled effect: at any look the cells are values like others, and both tests have to agree."""
    pooled = test.contrast.pooled
    if pooled is None:
        return PValues()
    fixed = pooled.estimate.p()
    return PValues(
        differs=_both(at_any_look.differs, fixed),
        matters=_both(at_any_look.matters, fixed),
        equal=_both(at_any_look.equal, pooled.estimate.p_within(test.margin)),
        fixed=fixed,
    )


def _both(p: float | None, other: float | None) -> float | None:
    """p-value of two claims together."""
    return p and max(p, 1.0 if other is None else other)


def target_of(question: Question) -> float:
    """What a question about a target asks for."""
    assert question.target is not None, "questions about targets have one"
    return question.target


def _gains(test: UncorrectedTest, equal: Contrast) -> list[float]:
    """How much better the arm is in the metric that has to be equal, pair by pair."""
    sign = -1 if test.setting.families.metric(equal.metric).better == "lower" else 1
    return [sign * value for value in equal.values]


def equal_contrast(test: UncorrectedTest) -> Contrast:
    """The difference in the metric that has to be equal, for the seeds of the times."""
    question = replace(test.question, kind="difference", metrics=(test.question.equal,))
    return next(c for c in contrasts(question, test.setting) if c.arm == test.contrast.arm)


def needed_arms(test: UncorrectedTest) -> list[Arm]:
    """The arms without which this contrast cannot be."""
    question = test.question
    if question.kind in ("trend", "interaction"):
        return arms_of(question)
    own = [arm for arm in question.arms if label_of(arm) == test.contrast.arm]
    return [arm for arm in (question.baseline, *own) if arm]


def unequal_accuracy(test: UncorrectedTest, p_worse: float | None) -> tuple[str, str] | None:
    """Why times cannot be compared: accuracies are not equal (then "no"), or are not known to be (then "undecided").

    `p_worse` is the p-value of the loss of accuracy after the correction for the other tests of its family.
    """
    equal, within = equal_contrast(test), test.question.equal_within
    if not equal.values:
        return "undecided", equal.missing
    metric = test.setting.families.metric(equal.metric)
    if p_worse is not None and p_worse <= ALPHA:
        spoken = "accuracy" if metric.resolution else metric.name
        return "no", f"not at the same {spoken}, {metric.name} {fmean(equal.values):+.2f}"
    p = anytime.one_sided(_gains(test, equal), -within, equal.floor)
    if test.is_better and (p is None or p > ALPHA):
        worse = "higher" if metric.better == "lower" else "lower"
        return "undecided", f"n = {len(equal.values)}, that {metric.name} is no {worse} by {within:g} is not shown"
    return None


def spoken_accuracy(test: UncorrectedTest) -> str:
    """`final_acc +0.02 [-0.05, +0.09]`: of a question about time, how far apart the metric is that has to be equal."""
    accuracy = equal_contrast(test)
    values = accuracy.values
    if not values:
        return ""
    interval = anytime.interval(values, floor=accuracy.floor)
    spread = " [{:+.2f}, {:+.2f}]".format(*interval) if interval else ""
    return f"{test.question.equal} {fmean(values):+.2f}{spread}"


def post_hoc(asked: WrittenQuestion, setting: Setting) -> str:
    """Why a question does not count as asked beforehand; "" where it does.

    It does if it was written down before the first result of its arms on this data, and has not been changed since.
    """
    if not asked.hash:
        return "post hoc: it was not written down beforehand"
    if asked.altered:
        return "post hoc: it is not as it was written down"
    if setting.dataset in asked.seen:
        return f"post hoc: {'changed' if asked.replaces else 'written down'} when there were results already"
    for arm in arms_of(asked.question):
        rows = rows_of(arm, setting.runs)
        if "imported" in rows and (rows["imported"].notna() & rows["finished"].isna()).any():
            return "post hoc: when imported results were made is not known"
        if "finished" in rows and any(_time(end) < _time(asked.written) for end in rows["finished"].dropna()):
            return f"post hoc: written down on {asked.written[:10]}, after results"
    return ""


def _time(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.astimezone()


def lost(test: UncorrectedTest) -> Iterable[str]:
    """`A: 1 diverged (seed 44), 2 missing (seeds 45, 46)`, for each arm of which runs have no result."""
    setting = test.setting
    for arm in needed_arms(test):
        done, ended = rows_of(arm, setting.runs), rows_of(arm, setting.ended)
        have = set(zip(done["experiment"], done["seed"], strict=True))
        lost_runs = list(zip(ended["experiment"], ended["seed"], ended["status"], strict=True))
        parts = []
        for status in dict.fromkeys(status for *_, status in lost_runs):
            seeds = [seed for name, seed, how in lost_runs if how == status and (name, seed) not in have]
            if seeds:
                parts.append(f"{len(seeds)} {status} ({_spoken_seeds(seeds)})")
        out = rows_of(arm, setting.excluded)
        known = (
            have | {(name, seed) for name, seed, _ in lost_runs} | {*zip(out["experiment"], out["seed"], strict=True)}
        )
        planned = [plan for plan in setting.planned if _is_planned(arm, plan)]
        if missing := sorted(plan["seed"] for plan in planned if (plan["experiment"], plan["seed"]) not in known):
            parts.append(f"{len(missing)} missing ({_spoken_seeds(missing)})")
        without = done.index.difference(metric_of(done, test.contrast.metric).index)
        if len(without) and len(without) < len(done):
            parts.append(f"{len(without)} without {test.contrast.metric} ({_spoken_seeds(done.loc[without, 'seed'])})")
        if parts:
            yield f"{label_of(arm)}: {', '.join(parts)}"


def is_there(arm: Arm, setting: Setting) -> bool:
    """Whether runs of an arm were made or planned; those that a note leaves out were made, too."""
    if isinstance(arm, str):
        return arm in setting.experiments
    return any(len(rows_of(arm, rows)) for rows in (setting.runs, setting.excluded)) or any(
        _is_planned(arm, plan) for plan in setting.planned
    )


def _is_planned(arm: Arm, plan: Mapping[str, Any]) -> bool:
    return is_of_arm(arm, plan["experiment"], plan.get("config") or {})


def _spoken_seeds(seeds: Iterable[Any]) -> str:
    named = list(dict.fromkeys(str(seed) for seed in seeds))
    return f"seed{'s' * (len(named) != 1)} {', '.join(named[:6])}{', ...' * (len(named) > 6)}"
