"""The answers: yes, no, equivalent or undecided, with what each rests on.

Of a difference, Student's paired t-test decides, corrected over the family by Holm: "yes" where the arm is better, "no"
where it is worse; failing both, two one-sided tests may show that it is within the smallest effect that matters. The
exact sign-flip test stands beside it. What is undecided says how many more seeds would settle it and what they cost.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean, stdev
from typing import Any

import pandas as pd

from analysis import statistics
from analysis.comparability import Comparability, comparability
from analysis.comparison import arms_of, contrasts, rows_of
from analysis.draft import (
    Draft,
    is_better,
    is_planned,
    loss_of_accuracy,
    lost,
    needed_arms,
    p_values,
    post_hoc,
    spoken_accuracy,
)
from analysis.further import More, isolating_command, more_seeds
from analysis.results import Question, Results, Setting
from analysis.scattering import implied_questions
from analysis.statistics import ALPHA, Interval

YES, NO, EQUIVALENT, UNDECIDED, REFUSED, OPEN = "yes", "no", "equivalent", "undecided", "refused", "open"


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """The answer to a question in one metric, for one arm, in one setting."""

    question: str
    """Its name."""
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
    """In the unit of the metric; of times and speeds, arm over baseline less 1."""
    interval: Interval | None = None
    """95 % interval of the estimate."""
    std: float | None = None
    """Standard deviation over seeds of the differences (of times, of their logarithms; divisor n - 1)."""
    n: int = 0
    seeds: tuple[int, ...] = ()
    means: Mapping[str, float] | None = None
    equal: str = ""
    """Of a question about time: the difference in the metric that has to be equal."""
    test: str = ""
    p: float | None = None
    p_corrected: float | None = None
    """By Holm, over the `tests` of the family."""
    family: str = ""
    tests: int = 0
    p_sign_flip: float | None = None
    p_sign_flip_least: float | None = None
    """The smallest that so few pairs can give."""
    p_equivalent: float | None = None
    """Of two one-sided tests, corrected by Holm over the family."""
    matters: float = 0.0
    """The smallest effect that matters, in the unit of the estimate."""
    relative: bool = False
    """Whether the estimate is a fraction."""
    confounded: bool = False
    """Whether the arms differ in more of their configurations than the factor."""
    flags: tuple[str, ...] = ()
    """In what the arms differ beyond the factor, and whether the question came after its results."""
    lost: tuple[str, ...] = ()
    """Runs of the arms that failed, diverged or are missing."""
    over: str = ""
    """Of a trend: the field that it is over."""
    note: str = ""
    isolated_by: str = ""
    """The command for runs that differ in the factor alone."""
    more: More | None = None
    runs: tuple[str, ...] = ()
    """Names of the runs that the numbers rest on."""


def verdicts(results: Results) -> list[Verdict]:
    """Of all questions in all settings that have something to do with them, in the order of the settings."""
    found: list[Verdict] = []
    answered: set[tuple[str, str]] = set()
    isolated: list[Draft] = []
    for setting in results.settings:
        drafts = [draft for question in _asked(results, setting) for draft in _drafts(question, setting)]
        found += _decided(drafts)
        isolated += [draft for confounded in drafts for draft in _isolated(confounded, results.settings)]
        answered |= {(setting.dataset, d.question["name"]) for d in drafts if not d.contrast.missing}
    for dataset, setting in results.across.items():
        questions = [q for q in _asked(results, setting) if (dataset, q["name"]) not in answered]
        drafts = [draft for question in questions for draft in _drafts(question, setting)]
        found += _decided([draft for draft in drafts if not draft.contrast.missing])
    return [*found, *_decided(isolated)]


def _isolated(confounded: Draft, settings: Sequence[Setting]) -> list[Draft]:
    """The same question where one of the two arms was run in another setting such that they differ in the factor alone:
    what the command does that a confounded answer names."""
    setting, question, arm = confounded.setting, confounded.question, confounded.contrast.arm
    baseline = question.get("baseline")
    if not confounded.comparable.confounded or not isinstance(baseline, str) or arm not in question["arms"]:
        return []
    found = []
    for other in settings:
        if other is setting or other.dataset != setting.dataset:
            continue
        for base, changed in ((setting, other), (other, setting)):
            runs = pd.concat([rows_of(baseline, base.runs), rows_of(arm, changed.runs)])
            title = f"{setting.dataset}, across settings"
            both = replace(setting, title=title, runs=runs, ended=setting.ended.iloc[:0], planned=())
            found += [
                draft
                for draft in _drafts({**question, "arms": [arm]}, both)
                if draft.contrast.metric == confounded.contrast.metric
                and draft.contrast.values
                and not draft.comparable.refused
                and not draft.comparable.confounded
            ]
    return found


def _asked(results: Results, setting: Setting) -> list[Question]:
    """The questions about the setting's data of whose arms one was run or planned; without any, those implied."""
    if not results.questions:
        return implied_questions(setting)
    of_data = [
        q for q in results.questions if q.get("dataset") in (None, setting.dataset) and q.get("kind") != "search"
    ]
    return [question for question in of_data if any(_is_there(arm, setting) for arm in arms_of(question))]


def _is_there(arm: Any, setting: Setting) -> bool:
    if isinstance(arm, str):
        return arm in setting.experiments
    return not rows_of(arm, setting.runs).empty or any(is_planned(arm, plan) for plan in setting.planned)


def _drafts(question: Question, setting: Setting) -> list[Draft]:
    drafts = []
    for contrast in contrasts(question, setting):
        if question.get("kind") == "target" and contrast.arm not in setting.experiments:
            continue
        comparable = comparability(question, contrast, setting) if contrast.rows else Comparability()
        draft = Draft(
            question=question,
            setting=setting,
            contrast=contrast,
            comparable=comparable,
            post_hoc=post_hoc(question, setting) if contrast.rows else "",
        )
        if contrast.values and not comparable.refused:
            p, p_other = p_values(draft)
            draft = replace(draft, p=p, p_other=p_other)
        drafts.append(draft)
    return drafts


@dataclass(frozen=True, slots=True)
class Decision:
    """What the tests of a family say about one of its members."""

    answer: str
    reason: str
    p: float | None
    """Of the claim, and of its opposite, both corrected."""
    p_other: float | None
    tests: int
    level: float
    """At which Holm's method tests the next member."""


def decide(drafts: Sequence[Draft]) -> list[Decision]:
    """The answers, from p-values that are corrected within each family.

    A family's tests are those whose arms were all run or planned; what is refused is none.
    """
    families: dict[str, list[int]] = {}
    for index, draft in enumerate(drafts):
        families.setdefault(draft.family, []).append(index)
    decisions: dict[int, Decision] = {}
    for members in families.values():
        counted = [i for i in members if not drafts[i].comparable.refused and _can_be_answered(drafts[i])]
        p = _corrected({i: drafts[i].p for i in counted})
        p_other = _corrected({i: drafts[i].p_other for i in counted})
        shown = sum(value <= ALPHA for value in p.values())
        level = ALPHA / max(1, len(counted) - shown)
        for i in members:
            answer, reason = _answer(drafts[i], p.get(i), p_other.get(i))
            decisions[i] = Decision(answer, reason, p.get(i), p_other.get(i), len(counted), level)
    return [decisions[i] for i in range(len(drafts))]


def _corrected(p_values: Mapping[int, float | None]) -> dict[int, float]:
    known = {i: p for i, p in p_values.items() if p is not None}
    return dict(zip(known, statistics.holm(list(known.values()), len(p_values)), strict=True))


def _decided(drafts: Sequence[Draft]) -> list[Verdict]:
    return [_verdict(draft, decision) for draft, decision in zip(drafts, decide(drafts), strict=True)]


def _can_be_answered(draft: Draft) -> bool:
    """Whether all arms were run or planned, so that the test is one of those that this sweep makes."""
    return all(_is_there(arm, draft.setting) for arm in needed_arms(draft))


def _verdict(draft: Draft, decision: Decision) -> Verdict:
    question, contrast = draft.question, draft.contrast
    verdict = Verdict(
        question=question["name"],
        text=question["text"],
        kind=draft.kind,
        setting=draft.setting.title,
        metric=contrast.metric,
        arm=contrast.arm,
        baseline=contrast.baseline,
        answer=decision.answer,
        reason=decision.reason,
        family=draft.family,
        lost=tuple(lost(draft)),
        note=question.get("note", ""),
        over=str(question.get("over", "train_size")),
        relative=draft.kind == "time",
        matters=float(question.get("smallest_effect", 0.5)),
    )
    if contrast.missing:
        return verdict
    verdict = replace(verdict, runs=_names(contrast.rows or {}))
    if draft.comparable.refused:
        return verdict
    values, n = contrast.values, len(contrast.values)
    is_difference = draft.kind not in ("target", "equivalence")
    return replace(
        verdict,
        estimate=_unit(draft, fmean(values)),
        interval=_interval(draft),
        std=stdev(values) if n > 1 else None,
        n=n,
        seeds=contrast.seeds,
        means=contrast.means,
        equal=spoken_accuracy(draft) if draft.kind == "time" else "",
        test=_test_of(draft) if n > 1 else "",
        p=draft.p,
        p_corrected=decision.p,
        tests=decision.tests,
        p_sign_flip=statistics.sign_flip(values) if n > 1 and is_difference else None,
        p_sign_flip_least=statistics.smallest_sign_flip(n) if n > 1 and is_difference else None,
        p_equivalent=decision.p if draft.kind == "equivalence" else decision.p_other,
        confounded=draft.comparable.confounded,
        flags=(*draft.comparable.flags, *filter(None, [draft.post_hoc])),
        isolated_by=isolating_command(draft) if draft.comparable.confounded else "",
        more=more_seeds(draft, decision.level) if decision.answer == UNDECIDED else None,
    )


def _answer(draft: Draft, p: float | None, p_other: float | None) -> tuple[str, str]:
    """The answer, and why it is no more than that."""
    if draft.contrast.missing:
        return OPEN, draft.contrast.missing
    if draft.comparable.refused:
        return REFUSED, draft.comparable.refused
    values = draft.contrast.values
    if len(values) < 2:
        return UNDECIDED, "n = 1"
    claimed, otherwise = p is not None and p <= ALPHA, p_other is not None and p_other <= ALPHA
    if draft.kind == "equivalence":
        return (EQUIVALENT, "") if claimed else (NO, "") if otherwise else (UNDECIDED, f"n = {len(values)}")
    if draft.kind == "time" and (worse := loss_of_accuracy(draft)):
        return worse
    if claimed:
        too_small = f"smaller than what matters, {_spoken_margin(draft)}" if otherwise else ""
        return (YES if is_better(draft) else NO), too_small
    if otherwise:
        return EQUIVALENT, ""
    return UNDECIDED, f"n = {len(values)}"


def _spoken_margin(draft: Draft) -> str:
    matters = float(draft.question.get("smallest_effect", 0.5))
    return f"{matters:.0%}" if draft.kind == "time" else f"{matters:g}"


def _unit(draft: Draft, value: float) -> float:
    """From the scale of the contrast to that of the estimate."""
    return math.expm1(value) if draft.kind == "time" else value


def _interval(draft: Draft) -> Interval | None:
    interval = statistics.mean_interval(draft.contrast.values, floor=draft.contrast.floor)
    return interval and (_unit(draft, interval[0]), _unit(draft, interval[1]))


def _test_of(draft: Draft) -> str:
    if not statistics.deviation_of(draft.contrast.values, draft.contrast.floor):
        return "sign-flip test (no variance)"
    if draft.kind == "time" and is_better(draft):
        return f"paired t-test of log times and one-sided t-test of {draft.question['equal']}, the larger"
    return {
        "equivalence": "two one-sided t-tests",
        "target": "t-test of the mean",
        "trend": "t-test of the slopes by seed",
        "interaction": "t-test of the interactions by seed",
        "time": "paired t-test of log times",
    }.get(draft.kind, "paired t-test")


def _names(rows: Mapping[str, pd.DataFrame]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(str(name) for part in rows.values() if "run" in part for name in part["run"]))
