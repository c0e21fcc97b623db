"""All runs as data in the page: what its table of every run, the way from a number to its runs, and the comparison of
any two of them are made of."""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from analysis.comparison.differing import NEVER_SHOWN, part_of
from analysis.comparison.runs import without_effect
from analysis.numbers import is_missing
from analysis.ordering import run_order
from analysis.reading.results import Results
from analysis.tables.column import Column
from analysis.tables.overall import STRUCTURED
from analysis.tables.pages import page_file

DIGITS = 7
"""Significant digits of numbers in the page; files and pages of runs have all."""


def run_data(results: Results, columns: Sequence[Column]) -> str:
    """A script element with the runs, column by column; a column with one value for all runs stands in `common`."""
    frame = run_order(results.frame)
    config = set(results.config)
    cosmetic = without_effect(frame) if len(frame) else set()
    shown = {column.name: column for column in columns}
    found: list[dict[str, Any]] = []
    common: dict[str, Any] = {}
    for name in frame.columns:
        if name in STRUCTURED or (name in NEVER_SHOWN and name not in shown):
            continue
        values = [_plain(value) for value in frame[name]]
        distinct = dict.fromkeys(map(_key, values))
        if len(distinct) == 1 and len(values) > 1 and name not in shown:
            if values[0] is not None:
                common[name] = values[0]
            continue
        column = shown.get(name)
        entry: dict[str, Any] = {"name": name, "part": part_of(name, config), **_encoded(values)}
        if column:
            entry |= {"heading": column.heading, "form": column.form}
        if name in cosmetic:
            entry["cosmetic"] = True
        found.append(entry)
    names = [str(run) for run in frame["run"]] if len(frame) else []
    files = {name: page_file(name) for name in names if page_file(name) != f"{name}.html"}
    order = [name for name in shown if any(entry["name"] == name for entry in found)]
    known = {"runs": names, "files": files, "columns": found, "shown": order, "common": common}
    content = json.dumps(known, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return f'<script type="application/json" id="run-data">{_inside_script(content)}</script>'


def _inside_script(content: str) -> str:
    """JSON that cannot end the element that it stands in."""
    return content.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _encoded(values: Sequence[Any]) -> Mapping[str, Any]:
    """The values as they are, or as positions in a list of the distinct ones where there are few."""
    distinct: dict[Any, int] = {}
    codes = [distinct.setdefault(value, len(distinct)) for value in values]
    if 2 * len(distinct) > len(values):
        return {"values": list(values)}
    return {"of": list(distinct), "codes": codes}


def _plain(value: Any) -> Any:
    """A number, a text or None."""
    if is_missing(value):
        return None
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        number = float(value)
        if not math.isfinite(number):
            return None
        return int(number) if number.is_integer() and abs(number) < 1e15 else float(f"{number:.{DIGITS}g}")
    if isinstance(value, str):
        return value
    if isinstance(value, list | dict | tuple):
        return json.dumps(value, default=str)
    return _plain(value.item()) if hasattr(value, "item") else str(value)


def _key(value: Any) -> Any:
    return (type(value).__name__, value)


def runs_section(results: Results) -> str:
    """Where the page's script draws the table of every run, and the comparison of two."""
    n = len(results.frame)
    return (
        f'<details id="every-run"><summary>Every run ({n:,})</summary><div id="run-table"></div></details>'
        '<details id="compare"><summary>Compare two arms or runs</summary><p>'
        '<label>one <input list="arms" id="compare-one" autocomplete="off"></label> '
        '<label>the other <input list="arms" id="compare-other" autocomplete="off"></label></p>'
        f'<datalist id="arms"></datalist><div id="differences" aria-live="polite"></div></details>'
        "<noscript>python -m analysis RESULTS --out DIR leaves all runs in tables/results.csv.</noscript>"
    )
