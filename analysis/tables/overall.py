"""The tables that every sweep has, run by run and by experiment; and the list of all tables."""

from collections import Counter
from collections.abc import Iterator, Sequence
from statistics import fmean
from typing import Any

import pandas as pd

from analysis import statistics
from analysis.comparison.runs import metric_of, rows_of, values_of
from analysis.numbers import Form
from analysis.ordering import run_order
from analysis.reading.families import Families
from analysis.reading.results import Results, Setting, searched
from analysis.tables.airbench import cascade_table
from analysis.tables.column import LABEL, PLAIN, WARNING
from analysis.tables.comparisons import comparisons_table
from analysis.tables.fitting import SPREAD
from analysis.tables.images import image_tables
from analysis.tables.scattering import experiments_table, filter_change_table, significance_table
from analysis.tables.searches import search_tables
from analysis.tables.table import Column, Table
from analysis.verdicts.verdict import Verdict
from raysweep.experiment import Metric

MOST_LABELS = 40
"""Runs above which the terminal shows one row for each experiment."""

STRUCTURED = ("curves", "block_summary", "no_effect", "facts")
"""Columns whose values are lists or objects, which no table shows."""


def all_tables(results: Results, answers: Sequence[Verdict]) -> list[Table]:
    """Every table that has rows; results and comparisons in any case."""
    special = [
        experiments_table(results),
        significance_table(results),
        filter_change_table(results),
        cascade_table(results),
        *search_tables(results),
        *image_tables(answers),
    ]
    always = ("significance",)
    return [
        comparisons_table(answers),
        summary_table(results),
        results_table(results),
        *(table for table in special if len(table.rows) or table.name in always),
    ]


def results_table(results: Results) -> Table:
    """One row for each finished run, with every field of its configuration, every result and its provenance."""
    runs = results.finished
    kept = runs[[name for name in runs if name not in STRUCTURED]]
    families = Families.of(runs, results.families)
    columns = _columns(runs, ("dataset", "experiment", "seed"), families)
    return Table(
        name="results",
        title="Results, run by run",
        rows=run_order(kept.assign(runs=kept["run"])) if len(kept) else kept,
        columns=columns,
        note=_units(columns, families),
    )


def runs_table(setting: Setting) -> Table:
    """The finished runs of a setting, for the terminal; one row for each experiment where there are many."""
    runs = setting.runs[~searched(setting.runs)] if len(setting.runs) else setting.runs
    if len(runs) > MOST_LABELS:
        return _summary([setting], setting.title, setting.families)
    labels = ("experiment", "seed") if runs["group"].nunique() == 1 else ("experiment", "group", "seed")
    columns = _columns(runs, labels, setting.families)
    note = _units(columns, setting.families)
    return Table(name="runs", title=setting.title, rows=run_order(runs), columns=columns, note=note, file="results")


def summary_table(results: Results) -> Table:
    """One row for each experiment in each setting: means over seeds with their 95 % intervals, and what was lost."""
    return _summary(results.settings, "Results by experiment", Families.of(results.finished, results.families))


def _summary(settings: list[Setting], title: str, families: Families) -> Table:
    finished = pd.concat([setting.runs for setting in settings]) if settings else pd.DataFrame()
    columns = _columns(finished, (), families) if len(finished) else []
    frame = pd.DataFrame([row for setting in settings for row in _means(setting, columns)])
    shown = [
        Column(name="experiment", heading="experiment", importance=LABEL),
        *([Column(name="setting", heading="setting", wrap=True, importance=LABEL)] if len(settings) > 1 else []),
        Column(name="n", heading="n", form="n", importance=OF_KINDS["n"]),
        *(
            Column(name=status, heading=status, form="n", importance=WARNING)
            for status in ("failed", "diverged", "left out", "missing")
            if status in frame and frame[status].notna().any()
        ),
    ]
    for column in columns:
        shown.append(column)
        precise = isinstance(column.form, int) and column.form >= 2
        if precise and f"{column.name}_lo" in frame and frame[f"{column.name}_lo"].notna().any():
            frame[f"{column.name}_pm"] = (frame[f"{column.name}_hi"] - frame[f"{column.name}_lo"]) / 2
            importance = min(column.importance - 1, OF_KINDS["spread"])
            shown.append(Column(name=f"{column.name}_pm", heading=SPREAD, form=column.form, importance=importance))
    note = f"{_units(columns, families)} Means over n seeds, ±: half of their 95 % interval.".lstrip()
    return Table(name="summary", title=title, rows=frame, columns=shown, note=note)


def _means(setting: Setting, columns: Sequence[Column]) -> Iterator[dict[str, Any]]:
    """A row for each experiment of a setting."""
    ended = Counter(zip(setting.ended["experiment"], setting.ended["status"], strict=True))
    for experiment, runs in run_order(setting.runs).groupby("experiment", sort=False):
        planned = {plan["seed"] for plan in setting.planned if plan["experiment"] == experiment}
        out = rows_of(str(experiment), setting.excluded)
        row: dict[str, Any] = {"experiment": experiment, "setting": setting.title, "n": len(runs)}
        for status in ("failed", "diverged"):
            row[status] = ended[(experiment, status)] or None
        row["left out"] = len(out) or None
        row["missing"] = len(planned - {*runs["seed"], *out["seed"]}) or None
        for column in columns:
            values = metric_of(runs, column.name).tolist()
            if values:
                interval = statistics.mean_interval(values) if len(set(values)) > 1 else None
                row[column.name] = fmean(values)
                row[f"{column.name}_lo"], row[f"{column.name}_hi"] = interval or (None, None)
        yield {**row, "runs": " ".join(runs["run"])}


def _columns(runs: pd.DataFrame, labels: Sequence[str], families: Families) -> list[Column]:
    """The labels, and the columns of the families that the runs have something in.

    Metrics are shown where classes and values are large enough, fields of the configuration where they vary.
    """
    shown = [
        Column(
            name=name,
            heading=name,
            form="g" if name == "seed" else None,
            importance=OF_KINDS["group"] if name == "group" else LABEL,
        )
        for name in labels
    ]
    classes = metric_of(runs, "num_classes").max()
    for name in families.columns:
        values = [value for value in values_of(runs, name) if value is not None] if name in runs else []
        metric = families.declared(name)
        if metric and values and _is_shown(metric, metric_of(runs, name).max(), classes):
            shown.append(
                Column(name=name, heading=_heading(metric), form=_form(metric), importance=_importance(metric))
            )
        if not metric and len(values) > 1:
            shown.append(Column(name=name, heading=name, form=_form_of_values(values), importance=OF_KINDS["field"]))
    return shown


def _is_shown(metric: Metric, largest: float, classes: float) -> bool:
    """Whether there are enough classes, and the largest of the values is large enough."""
    enough = not metric.least_classes or classes >= metric.least_classes
    return enough and (not metric.least_shown or largest >= metric.least_shown)


OF_KINDS = {"field": 80, "accuracy": 70, "points": 60, "n": 45, "spread": 40, "top-5": 25, "group": 15}
"""How important columns are: fields of the configuration that vary, accuracies, differences of them, the number of
seeds, half of an interval, accuracies of the first five classes, and the name of a group."""
OF_UNITS = {"%": OF_KINDS["accuracy"], "points": OF_KINDS["points"], "": PLAIN, "s": 35, "parameters": 30}
"""How important metrics of these units are. Rates and others come behind them."""
OTHERS = 20


def _importance(metric: Metric) -> int:
    return OF_KINDS["top-5"] if metric.least_classes else OF_UNITS.get(metric.unit, OTHERS)


def _units(columns: Sequence[Column], families: Families) -> str:
    """What the numbers of accuracies are, where there are some."""
    known = (families.declared(column.name) for column in columns)
    return "Accuracies in percent." if any(metric and metric.unit == "%" for metric in known) else ""


FORMS: dict[str, Form] = {"s": "s", "parameters": "M"}
"""How numbers of some units are written."""


def _form(metric: Metric) -> Form:
    return metric.digits if metric.digits is not None else FORMS.get(metric.unit, 2)


def _form_of_values(values: Sequence[Any]) -> Form:
    return "g" if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values) else None


def _heading(metric: Metric) -> str:
    """The label of a family that has declared one, else the name, with the unit where neither it nor the values say."""
    is_said = metric.unit in ("", "%", "points", *FORMS) or metric.name.endswith("_per_second")
    return metric.label or (metric.name if is_said else f"{metric.name} ({metric.unit})")
