"""Plots of architectures by train size: all of them are drawn, and random init under no penalty but its own."""

import numpy as np
import pytest

from analysis.comparison.cells import labels_by_run
from analysis.plots import all_plots
from analysis.plots.heat_map import heat_map
from analysis.plots.scattering import advantage, data_efficiency, filter_change, gain_by_size
from analysis.plots.style import MOST_LINES
from tests.analysis.plots.drawn import (
    architecture,
    boxes_of,
    many_architectures,
    overlapping,
    results_of,
    run,
    setting_of,
)


@pytest.fixture(scope="module")
def many():
    return results_of(*many_architectures(14, (0.1, 1.0), seeds=(0, 1)))


def rows_in(plots):
    return [label.get_text() for plot in plots for label in plot.figure.axes[0].get_yticklabels()]


def test_a_heat_map_has_all_rows_and_numbers():
    setting = setting_of(*many_architectures(36))
    plots = list(heat_map(setting, "heat_map"))
    names = rows_in(plots)
    assert len(names) == len(set(names)) == 72
    assert sum(len(plot.figure.axes[0].texts) for plot in plots) == 144
    assert [plot.name for plot in plots] == ["heat_map", "heat_map_page2"]
    assert names[:4] == ["2b_cmod_L2", "2b_cmod_L2_rand", "2b_cmod_L4", "2b_cmod_L4_rand"]
    scales = {plot.figure.axes[0].images[0].get_clim() for plot in plots}
    assert len(scales) == 1, "a colour says the same on each page"


def test_random_runs_are_listed_under_no_penalty_of_the_wavelets():
    shape = architecture(3, 4)
    rows = [
        run(f"W{penalty}", seed, shape, 60 + seed + 1000 * penalty, size=size, changed={"l2_penalty": penalty})
        for penalty in (0.0, 0.001, 0.01)
        for size in (0.1, 1.0)
        for seed in (0, 1)
    ]
    random = [run("R", seed, shape, 55 + seed, size=size, random=True) for size in (0.1, 1.0) for seed in (0, 1)]
    setting = setting_of(*rows, *random)
    names = rows_in(heat_map(setting, "heat_map"))
    assert names == [*(f"3b_cmod_L4_l2_penalty={p}" for p in ("0.0", "0.001", "0.01")), "3b_cmod_L4_rand"]
    labels = labels_by_run(setting)
    assert set(labels[setting.runs["random_init"] == True]) == {"3b_cmod_L4_rand"}  # noqa: E712


def test_every_architecture_has_its_line_or_panel(many):
    (setting,) = many.settings
    panels = [ax for plot in data_efficiency(setting, "d") for ax in plot.figure.axes if ax.get_visible()]
    assert len({ax.get_title() for ax in panels}) == len(panels) == 14
    for plot in (advantage(many, setting, "a"), gain_by_size(setting, "g"), filter_change(setting, "f")):
        legends = [ax.get_legend() for ax in plot.figure.axes if ax.get_visible()]
        named = [[text.get_text() for text in legend.get_texts()] for legend in legends]
        assert sum(map(len, named)) == len({name for names in named for name in names}) == 14, plot.title
        assert max(map(len, named)) <= MOST_LINES


def test_a_point_for_each_run_moved_its_filters(many):
    (setting,) = many.settings
    plot = filter_change(setting, "f")
    points = np.concatenate([found.get_offsets() for ax in plot.figure.axes for found in ax.collections])
    assert len(points) == 14 * 2 * 2
    for ax in plot.figure.axes:
        (low, high), (bottom, top) = ax.get_xlim(), ax.get_ylim()
        own = np.concatenate([found.get_offsets() for found in ax.collections])
        assert low < own[:, 0].min() < own[:, 0].max() < high
        assert bottom < own[:, 1].min() < own[:, 1].max() < top


def test_titles_say_data_set_n_and_band_and_legends_are_off_the_data():
    rows = many_architectures(2, (0.1, 1.0), seeds=(0, 1, 2))
    results = results_of(*rows)
    plots = {plot.name: plot for plot in all_plots(results, [])}
    assert set(plots) == {"data_efficiency", "advantage", "gain", "filter_change", "heat_map", "cost", "curves"}
    for plot in plots.values():
        assert plot.png
        said = plot.figure.get_suptitle()
        assert said.startswith(plot.title.split(",")[0].split(" by")[0]), plot.name
        assert "cifar10" in said
        assert "n = 3" in said
        assert overlapping(boxes_of(plot.figure)) == [], plot.name
        shown = [ax for ax in plot.figure.axes if ax.get_visible()]
        for legend in [*plot.figure.legends, *filter(None, (ax.get_legend() for ax in shown))]:
            box = legend.get_window_extent()
            for ax in shown:
                data = ax.get_window_extent()
                assert not (min(box.x1, data.x1) > max(box.x0, data.x0) and min(box.y1, data.y1) > max(box.y0, data.y0))
    for name in ("data_efficiency", "gain"):
        assert "band: 95 % interval of the mean over seeds" in plots[name].figure.get_suptitle().replace("\n", " ")


def test_a_plot_is_written_as_png_svg_and_pdf_the_same_each_time(tmp_path):
    setting = setting_of(*many_architectures(2, (0.1, 1.0), seeds=(0, 1)))
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        for plot in heat_map(setting, "heat_map"):
            plot.write(tmp_path / name)
    files = sorted(file.name for file in (tmp_path / "one").iterdir())
    assert files == ["heat_map.pdf", "heat_map.png", "heat_map.svg"]
    for file in files:
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()
    assert (tmp_path / "one" / "heat_map.pdf").read_bytes().startswith(b"%PDF-")
