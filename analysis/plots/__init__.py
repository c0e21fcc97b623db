"""All plots of a results folder, as figures that are written as PNG, SVG and PDF or shown in a notebook."""

from collections.abc import Iterator, Sequence

from analysis.plots.costs import accuracy_against_cost, accuracy_against_time
from analysis.plots.curve_series import CurveSeries, SeedCurve, curve_series
from analysis.plots.curves import learning_curves
from analysis.plots.effects import forest
from analysis.plots.filters import filter_plots
from analysis.plots.heat_map import heat_map
from analysis.plots.images import image_plots
from analysis.plots.scattering import scattering_plots
from analysis.plots.style import Plot
from analysis.reading.results import Results
from analysis.tables.airbench import timed_runs
from analysis.verdicts.verdict import Verdict

__all__ = ["CurveSeries", "Plot", "SeedCurve", "all_plots", "curve_series"]


def all_plots(results: Results, answers: Sequence[Verdict]) -> list[Plot]:
    """The forest of all effects, then for each setting what its runs have the data for, those with most runs first.

    What is wrong with a file that a plot needs goes into the notices of the results.
    """
    return [plot for plot in _plots(results, answers) if plot]


def _plots(results: Results, answers: Sequence[Verdict]) -> Iterator[Plot | None]:
    settings = sorted(results.settings, key=lambda setting: -len(setting.runs))
    yield from forest(results, answers)
    for i, setting in enumerate(settings):
        suffix = f"_{i + 1}" if len(settings) > 1 else ""
        yield from scattering_plots(results, setting, suffix)
        yield from heat_map(setting, f"heat_map{suffix}")
        yield accuracy_against_time(timed_runs(setting), setting, f"time{suffix}")
        yield accuracy_against_cost(setting, f"cost{suffix}")
        yield from learning_curves(setting, f"curves{suffix}")
        yield from filter_plots(results, setting, suffix)
    yield from image_plots(answers)
