"""What a report is made of, worked out once for all its forms."""

from collections.abc import Sequence
from dataclasses import dataclass

from analysis.comparison.cells import places_of
from analysis.plots import Plot, all_plots
from analysis.reading.results import Results
from analysis.report.placing import Placed, placed
from analysis.tables.overall import all_tables
from analysis.tables.table import Table
from analysis.verdicts.verdict import Verdict


@dataclass(frozen=True, kw_only=True)
class Content:
    """Results, the answers that they give, and what tables and plots show of both."""

    results: Results
    answers: Sequence[Verdict]
    placed: Sequence[Placed]
    """The answers by their places in the grid."""
    tables: Sequence[Table]
    plots: Sequence[Plot]

    @classmethod
    def of(cls, results: Results, answers: Sequence[Verdict]) -> "Content":
        """Work out all of it, which may add to the notices of the results."""
        return cls(
            results=results,
            answers=answers,
            placed=list(placed(results, answers, places_of(results))),
            tables=all_tables(results, list(answers)),
            plots=all_plots(results, answers),
        )
