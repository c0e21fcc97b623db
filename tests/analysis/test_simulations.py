"""What the verdicts promise, by simulation: few false answers without an effect, and the power that they say."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from analysis.comparison.confounds import Confounding
from analysis.comparison.contrast import Contrast
from analysis.reading.results import Results
from analysis.verdicts.answers import verdicts
from analysis.verdicts.decisions import decide
from analysis.verdicts.uncorrected import UncorrectedTest, p_values
from tests.analysis.sweeps import TIME, frame, one, question, record, runs_of, timed


def bound(probability, trials):
    """What a simulation stays below, but for one in a thousand: three standard errors above."""
    return probability + 3 * math.sqrt(probability * (1 - probability) / trials)


@pytest.mark.parametrize("n_seeds", [3, 6])
def test_without_any_effect_a_family_says_yes_in_at_most_five_per_cent(n_seeds):
    """2,000 sweeps of six questions about the same baseline, from the differences on."""
    rng = np.random.default_rng(n_seeds)
    names = list("ABDEFG")
    asked = [question(name=name, arms=(name,), family="f", smallest_effect=0.2) for name in names]
    (setting,) = Results(frame=frame(*(record(name, 0, head_acc=1.0) for name in ["C", *names]))).settings
    sweeps, said_yes, claimed = 2000, 0, 0
    for _ in range(sweeps):
        accuracy = 60 + rng.normal(0, 0.3, (7, n_seeds))
        tests = []
        for q, differences in zip(asked, accuracy[1:] - accuracy[0], strict=True):
            contrast = Contrast(metric="head_acc", arm=q.question.arms[0], baseline="C", values=tuple(differences))
            test = UncorrectedTest(asked=q, setting=setting, contrast=contrast, confounding=Confounding(), post_hoc="")
            p, p_other = p_values(test)
            tests.append(replace(test, p=p, p_other=p_other))
        answers = {decision.answer for decision in decide(tests)}
        said_yes += "yes" in answers
        claimed += bool({"yes", "no"} & answers)
    assert said_yes / sweeps <= 0.05
    assert claimed / sweeps <= bound(0.05, sweeps)


@pytest.mark.slow
def test_the_same_holds_for_whole_sweeps():
    """From records to verdicts: every kind of question but the target's, without any effect, 2,000 times."""
    rng = np.random.default_rng(0)
    n_seeds, names = 4, ["C", "A", "B", "AB"]
    asked = [
        question(name="difference", family="f"),
        question(name="interaction", kind="interaction", arms=("A", "B", "AB"), family="f"),
        question(name="trend", kind="trend", baseline="", arms=("C", "A", "B"), over="size", family="f"),
        question(name="time", **{**TIME, "equal": "head_acc"}, family="f"),
    ]
    rows = [
        record(name, seed, head_acc=0.0, train_seconds=1.0, config={"size": 2**i})
        for i, name in enumerate(names)
        for seed in range(n_seeds)
    ]
    table, sweeps, said_yes, claimed = frame(*rows), 2000, 0, 0
    for _ in range(sweeps):
        table["head_acc"] = 60 + np.tile(rng.normal(0, 0.5, n_seeds), 4) + rng.normal(0, 0.3, len(table))
        table["train_seconds"] = np.exp(rng.normal(0, 0.05, len(table)))
        answers = {v.answer for v in verdicts(Results(frame=table, questions=asked))}
        said_yes += "yes" in answers
        claimed += bool({"yes", "no"} & answers)
    assert said_yes / sweeps <= 0.05
    assert claimed / sweeps <= bound(0.05, sweeps)


@pytest.mark.parametrize("deviation", [0.6, 1.0])
def test_as_many_seeds_as_an_undecided_question_asks_for_decide_it_as_often_as_said(deviation):
    """The differences of the pilot are scaled to the deviation that the later ones are drawn with."""
    rng = np.random.default_rng(0)
    pilot = np.array([-1.0, 0.2, 1.3, -0.4, -0.1])
    pilot = pilot / pilot.std(ddof=1) * deviation
    v = one(runs_of("C", [60.0] * 5) + runs_of("A", 60 + pilot), question(smallest_effect=0.5))
    assert v.answer == "undecided"
    assert v.needed.effect == "a difference of 0.5"
    n = v.n + v.needed.seeds
    differences = rng.normal(0.5, deviation, (4000, n))
    decided = (stats.ttest_1samp(differences, 0, axis=1).pvalue <= 0.05) & (differences.mean(axis=1) > 0)
    assert decided.mean() == pytest.approx(v.needed.power, abs=0.05)


def test_a_difference_and_accuracy_are_both_shown_with_the_power_said():
    """Times and accuracies of as many pairs as an undecided question asks for decide it as often as it says."""
    rng = np.random.default_rng(0)
    pilot = np.array([-1.0, 0.2, 1.3, -0.4, -0.1])
    pilot = pilot / pilot.std(ddof=1)
    asked = question(**TIME, smallest_effect=0.05)
    slow = timed("C", [10.0] * 5, [94.0] * 5)
    v = one(slow + timed("A", 10 * np.exp(0.06 * pilot), 94 + 0.2 * pilot[::-1]), asked)
    assert v.answer == "undecided"
    n, trials = v.n + v.needed.seeds, 4000
    logs = rng.normal(-np.log(1.05), 0.06, (trials, n))
    accuracies = rng.normal(0, 0.2, (trials, n))
    p_time = stats.ttest_1samp(logs, 0, axis=1).pvalue
    p_equal = stats.ttest_1samp(accuracies, -0.2, axis=1, alternative="greater").pvalue
    shown = (np.maximum(p_time, p_equal) <= 0.05) & (logs.mean(axis=1) < 0)
    assert shown.mean() == pytest.approx(v.needed.power, abs=0.05)
