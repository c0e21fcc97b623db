"""Learning curves: every run is drawn to its end, and lines say what they are."""

import numpy as np
import pytest
from matplotlib.collections import LineCollection

from analysis.plots import curve_series
from analysis.plots.curves import MOST_SEEDS, learning_curves
from analysis.plots.style import MOST_LINES
from tests.analysis.plots.drawn import architecture, boxes_of, curves, many_architectures, overlapping, run, setting_of

SHAPE = architecture(3, 4)


def lines_of(axes):
    """The lines of curves, without those that mark where a phase begins."""
    return [line for line in axes.lines if line.get_linestyle() != ":" or len(set(line.get_xdata())) > 1]


def test_the_mean_goes_as_far_as_all_seeds_and_each_seed_to_its_own_end():
    rows = [run("W", seed, SHAPE, 70, curves=curves(epochs, level=40 + seed)) for seed, epochs in enumerate((9, 6, 8))]
    (series,) = curve_series(setting_of(*rows))
    assert [point[0] for point in series.mean] == [*range(1, 6), *range(6, 12)]
    assert series.mean[0] == (1, 41.0)
    assert [seed.points[-1][0] for seed in series.seeds] == [14, 11, 13]
    assert [seed.seed for seed in series.seeds] == [0, 1, 2]
    assert series.boundaries == (5.5,)
    assert series.measured == "test accuracy, %"


def test_axes_reach_beyond_the_last_point_of_the_longest_run():
    rows = [run("W", seed, SHAPE, 70, curves=curves(epochs, level=40 + seed)) for seed, epochs in enumerate((9, 60, 8))]
    (plot,) = learning_curves(setting_of(*rows), "curves")
    (ax,) = plot.figure.axes
    (low, high), (bottom, top) = ax.get_xlim(), ax.get_ylim()
    assert low < 1
    assert high > 65
    values = [point["val_acc"] for row in rows for curve in row["curves"].values() for point in curve]
    assert bottom < min(values)
    assert top > max(values)
    (faint,) = [found for found in ax.collections if isinstance(found, LineCollection)]
    ends = {part[-1][0] for part in faint.get_segments()}
    assert ends == {5, 14, 65, 13}
    assert faint.get_alpha() < 0.5


@pytest.mark.parametrize(("n", "sizes"), [(36, (1.0,)), (13, (0.05, 1.0))])
def test_all_curves_of_many_architectures_are_drawn_with_at_most_eight_in_a_panel(n, sizes):
    rows = many_architectures(n, sizes)
    plots = list(learning_curves(setting_of(*rows), "curves"))
    panels = [ax for plot in plots for ax in plot.figure.axes if ax.get_visible()]
    # Each run of wavelets has two phases, and with them two lines.
    assert sum(len(lines_of(ax)) for ax in panels) == sum(2 if "phase_a" in row["curves"] else 1 for row in rows)
    assert all(len({line.get_color() for line in lines_of(ax)}) <= MOST_LINES for ax in panels)
    assert [plot.name for plot in plots][:2] == ["curves", "curves_page2"][: len(plots)]
    assert all(f"page {i + 1} of {len(plots)}" in plot.title for i, plot in enumerate(plots) if len(plots) > 1)
    titles = [ax.get_title() for ax in panels]
    assert titles == list(dict.fromkeys(titles))
    if len(sizes) > 1:
        assert titles[0] == "2b_cmod_L2"
        assert titles.index("2b_cmod_L8") < titles.index("2b_cmod_L12"), "numbers in names count as numbers"


def test_equal_curves_are_one_line_with_both_names():
    same = curves(9)
    rows = [run("A", 0, SHAPE, 70, curves=same), run("B", 0, architecture(3, 8), 70, curves=same)]
    (plot,) = learning_curves(setting_of(*rows, run("C", 0, architecture(4, 4), 70, curves=curves(8))), "curves")
    (ax,) = plot.figure.axes
    assert len(lines_of(ax)) == 4
    (legend,) = plot.figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["3b_cmod_L4 = 3b_cmod_L8", "4b_cmod_L4"]


@pytest.mark.parametrize(
    ("told", "label"),
    [
        ({"validation": "test set"}, "test accuracy, %"),
        ({"validation": "held out"}, "validation accuracy, %"),
        ({}, "test accuracy, %"),
        ({"changed": {"val_split": 0.1}}, "validation accuracy, %"),
    ],
)
def test_an_accuracy_on_the_test_set_is_called_so(told, label):
    (plot,) = learning_curves(setting_of(run("A", 0, SHAPE, 70, curves=curves(9), **told)), "curves")
    assert plot.figure.axes[0].get_ylabel() == label
    assert label.split(",")[0] in plot.caption


def test_of_very_many_seeds_the_range_is_drawn_and_said():
    seeds = range(MOST_SEEDS + 1)
    rows = [run("A", seed, SHAPE, 70, curves=curves(9 + seed % 2, level=40 + seed)) for seed in seeds]
    (plot,) = learning_curves(setting_of(*rows), "curves")
    (ax,) = plot.figure.axes
    reached = np.concatenate([path.vertices for found in ax.collections for path in found.get_paths()])
    assert reached[:, 0].max() == 15
    assert "range" in plot.caption


def test_its_texts_do_not_overlap_and_it_says_what_it_shows():
    rows = [run("A", seed, SHAPE, 70, curves=curves(9, level=40 + seed)) for seed in range(3)]
    (plot,) = learning_curves(setting_of(*rows), "curves")
    assert plot.png
    boxes = boxes_of(plot.figure)
    assert overlapping(boxes) == []
    said = plot.figure.get_suptitle().replace("\n", " ")
    assert all(part in said for part in ("cifar10", "n = 3 seeds", "line: mean over seeds, faint: single seeds"))
