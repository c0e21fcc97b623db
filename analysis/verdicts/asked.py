"""The tests that the questions of a results folder ask for, in all settings and across them."""

from collections.abc import Sequence
from dataclasses import replace

import pandas as pd

from analysis.comparison.cells import implied_questions
from analysis.comparison.runs import arms_of, rows_of
from analysis.reading.results import Results, Setting
from analysis.verdicts.offered import offered
from analysis.verdicts.uncorrected import UncorrectedTest, is_there, uncorrected_tests
from raysweep.ledger import FINISHED, WrittenQuestion


def tests_of(results: Results) -> list[UncorrectedTest]:
    """The tests in each setting, then those that no setting has all arms of, then those of isolated reruns."""
    tests: list[UncorrectedTest] = []
    isolated: list[UncorrectedTest] = []
    for setting in results.settings:
        own = [test for asked in _asked(results, setting) for test in uncorrected_tests(asked, setting)]
        tests += [*own, *offered(own)]
        isolated += [alone for test in own for alone in _isolated(test, results.settings)]
    answered = {(test.setting.dataset, test.question.name) for test in tests if not test.contrast.missing}
    for dataset, setting in results.across.items():
        left = [asked for asked in _asked(results, setting) if (dataset, asked.question.name) not in answered]
        both = [test for asked in left for test in uncorrected_tests(asked, setting)]
        tests += [test for test in both if not test.contrast.missing]
    return [*tests, *isolated]


def tests_beside(tests: Sequence[UncorrectedTest], results: Results) -> list[UncorrectedTest]:
    """The tests of the folder's other runs, which take part in the correction of those of `results`."""
    own = {_which(test) for test in tests}
    return [test for test in tests_of(results.beside) if _which(test) not in own] if results.beside else []


def _which(test: UncorrectedTest) -> tuple[str, ...]:
    """What tells a test from others, whatever runs there are of it."""
    return test.setting.title, test.question.name, test.contrast.metric, test.contrast.arm


def _isolated(confounded: UncorrectedTest, settings: Sequence[Setting]) -> list[UncorrectedTest]:
    """The same question where one of the two arms was run in another setting such that they differ in the factor alone:
    what the command does that a confounded answer names."""
    setting, question, arm = confounded.setting, confounded.question, confounded.contrast.arm
    baseline = question.baseline
    if question.kind == "interaction":  # whose arms are one comparison
        return []
    if not confounded.confounding.beyond_factor or not isinstance(baseline, str) or arm not in question.arms:
        return []
    asked = replace(confounded.asked, question=replace(question, arms=(arm,)))
    found = []
    for other in settings:
        if other is setting or other.dataset != setting.dataset:
            continue
        for base, changed in ((setting, other), (other, setting)):
            runs = pd.concat([rows_of(baseline, base.runs), rows_of(arm, changed.runs)])
            title = f"{setting.dataset}, across settings"
            out = pd.concat([rows_of(baseline, base.excluded), rows_of(arm, changed.excluded)])
            ended = setting.ended.iloc[:0]
            both = replace(setting, title=title, runs=runs, ended=ended, excluded=out, planned=())
            found += [
                test
                for test in uncorrected_tests(asked, both)
                if test.contrast.metric == confounded.contrast.metric
                and test.contrast.values
                and not test.confounding.refused
                and not test.confounding.beyond_factor
            ]
    return found


def _asked(results: Results, setting: Setting) -> list[WrittenQuestion]:
    """The questions about the setting's data of whose arms one was run or planned; without any, those implied."""
    if not results.questions:
        whole = pd.concat([setting.runs, setting.excluded[setting.excluded["status"] == FINISHED]])
        return [WrittenQuestion(question=q) for q in implied_questions(replace(setting, runs=whole))]
    return [
        asked
        for asked in results.questions
        if asked.question.kind != "search"
        and asked.question.dataset in (None, setting.declared)
        and any(is_there(arm, setting) for arm in arms_of(asked.question))
    ]
