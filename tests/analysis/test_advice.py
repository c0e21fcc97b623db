"""How many more seeds an undecided question is said to need, what they cost, and the command that runs them."""

import math

import numpy as np
import pytest
from scipy import stats

from analysis import anytime
from analysis.verdicts.wording import what_would_settle
from tests.analysis.sweeps import one, question, record, runs_of


def test_what_is_undecided_says_what_would_settle_it():
    rng = np.random.default_rng(3)
    base = rng.normal(60, 0.3, 5)
    arm = base + rng.normal(0.1, 0.6, 5)
    more = {"seconds": 720.0, "dataset": "cifar10", "config": {"data_dir": "/data/cifar 10"}, "set": "epochs=3"}
    v = one(
        runs_of("C", base, selection="--group g", **more) + runs_of("A", arm, selection="--group g", **more), question()
    )
    assert v.answer == "undecided"
    total = v.needed.seeds + 5

    def power(n):
        shift = 0.5 * math.sqrt(n) / np.std(arm - base, ddof=1)
        return stats.nct.sf(anytime.critical(n, 0.05), n - 1, shift)

    fewest = next(n for n in range(6, 200) if power(n) >= 0.8)
    assert v.needed.power == pytest.approx(power(fewest))
    assert v.needed.seeds == fewest - 5
    assert v.needed.hours == pytest.approx(v.needed.seeds * 2 * 720 / 3600)
    assert v.needed.command == (
        f"python run_sweep.py --group g --only C,A --seeds 5-{total - 1} --dataset cifar10 --data-dir '/data/cifar 10' "
        "--set epochs=3 --results results"
    )
    assert "about 100 more seeds would show a difference of 0.5 with 80% power" in what_would_settle(v)


def test_the_command_names_the_file_of_a_family_of_ones_own_and_no_folder_that_there_is_not():
    more = {"dataset": "wine", "config": {}, "selection": "--space /home/me/wine.py --group g"}
    v = one(runs_of("C", [60.0, 61.0, 60.5], **more) + runs_of("A", [60.2, 60.9, 60.9], **more), question())
    start, seeds, rest = v.needed.command.partition(" --seeds ")
    assert start == "python run_sweep.py --space /home/me/wine.py --group g --only C,A"
    assert "--data" not in seeds + rest


def test_a_difference_larger_than_matters_is_asked_for_as_large_as_seen():
    differences = np.array([1.0, 3.0, 5.0, -0.5, 4.5])
    v = one(runs_of("C", [60.0] * 5) + runs_of("A", 60 + differences), question())
    assert (v.answer, v.estimate) == ("undecided", pytest.approx(2.6))

    def power(n):
        shift = 2.6 * math.sqrt(n) / differences.std(ddof=1)
        return stats.nct.sf(anytime.critical(n, 0.05), n - 1, shift)

    fewest = next(n for n in range(6, 200) if power(n) >= 0.8)
    assert v.needed.power == pytest.approx(power(fewest))
    assert v.needed.seeds == fewest - 5
    assert "about 10 more seeds" in what_would_settle(v)
    assert "would show a difference of 2.6, as large as seen, with" in what_would_settle(v)
    assert "about 400 for the smallest that matters, 0.5" in what_would_settle(v)
    assert v.needed.seeds_for_smallest > 10 * v.needed.seeds


def test_seeds_that_one_arm_has_come_first():
    rows = runs_of("C", [60.0, 61.0, 62.0, 63.0, 64.0]) + runs_of("A", [60.0, 63.0, 61.0])
    more = one(rows, question(smallest_effect=1.0)).needed
    assert f"--seeds 3-{2 + more.seeds} " in more.command


def test_advice_leaves_out_seeds_that_diverged_and_takes_those_begun():
    rows = [*runs_of("C", [60.0, 61.0, 62.0], seconds=3600.0), *runs_of("A", [60.0, 63.0, 61.0], seconds=3600.0)]
    rows += [record("C", 10, head_acc=61.0, seconds=3600.0), record("A", 3, "diverged"), record("C", 3, head_acc=61.0)]
    more = one(rows, question(smallest_effect=1.0)).needed
    assert f"--seeds 10-{9 + more.seeds} " in more.command  # 10 has been begun; 3 diverged
    assert more.hours == pytest.approx(2 * more.seeds - 1)
