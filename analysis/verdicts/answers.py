"""The answers to all questions of a results folder, with what each rests on.

The exact sign-flip test stands beside the test that decides. What is undecided says how many more seeds would settle it
and what they cost.
"""

from collections.abc import Mapping
from dataclasses import replace
from statistics import fmean, stdev

import pandas as pd

from analysis import anytime, statistics
from analysis.comparison.runs import arms_of, label_of
from analysis.images.compared import over_images
from analysis.reading.results import Results
from analysis.statistics import Interval
from analysis.verdicts.asked import tests_beside, tests_of
from analysis.verdicts.commands import isolating_command
from analysis.verdicts.decisions import Decision, decide
from analysis.verdicts.noted import with_notes
from analysis.verdicts.power import seeds_needed
from analysis.verdicts.reselected import without_selection
from analysis.verdicts.sensitivity import Sensitivity, sensitivities
from analysis.verdicts.uncorrected import UncorrectedTest, is_there, lost, spoken_accuracy
from analysis.verdicts.verdict import UNDECIDED, Verdict


def verdicts(results: Results) -> list[Verdict]:
    """The answers in all settings that have something to do with a question, in the order of the settings.

    The tests of a family are corrected together over all of them, and over those of other runs of the folder, so that
    trying further settings costs something.
    """
    found, tests = _answers(results)
    return with_notes(found, tests, () if results.excluded is None else _answers(results.with_excluded())[0])


def _answers(results: Results) -> tuple[list[Verdict], list[UncorrectedTest]]:
    """The verdicts as far as they follow from the runs that count, with their tests."""
    tests = tests_of(results)
    beside = tests_beside(tests, results)
    decisions, sensitivity = decide([*tests, *beside])[: len(tests)], sensitivities(tests)
    found = [_verdict(*known) for known in zip(tests, decisions, sensitivity, strict=True)]
    others = [other and _verdict(*other, Sensitivity()) for other in without_selection(tests, decisions, beside)]
    return [replace(v, last_epochs=other) if other else v for v, other in zip(found, others, strict=True)], tests


def _verdict(test: UncorrectedTest, decision: Decision, sensitivity: Sensitivity) -> Verdict:
    question, contrast = test.question, test.contrast
    verdict = Verdict(
        question=question.name,
        text=question.text,
        kind=question.kind,
        setting=test.setting.title,
        metric=contrast.metric,
        arm=contrast.arm,
        baseline=contrast.baseline,
        answer=decision.answer,
        reason=decision.reason,
        size=decision.size,
        unit=_unit(test),
        family=test.family,
        lost=tuple(lost(test)),
        note=question.note,
        over=question.over,
        relative=question.kind == "time",
        matters=float(question.smallest_effect),
    )
    if contrast.missing:
        return replace(verdict, out_of_reach=_out_of_reach(test))
    verdict = replace(verdict, runs=_names(contrast.rows or {}), sensitivity=sensitivity, pooled=contrast.pooled)
    return verdict if test.confounding.refused else _with_numbers(verdict, test, decision)


def _out_of_reach(test: UncorrectedTest) -> tuple[str, ...]:
    """See `Verdict.out_of_reach`. A question about a target compares no arms, and needs one alone."""
    arms = arms_of(test.question)
    absent = tuple(label_of(arm) for arm in arms if not is_there(arm, test.setting))
    return absent if test.question.kind != "target" and len(arms) - len(absent) < min(2, len(arms)) else ()


def _with_numbers(verdict: Verdict, test: UncorrectedTest, decision: Decision) -> Verdict:
    """The verdict with the estimate, the tests, and what is to be said with them."""
    kind, contrast = test.question.kind, test.contrast
    values, n = contrast.values, len(contrast.values)
    is_difference = kind not in ("target", "equivalence", "pooled")
    fixed = _scaled(test, _fixed_interval(test))
    return replace(
        verdict,
        estimate=test.on_scale(contrast.estimate),
        interval=_scaled(test, anytime.interval(values, floor=contrast.floor)),
        interval_corrected=_scaled(test, _corrected_interval(test, decision)),
        interval_fixed=fixed,
        over_images=over_images(test.question, contrast, test.setting, fixed),
        std=stdev(values) if n > 1 else None,
        effect_size=_effect_size(test),
        superiority=statistics.superiority(values) if is_difference or kind == "equivalence" else None,
        n=n,
        seeds=contrast.seeds,
        means=contrast.means,
        equal=spoken_accuracy(test) if kind == "time" else "",
        test=_test_of(test) if n > 1 else "",
        p=test.p.equal if kind == "equivalence" else test.p.differs,
        p_corrected=decision.p.equal if kind == "equivalence" else decision.p.differs,
        p_fixed=test.p.fixed,
        tests=decision.tests,
        level=decision.level,
        p_sign_flip=statistics.sign_flip(values) if n > 1 and is_difference else None,
        p_sign_flip_least=statistics.smallest_sign_flip(n) if n > 1 and is_difference else None,
        p_equivalent=decision.p.equal,
        p_matters=decision.p.matters,
        confounded=test.confounding.confounded,
        flags=(*test.confounding.flags, *filter(None, [test.setting.prepared, test.post_hoc])),
        isolated_by=isolating_command(test) if test.confounding.beyond_factor else "",
        needed=seeds_needed(test, decision.level) if decision.answer == UNDECIDED else None,
    )


def _unit(test: UncorrectedTest) -> str:
    """The unit of the estimate."""
    if test.question.kind == "time":
        return "%"
    unit = test.metric.unit
    return "points" if unit == "%" and test.question.kind != "target" else unit


def _effect_size(test: UncorrectedTest) -> float | None:
    """See `Verdict.effect_size`; None for a target, and where there is no spread to compare with."""
    values = test.contrast.values
    deviation = statistics.deviation_of(values, test.contrast.floor) if len(values) > 1 else 0.0
    return fmean(values) / deviation if deviation and test.question.kind != "target" else None


def _corrected_interval(test: UncorrectedTest, decision: Decision) -> Interval | None:
    """See `Verdict.interval_corrected`."""
    if test.question.kind in ("pooled", "equivalence") or not 0 < decision.level < 1:
        return None
    return anytime.interval(test.contrast.values, decision.level, test.contrast.floor)


def _fixed_interval(test: UncorrectedTest) -> Interval | None:
    """The interval for one look: Student's, or of cells that of Hartung and Knapp."""
    if test.question.kind == "pooled":
        return test.contrast.pooled.estimate.interval() if test.contrast.pooled else None
    return statistics.t_interval(test.contrast.values, floor=test.contrast.floor)


def _scaled(test: UncorrectedTest, interval: Interval | None) -> Interval | None:
    """An interval on the scale of the estimate."""
    return interval and (test.on_scale(interval[0]), test.on_scale(interval[1]))


def _test_of(test: UncorrectedTest) -> str:
    if test.question.kind == "pooled":
        return "t-test over cells (Hartung-Knapp)" if test.contrast.pooled else ""
    if not statistics.deviation_of(test.contrast.values, test.contrast.floor):
        return "sign-flip test (no variance)"
    if test.question.kind == "time" and test.is_better:
        return f"paired t-test of log times and one-sided t-test of {test.question.equal}, the larger"
    return {
        "equivalence": "two one-sided t-tests",
        "target": "t-test of the mean",
        "trend": "t-test of the slopes by seed",
        "interaction": "t-test of the interactions by seed",
        "time": "paired t-test of log times",
    }.get(test.question.kind, "paired t-test")


def _names(rows: Mapping[str, pd.DataFrame]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(str(name) for part in rows.values() if "run" in part for name in part["run"]))
