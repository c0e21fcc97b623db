"""What notebooks/results.ipynb shows: answers, tables and plots that render themselves, two arms or one run in a line.

All functions take the results that `Results.read` returns; without any, those that were used last, or those of the
folder that the environment variable RAYSWEEP_RESULTS names, or of `results`.
"""

import base64
import html
import os
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

import pandas as pd

from analysis.comparison.differing import NEVER_SHOWN, Difference, differences, part_of
from analysis.numbers import is_missing
from analysis.plots import Plot, all_plots
from analysis.reading.results import Results
from analysis.tables.overall import all_tables
from analysis.tables.table import Table
from analysis.verdicts.answers import verdicts
from analysis.verdicts.colours import COLOURS
from analysis.verdicts.looks import looked_at
from analysis.verdicts.verdict import Verdict
from analysis.verdicts.wording import answer, basis, by_question, estimate, footnotes, remarks, what_would_settle
from raysweep.ledger import open_ledger

_last: list[Results] = []


class Verdicts(list[Verdict]):
    """Verdicts that a notebook shows as the report does: coloured, a line each that unfolds."""

    def _repr_html_(self) -> str:
        parts = []
        for answered in by_question(self):
            parts.append(f"<h4>{html.escape(answered.text)}</h4>")
            parts += [_verdict(v) for v in answered.verdicts]
        return "".join(parts) + "".join(f"<p><small>{html.escape(line)}</small></p>" for line in footnotes(self))


@dataclass(frozen=True, slots=True)
class Picture:
    """A plot that a notebook shows with its caption below it."""

    plot: Plot

    def _repr_html_(self) -> str:
        source = f"data:image/png;base64,{base64.b64encode(self.plot.png).decode()}"
        caption = f"<figcaption><small>{html.escape(self.plot.caption)}</small></figcaption>"
        alt = html.escape(self.plot.title)
        return f'<figure style="margin:0"><img style="max-width:100%" alt="{alt}" src="{source}">{caption}</figure>'


@dataclass(frozen=True, slots=True)
class Shown:
    """A frame that a notebook shows with a title, without the numbers of its rows."""

    title: str
    frame: pd.DataFrame

    def _repr_html_(self) -> str:
        return f"<h4>{html.escape(self.title)}</h4>{self.frame.to_html(index=False, na_rep='', escape=True)}"


def answers(results: Results | None = None) -> Verdicts:
    """All verdicts; that somebody has looked at them is noted."""
    results = _used(results)
    return Verdicts(looked_at(open_ledger(results.location), verdicts(results)))


def tables(results: Results | None = None) -> dict[str, Table]:
    """All tables by name, such as "summary", "comparisons", "significance"."""
    results = _used(results)
    return {table.name: table for table in all_tables(results, verdicts(results))}


def plots(results: Results | None = None) -> dict[str, Picture]:
    """All plots by name, such as "effects", "data_efficiency", "curves"; of several settings with a number behind."""
    results = _used(results)
    return {plot.name: Picture(plot) for plot in all_plots(results, verdicts(results))}


def compare(one: str, other: str, results: Results | None = None) -> Shown:
    """In what two experiments, or two runs, differ: fields of their configurations, results by their means, provenance.

    Raises KeyError, with the nearest name, where there is none of this name.
    """
    results = _used(results)
    found = differences(_runs(one, results), _runs(other, results), results.config)
    rows = [{"field": _named(d), "part": d.part, one: d.one, other: d.other, "change": d.change} for d in found]
    columns = ["field", "part", one, other, "change"]
    return Shown(f"{one} and {other}", pd.DataFrame(rows, columns=pd.Index(columns)))


def run(name: str, results: Results | None = None) -> Shown:
    """All that was recorded of a run, or of an experiment's only one: `run("A-s42")`.

    Raises KeyError, with the nearest name, where there is none of this name, or several.
    """
    results = _used(results)
    rows = _runs(name, results)
    if len(rows) > 1:
        raise KeyError(f"{name} has {len(rows)} runs: {', '.join(rows['run'].head(6))}{', ...' * (len(rows) > 6)}")
    row = {str(column): value for column, value in rows.iloc[0].items() if not is_missing(value)}
    shown = [
        {"part": part_of(column, set(results.config)), "field": column, "value": value}
        for column, value in row.items()
        if column not in NEVER_SHOWN
    ]
    ordered = sorted(shown, key=lambda entry: ("results", "configuration", "provenance").index(entry["part"]))
    return Shown(f"{row['run']}: {row['status']}", pd.DataFrame(ordered))


def _used(results: Results | None) -> Results:
    """The results given, which count from now on, or those that count already."""
    if results is not None:
        _last[:] = [results]
    elif not _last:
        _last.append(Results.read(os.environ.get("RAYSWEEP_RESULTS", "results")))
    return _last[0]


def _runs(name: str, results: Results) -> pd.DataFrame:
    """The runs of an experiment, or the one whose name this is, or begins with (`A-s42` of `A-s42-407e5326`)."""
    frame = results.frame
    names = frame["run"].astype(str)
    choices: tuple[Callable[[], Any], ...] = (
        lambda: frame["experiment"] == name,
        lambda: names == name,
        lambda: names.str.startswith(f"{name}-"),
    )
    for chosen in choices:
        rows: pd.DataFrame = frame[chosen()]
        if len(rows):
            return rows
    known = [*dict.fromkeys(frame["experiment"]), *names]
    near = get_close_matches(name, known, n=1)
    raise KeyError(f"no experiment or run is called {name!r}{f'; the nearest is {near[0]!r}' if near else ''}")


def _named(d: Difference) -> str:
    return d.name if d.has_effect else f"{d.name} (without effect)"


def _verdict(v: Verdict) -> str:
    """An answer in a line that unfolds."""
    colour = COLOURS[v.answer]
    arms = f"{v.arm} against {v.baseline}" if v.baseline else v.arm
    below = "".join(f"<li>{html.escape(text)}</li>" for text in [basis(v), *remarks(v), what_would_settle(v)] if text)
    command = f"<pre>{html.escape(v.needed.command)}</pre>" if v.needed and v.needed.command else ""
    return (
        f'<details style="border-left:4px solid {colour};padding:.1em .8em;margin:.3em 0"><summary>'
        f'<b style="color:{colour}">{html.escape(answer(v))}</b> <b>{html.escape(v.metric)}</b> '
        f"{html.escape(estimate(v))} <small>{html.escape(arms)}</small></summary><ul>{below}</ul>{command}</details>"
    )
