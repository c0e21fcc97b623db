"""The forest of effects: a row for each, labelled arm and size, with the interval that decides."""

import numpy as np
import pytest

from analysis.plots import effects as effects_plot
from analysis.plots.effects import drawn_interval, forest
from analysis.reading.results import Results
from analysis.verdicts.answers import verdicts
from analysis.verdicts.verdict import NO, YES
from tests.analysis.plots.drawn import architecture, boxes_of, many_architectures, overlapping, run
from tests.analysis.sweeps import frame, question, written

SIZES = (0.05, 0.1, 1.0)


def answered(*rows, questions=None):
    results = Results(frame=frame(*rows), questions=questions or ())
    return results, verdicts(results)


def names_in(plots):
    labels = [label for plot in plots for ax in plot.figure.axes for label in ax.get_yticklabels()]
    return [label.get_text() for label in labels if label.get_text()]


def by_size(differences, n=5):
    """Runs of one architecture at three sizes, in an order that is not that of the sizes."""
    draw = np.random.default_rng(1)
    rows = []
    for size in (1.0, 0.05, 0.1):
        for seed in range(n):
            base = 60 + draw.normal(0, 0.2)
            wavelets = base + differences[size] + draw.normal(0, 0.01)
            rows += [
                run("W", seed, architecture(3, 4), wavelets, size=size),
                run("W", seed, architecture(3, 4), base, size=size, random=True),
            ]
    return rows


@pytest.fixture(scope="module")
def told():
    results, answers = answered(*by_size({0.05: 30.0, 0.1: 0.0, 1.0: -30.0}))
    return answers, list(forest(results, answers))


def test_rows_say_arm_and_size_in_the_order_of_sizes(told):
    _, (plot,) = told
    names = [name for name in names_in([plot]) if "%" in name]
    assert names == [f"3b_cmod_L4, {size}, n = 5" for size in ("5 %", "10 %", "100 %")]
    title = " ".join(ax.get_title(loc="left") for ax in plot.figure.axes)
    assert "against 3b_cmod_L4_rand" in title
    assert "cifar10" in title


def test_the_drawn_interval_leaves_out_zero_just_where_a_difference_is_shown(told):
    answers, _ = told
    shown = [v for v in answers if v.kind == "difference"]
    assert {v.answer for v in shown} >= {YES, NO}
    for v in shown:
        (low, high), line = drawn_interval(v)
        assert line == "-"
        assert (low > 0 or high < 0) == (v.answer in (YES, NO))
        assert (low < v.interval[0]) == (v.level < 0.05)


def test_axes_reach_the_data_and_the_numbers_stand_at_the_right_edge(told):
    answers, (plot,) = told
    for ax in plot.figure.axes:
        low, high = ax.get_xlim()
        reached = np.concatenate([line.get_xdata() for line in ax.lines])
        assert low < reached.min() <= reached.max() < high
    assert plot.png
    boxes = boxes_of(plot.figure)
    assert overlapping(boxes) == []
    for v in answers:
        (low, high), _ = drawn_interval(v)
        number = f"{v.estimate:+.2f} [{low:+.2f}, {high:+.2f}]"
        (box,) = [box for text, box in boxes.items() if text.get_text() == number]
        assert all(box.x0 >= ax.get_window_extent().x1 for ax in plot.figure.axes)


def test_all_effects_are_drawn_on_as_many_pages_as_they_need(monkeypatch):
    monkeypatch.setattr(effects_plot, "MOST_ROWS", 6)
    results, answers = answered(*many_architectures(4, (0.1, 1.0)))
    effects = [v for v in answers if v.estimate is not None]
    assert len(effects) > 6
    plots = list(forest(results, answers))
    names = names_in(plots)
    assert len(names) == len(effects)
    assert len(set(names)) == len(names)
    assert [plot.name for plot in plots] == ["effects", "effects_page2"]
    assert "page 2 of 2" in plots[1].title
    assert "page 2 of 2" in plots[1].figure.get_suptitle()


def test_a_trend_over_runs_without_seeds_says_that_they_have_none():
    """It is the seed that lacks, not the metric."""
    sides = [(size, random) for size in SIZES for random in (False, True)]
    rows = [run("W", 0, architecture(3, 4), 60 + size, size=size, random=random) for size, random in sides]
    rows = [{**row, "seed": None} for row in rows]
    _, answers = answered(*rows)
    (trend,) = [v for v in answers if v.kind == "trend"]
    assert trend.reason == "runs without a seed make no series"
    lacking = [{**row, "results": {**row["results"], "final_acc": None}, "seed": 0} for row in rows]
    asked = written(question(kind="trend", arms=("W_s5",), baseline="W_rand_s5", metrics=("final_acc",)).question)
    _, answers = answered(*lacking, questions=[asked])
    assert answers[0].reason == "no final_acc of W_s5 and W_rand_s5"
