"""What notebooks/results.ipynb shows: answers, tables and plots that render themselves."""

from analysis.plots import Plot, all_plots
from analysis.reading.results import Results
from analysis.tables.overall import all_tables
from analysis.tables.table import Table
from analysis.verdicts.answers import verdicts
from analysis.verdicts.looks import looked_at
from analysis.verdicts.wording import Verdicts
from raysweep.ledger import open_ledger


def answers(results: Results) -> Verdicts:
    """All verdicts; that somebody has looked at them is noted."""
    return Verdicts(looked_at(open_ledger(results.location), verdicts(results)))


def tables(results: Results) -> dict[str, Table]:
    """All tables by name, such as "summary", "comparisons", "significance"."""
    return {table.name: table for table in all_tables(results, verdicts(results))}


def plots(results: Results) -> dict[str, Plot]:
    """All plots by name, such as "effects", "data_efficiency", "curves"; of several settings with a number behind."""
    return {plot.name: plot for plot in all_plots(results, verdicts(results))}
