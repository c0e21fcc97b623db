"""A pooled answer that nobody asked for, offered where many questions ask the same of one seed each.

One seed says nothing about its own question (n = 1), but many such differences say something together. Whoever wants
the answer to count asks beforehand, with `kind="pooled"`: this one is marked post hoc.
"""

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import replace
from statistics import fmean
from typing import Any

import pandas as pd

from analysis.comparison.confounds import confounding
from analysis.comparison.contrast import Contrast
from analysis.comparison.runs import label_of, values_of
from analysis.numbers import count
from analysis.pooling.pooled import pooled_effect
from analysis.verdicts.uncorrected import UncorrectedTest, p_values
from raysweep.experiment import Filter, Question
from raysweep.ledger import WrittenQuestion

LEAST_CELLS = 8
"""Differences of one seed each from which on they are pooled unasked."""

FAMILY = "offered, post hoc"
"""The family of what is offered: it takes no part in the correction of what was asked."""


def offered(tests: Sequence[UncorrectedTest]) -> list[UncorrectedTest]:
    """The pooled answers over the tests of one setting, if there are any.

    Pooled are differences of one seed each, in one metric, of questions with one factor, a field of which has one value
    in all arms and another in all baselines. Of differences that share runs only the first counts, since the others
    are not independent of it. Nothing is offered where a pooled question about the metric was asked.
    """
    asked = {test.contrast.metric for test in tests if test.question.kind == "pooled"}
    groups: dict[Hashable, list[UncorrectedTest]] = {}
    for test in tests:
        question = test.question
        if question.kind == "difference" and len(test.contrast.values) == 1 and not test.confounding.refused:
            group = (
                test.family,
                test.contrast.metric,
                tuple(question.factor),
                question.better,
                question.smallest_effect,
            )
            groups.setdefault(group, []).append(test)
    pooled = (_pooled(members) for members in groups.values() if members[0].contrast.metric not in asked)
    return [test for test in pooled if test]


def _apart(tests: Sequence[UncorrectedTest]) -> Iterator[UncorrectedTest]:
    """The tests that share no run with one before them."""
    seen: set[Any] = set()
    for test in tests:
        runs = {run for rows in _rows(test).values() for run in rows.index}
        if not runs & seen:
            seen |= runs
            yield test


def _pooled(same: Sequence[UncorrectedTest]) -> UncorrectedTest | None:
    """The answer over tests of one question each; None where they are few, or compare nothing in common."""
    tests = list(_apart(same))
    if len(tests) < LEAST_CELLS:
        return None
    arms = pd.concat([_rows(test)[test.contrast.arm] for test in tests])
    baselines = pd.concat([_rows(test)[test.contrast.baseline] for test in tests])
    compared = next((name for name in tests[0].question.factor if _compares(name, arms, baselines)), None)
    if compared is None:
        return None
    question = _question(tests, compared, *(_filter(compared, rows) for rows in (arms, baselines)))
    contrast = _contrast(question, tests, arms, baselines)
    if shared := len(same) - len(tests):
        contrast = replace(contrast, flags=(f"{count(shared, 'difference')} left out that share runs with others",))
    made = UncorrectedTest(
        asked=WrittenQuestion(question=question),
        setting=tests[0].setting,
        contrast=contrast,
        confounding=confounding(question, contrast, tests[0].setting),
        post_hoc=f"post hoc: nobody asked it; it is offered because {len(tests)} questions have one seed each",
    )
    return replace(made, p=p_values(made))


def _question(tests: Sequence[UncorrectedTest], compared: str, arm: Filter, baseline: Filter) -> Question:
    metric, asked = tests[0].contrast.metric, tests[0].question
    return Question(
        name=f"pooled_{metric}_{compared}",
        text=f"Over {len(tests)} questions of one seed each: is {metric} better with {arm.label} than with "
        f"{baseline.label}?",
        kind="pooled",
        arms=(arm,),
        baseline=baseline,
        metrics=(metric,),
        factor=asked.factor,
        better=asked.better,
        smallest_effect=asked.smallest_effect,
        family=FAMILY,
    )


def _contrast(
    question: Question, tests: Sequence[UncorrectedTest], arms: pd.DataFrame, baselines: pd.DataFrame
) -> Contrast:
    """The differences of the tests, by their arms, and what they say together."""
    names = [test.contrast.arm for test in tests]
    if len(set(names)) < len(names):  # an arm with several baselines
        names = [f"{test.contrast.arm} against {test.contrast.baseline}" for test in tests]
    cells = {name: test.contrast.values for name, test in zip(names, tests, strict=True)}
    floor = min(test.contrast.floor for test in tests)
    arm, baseline = label_of(question.arms[0]), label_of(question.baseline)
    means = [test.contrast.means or {} for test in tests]
    return Contrast(
        metric=tests[0].contrast.metric,
        arm=arm,
        baseline=baseline,
        values=tuple(values[0] for values in cells.values()),
        seeds=tuple(sorted({seed for test in tests for seed in test.contrast.seeds})),
        means={
            baseline: fmean(mean[test.contrast.baseline] for mean, test in zip(means, tests, strict=True)),
            arm: fmean(mean[test.contrast.arm] for mean, test in zip(means, tests, strict=True)),
        },
        rows={baseline: baselines, arm: arms},
        floor=floor,
        cells=cells,
        pooled=pooled_effect(cells, floor),
    )


def _filter(name: str, rows: pd.DataFrame) -> Filter:
    """The runs with the one value that these have."""
    (value,) = values_of(rows, name)
    return Filter(label=f"{name} = {value}", fields={name: value})


def _rows(test: UncorrectedTest) -> Mapping[str, pd.DataFrame]:
    return test.contrast.rows or {}


def _compares(name: str, arms: pd.DataFrame, baselines: pd.DataFrame) -> bool:
    """Whether a field has one value in all arms, and another in all baselines."""
    if name not in arms:
        return False
    one, other = values_of(arms, name), values_of(baselines, name)
    return len(one) == len(other) == 1 and one != other
