"""Accuracy against what it costs: parameters, operations and time, with the front that nothing else beats in both."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from analysis.comparison.cells import labels_by_run
from analysis.comparison.runs import metric_of
from analysis.numbers import size_told
from analysis.ordering import natural
from analysis.plots.labels import Named, place_names
from analysis.plots.said import accuracy_told, runs_told
from analysis.plots.style import PUBLISHED, Plot, cost_axis, head, legend_below, look, panels
from analysis.published import AIRBENCH, AIRBENCH_DATA
from analysis.reading.results import Setting, searched
from analysis.statistics import mean_interval
from analysis.verdicts.power import duration_of

COSTS = ("parameters", "minutes of training", "PFLOP")
LONGEST_LINE = 32
"""Letters of a name after which it goes on in a further line."""


def accuracy_against_cost(setting: Setting, name: str) -> Plot | None:
    """Mean final accuracy of each experiment against parameters, training time and operations; None where they do not
    differ in any of these."""
    table = costs_of(setting)
    costs = [c for c in COSTS if c in table and table[c].max() > 1.05 * table[c].min()]
    if len(table) < 2 or not costs:
        return None
    sizes = sorted(table["train size"].dropna().unique()) or [1.0]
    runs = setting.runs[setting.runs["experiment"].isin(table.index)]
    named = placed = 0
    with panels(len(costs), size=(6.4, 4.4), sharey=True) as (figure, axes):
        fronts = [_points_and_fronts(ax, table, cost, sizes) for ax, cost in zip(axes, costs, strict=True)]
        axes[0].set_ylabel(f"{accuracy_told(runs)}, %")
        several = len(sizes) > 1
        handles = [
            Line2D([], [], **{**look(i), "linestyle": "-", "linewidth": 0.8}, label=size_told(size))
            for i, size in enumerate(sizes)
        ]
        legend_below(figure, handles if several else [], "train size")
        by_size = f"a line for each of {len(sizes)} train sizes: " if several else "line: "
        head(
            figure,
            "Accuracy against cost",
            runs_told(setting, runs, "means over seeds"),
            f"{by_size}what no other experiment beats in both; its points are named",
        )
        figure.draw_without_rendering()
        for ax, cost, front in zip(axes, costs, fronts, strict=True):
            points = table[[cost, "accuracy"]].dropna().to_numpy().tolist()
            placed += len(place_names(ax, front, [(x, y) for x, y in points]))
            named += len(front)
    lacking = f" There was no room for {named - placed} of {named} names." if placed < named else ""
    return Plot(
        name=name,
        title="Accuracy against cost",
        caption=f"{runs_told(setting, runs)}. Means over seeds. Lines join, and names say, what no other experiment "
        f"with the same train size beats in both.{lacking}",
        figure=figure,
    )


def _points_and_fronts(ax: Axes, table: pd.DataFrame, cost: str, sizes: Sequence[float]) -> list[Named]:
    """Draw the experiments of one cost. Returns the points on the fronts with their names, of points above one another
    with the same name the highest."""
    highest: dict[tuple[str, float], float] = {}
    for i, size in enumerate(sizes):
        part = table[table["train size"].fillna(sizes[0]) == size].dropna(subset=[cost])
        style = look(i)
        ax.plot(part[cost], part["accuracy"], style["marker"], color=style["color"], linestyle="none")
        front = part.loc[_front(part[[cost, "accuracy"]]).index]
        ax.plot(front[cost], front["accuracy"], color=style["color"], linewidth=0.8, drawstyle="steps-post")
        for label, x, y in zip(front["label"], front[cost], front["accuracy"], strict=True):
            highest[label, float(x)] = max(float(y), highest.get((label, float(x)), -math.inf))
    cost_axis(ax, table[cost].dropna().tolist())
    ax.set_xlabel(cost)
    ax.margins(x=0.14, y=0.12)
    return [Named(text=_folded(label), x=x, y=y) for (label, x), y in highest.items()]


def _folded(name: str) -> str:
    """A long name in several lines, broken before a word."""
    lines = [""]
    for part in name.replace("_", " _").split():
        if lines[-1] and len(lines[-1]) + len(part) > LONGEST_LINE:
            lines.append("")
        lines[-1] += part if part.startswith("_") else f" {part}" if lines[-1] else part
    return "\n".join(lines)


def costs_of(setting: Setting) -> pd.DataFrame:
    """One row for each experiment: what it is called, its accuracy and what it costs, in the order of the names."""
    runs = setting.runs
    if runs.empty or "final_acc" not in runs:
        return pd.DataFrame()
    runs = runs[~searched(runs)]
    columns = {
        "accuracy": metric_of(runs, "final_acc"),
        "parameters": metric_of(runs, "n_params_total"),
        "minutes of training": duration_of(runs) / 60,
        "PFLOP": metric_of(runs, "pflop"),
        "train size": metric_of(runs, "train_size"),
    }
    known = pd.DataFrame({name: values.reindex(runs.index) for name, values in columns.items()})
    if "imported" in runs and runs["imported"].notna().any():
        known["minutes of training"] = np.nan  # theirs are not in their files
    table = known.groupby(runs["experiment"], sort=False).mean()
    labels = labels_by_run(setting)[runs.index].groupby(runs["experiment"]).first()
    found = table.dropna(subset=["accuracy"]).dropna(axis="columns", how="all")
    found = found.assign(**{"train size": table.get("train size"), "label": labels})
    return found.loc[sorted(found.index, key=natural)]


def _front(points: pd.DataFrame) -> pd.DataFrame:
    """The points, by rising cost, that are better than every cheaper one."""
    ordered = points.sort_values([points.columns[0], "accuracy"], ascending=[True, False])
    return ordered[ordered["accuracy"] > ordered["accuracy"].cummax().shift(fill_value=-np.inf)]


def accuracy_against_time(timed: pd.DataFrame, setting: Setting, name: str) -> Plot | None:
    """The airbench steps: mean accuracy with its 95 % interval against the seconds of the author's clock."""
    if timed.empty or timed["final_acc"].dropna().empty:
        return None
    theirs = setting.dataset == AIRBENCH_DATA
    with panels(size=(7.0, 4.6)) as (figure, (ax,)):
        named, points, handles = [], [], []
        for i, (device, part) in enumerate(timed.groupby("device_name", sort=False)):
            style = {**look(i), "linestyle": "none"}
            handles.append(Line2D([], [], **style, label=str(device)))
            for experiment, runs in part.groupby("experiment", sort=False):
                values, seconds = runs["final_acc"].dropna().tolist(), float(runs["train_seconds"].mean())
                if not values or not math.isfinite(seconds):
                    continue
                mean, interval = sum(values) / len(values), mean_interval(values)
                error = [[mean - interval[0]], [interval[1] - mean]] if interval else None
                ax.errorbar(seconds, mean, yerr=error, capsize=3, **style)
                named.append(Named(text=str(experiment), x=seconds, y=mean))
                points += [(seconds, y) for y in (mean, *(np.linspace(*interval, 40).tolist() if interval else ()))]
        steps = [p for step, p in AIRBENCH.items() if theirs and p.seconds and step in set(timed["experiment"])]
        if steps:
            (line,) = ax.plot([p.seconds for p in steps], [p.mean for p in steps], ".-", **PUBLISHED)
            line.set_label("the author, A100")
            handles.append(line)
        ends = [*timed["train_seconds"].dropna(), *(p.seconds for p in steps)]
        cost_axis(ax, [float(end) for end in ends if end])
        _around(ax, points)
        ax.set_xlabel("seconds (whitening, training, evaluation)")
        ax.set_ylabel(f"{accuracy_told(timed)}, %")
        legend_below(figure, handles)
        head(figure, "Accuracy against time", runs_told(setting, timed, "bars: 95 % interval of the mean over runs"))
        figure.draw_without_rendering()
        placed = place_names(ax, named, points, fontsize=8)
    said = " Thin grey: the author's means at his own epochs, on another device." if steps else ""
    lacking = f" There was no room for {len(named) - len(placed)} of {len(named)} names." * (len(placed) < len(named))
    return Plot(
        name=name,
        title="Accuracy against time",
        caption=f"{runs_told(setting, timed)}. Means over runs with 95 % intervals.{said}{lacking}",
        figure=figure,
    )


def _around(ax: Axes, points: Sequence[Any]) -> None:
    """Axes with room for names around all points, no accuracy below zero."""
    ax.margins(x=0.14, y=0.14)
    ax.autoscale_view()
    low, high = ax.get_ylim()
    ax.set_ylim(max(0.0, low) if min(y for _, y in points) >= 0 else low, high)
