"""All plots of a results folder, as figures that are written as PNG and SVG or shown in a notebook."""

from collections.abc import Sequence

from analysis.plots.curves import learning_curves
from analysis.plots.effects import accuracy_against_cost, accuracy_against_time, forest
from analysis.plots.scattering import scattering_plots
from analysis.plots.style import Plot
from analysis.reading.results import Results
from analysis.tables.airbench import timed_runs
from analysis.verdicts.verdict import Verdict

MOST_SETTINGS = 4
"""Settings that have plots: those with the most runs."""

__all__ = ["Plot", "all_plots"]


def all_plots(results: Results, answers: Sequence[Verdict]) -> list[Plot]:
    """The forest of all effects, then for each setting what its runs have the data for."""
    settings = sorted(results.settings, key=lambda setting: -len(setting.runs))[:MOST_SETTINGS]
    found = [forest(answers)]
    for i, setting in enumerate(settings):
        suffix = f"_{i + 1}" if len(settings) > 1 else ""
        found += scattering_plots(results, setting, suffix)
        timed = timed_runs(setting)
        found.append(accuracy_against_time(timed, setting.dataset, setting.title, f"time{suffix}"))
        found.append(accuracy_against_cost(setting, f"cost{suffix}"))
        found.append(learning_curves(setting, f"curves{suffix}"))
    return [plot for plot in found if plot]
