"""The plots of all sweeps: the effects that the questions ask about, and accuracy against what it costs."""

import math
import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.lines import Line2D

from analysis.comparison.runs import metric_of
from analysis.plots.style import PUBLISHED, Plot, cost_axis, look, panels
from analysis.published import AIRBENCH, AIRBENCH_DATA
from analysis.reading.results import Setting, searched
from analysis.statistics import mean_interval
from analysis.verdicts.beside import n_of
from analysis.verdicts.power import duration_of
from analysis.verdicts.verdict import EQUIVALENT, NO, UNDECIDED, YES, Verdict

ANSWERS = {YES: ("#0072B2", "o"), NO: ("#D55E00", "s"), EQUIVALENT: ("#009E73", "D"), UNDECIDED: ("0.45", "^")}

MOST_ROWS = 60


def forest(answers: Sequence[Verdict]) -> Plot | None:
    """Every question's effect with its 95 % interval, a panel for each unit; None where nothing was compared."""
    compared = [v for v in answers if v.estimate is not None and v.kind != "target"]
    shown = compared[:MOST_ROWS]
    if not shown:
        return None
    units: dict[str, list[Verdict]] = {}
    for v in shown:
        units.setdefault(_unit(v), []).append(v)
    heights = [0.8 + 0.58 * len(rows) for rows in units.values()]
    several = len({v.setting for v in shown}) > 1
    with panels(len(units), columns=1, size=(8.2, sum(heights) / len(units)), height_ratios=heights) as (figure, axes):
        for ax, (unit, rows) in zip(axes, units.items(), strict=True):
            _forest_panel(ax, unit, rows, several)
        found = [answer for answer in ANSWERS if any(v.answer == answer for v in shown)]
        looks = [Line2D([], [], color=ANSWERS[a][0], marker=ANSWERS[a][1], linestyle="none", label=a) for a in found]
        figure.legend(handles=looks, loc="outside upper right", ncols=len(looks))
    left_out = f" The first {MOST_ROWS} of {len(compared)}." if len(compared) > MOST_ROWS else ""
    return Plot(
        name="effects",
        title="Effects",
        caption="Arm less baseline (times and speeds: arm over baseline less 1), with 95 % intervals that hold at "
        "any look (dotted: of so few seeds, for one look); grey: smaller "
        f"than what matters. Hollow: the arms differ in more than the question's factor.{left_out}",
        figure=figure,
    )


def _forest_panel(ax: Any, unit: str, rows: Sequence[Verdict], several: bool) -> None:
    """A row for each effect; ratios are drawn by their logarithms, so that twice and half are equally far."""

    def place(value: float) -> float:
        return math.log1p(value) if unit == "%" else value

    for y, v in enumerate(rows):
        assert v.estimate is not None
        color, marker = ANSWERS[v.answer]
        matters = place(v.matters)
        ax.fill_betweenx([y - 0.4, y + 0.4], -matters, matters, color="0.9", linewidth=0, zorder=0)
        if interval := v.interval or v.interval_fixed:
            dash = "-" if v.interval else ":"
            ax.plot([place(end) for end in interval], [y, y], dash, color=color, linewidth=1.4)
        face = "white" if v.confounded else color
        ax.plot(place(v.estimate), y, marker, color=color, markerfacecolor=face, markersize=6)
    ax.axvline(0, color="0.3", linewidth=0.8)
    if unit == "%":
        low, high = ax.get_xlim()
        ticks: list[float] = []
        for tick in sorted(RATIOS, key=abs):  # from zero outwards, with room between them
            at = math.log1p(tick)
            if low <= at <= high and all(abs(at - math.log1p(t)) > 0.09 * (high - low) for t in ticks):
                ticks.append(tick)
        ax.set_xticks([math.log1p(tick) for tick in ticks], labels=[f"{100 * tick:+.0f}" for tick in ticks])
    arms: dict[str, set[str]] = {}
    for v in rows:
        arms.setdefault(v.question, set()).add(v.arm)
    names = [_row_name(v, several, len(arms[v.question]) > 1) for v in rows]
    ax.set_yticks(range(len(rows)), labels=names, fontsize=8)
    ax.set_ylim(len(rows) - 0.4, -0.6)
    ax.grid(visible=False, axis="y")
    ax.set_xlabel(unit)


RATIOS = (-0.9, -0.75, -0.5, -0.2, -0.1, -0.05, 0.0, 0.05, 0.1, 0.25, 0.5, 1.0, 3.0, 9.0, 29.0)
"""Ticks of a panel of ratios less 1, as far as they are in view."""


def _row_name(v: Verdict, with_setting: bool, with_arm: bool) -> str:
    """The question in two lines, then metric, arm and number of seeds."""
    told = f"{v.metric}{f', {v.arm}' * with_arm}, {n_of(v)}{f', {v.setting[:40]}' * with_setting}"
    return "\n".join([*textwrap.wrap(v.text, 54, max_lines=2, placeholder=" ..."), told])


def _unit(v: Verdict) -> str:
    """What the axis of an effect says: its unit, or the metric where that has none."""
    unit = v.unit or v.metric
    return f"{unit} per doubling of the {v.over.replace('_', ' ')}" if v.kind == "trend" else unit


def accuracy_against_cost(setting: Setting, name: str) -> Plot | None:
    """Mean final accuracy of each experiment against parameters, training time and FLOPs, with the front that no other
    experiment beats in both."""
    table = _costs(setting)
    names = [c for c in ("parameters", "minutes of training", "PFLOP") if c in table]
    costs = [c for c in names if table[c].max() > 1.05 * table[c].min()]
    if len(table) < 2 or not costs:
        return None
    sizes = sorted(table["train size"].dropna().unique()) or [1.0]
    with panels(len(costs), sharey=True) as (figure, axes):
        for ax, cost in zip(axes, costs, strict=True):
            for i, size in enumerate(sizes[:8]):
                part = table[table["train size"].fillna(sizes[0]) == size]
                style = look(i)
                label = f"{100 * size:g} %" if size <= 1 else f"{size:g}"
                ax.plot(part[cost], part["accuracy"], style["marker"], color=style["color"], label=label)
                front = _front(part[[cost, "accuracy"]].dropna())
                ax.plot(front[cost], front["accuracy"], color=style["color"], linewidth=0.8, drawstyle="steps-post")
            named = table.dropna(subset=[cost]) if len(table) <= MOST_NAMES else front.tail(MOST_NAMES)
            for experiment, point in named.iterrows():
                told = textwrap.shorten(str(experiment).replace("_", " "), LONGEST_NAME, placeholder=" ...")
                at = (point[cost], point["accuracy"])
                ax.annotate(told, at, fontsize=7, xytext=(3, -9), textcoords="offset points")
            cost_axis(ax, table[cost].dropna().tolist())
            ax.set_xlabel(cost)
            ax.margins(x=0.12, y=0.1)
        axes[0].set_ylabel("accuracy, %")
        if len(sizes) > 1:
            axes[0].legend(title="train size", title_fontsize=8.5)
    return Plot(
        name=name,
        title="Accuracy against cost",
        caption=f"{setting.title}. Means over seeds. Lines join what no other experiment with the same train size beats"
        " in both.",
        figure=figure,
    )


MOST_NAMES = 4
LONGEST_NAME = 26


def _costs(setting: Setting) -> pd.DataFrame:
    """One row for each experiment: accuracy and what it costs."""
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
    return (
        table.dropna(subset=["accuracy"])
        .dropna(axis="columns", how="all")
        .assign(**{"train size": table.get("train size")})
    )


def _front(points: pd.DataFrame) -> pd.DataFrame:
    """The points, by rising cost, that are better than every cheaper one."""
    ordered = points.sort_values([points.columns[0], "accuracy"], ascending=[True, False])
    return ordered[ordered["accuracy"] > ordered["accuracy"].cummax().shift(fill_value=-np.inf)]


OFFSETS = ((5, 4), (5, -11), (5, 14), (-40, -11), (-40, 6))
"""Where names stand beside their points, in turn, in points."""


def accuracy_against_time(timed: pd.DataFrame, dataset: str, title: str, name: str) -> Plot | None:
    """The airbench steps: mean accuracy with its 95 % interval against the seconds of the author's clock."""
    if timed.empty:
        return None
    theirs = dataset == AIRBENCH_DATA
    with panels(size=(6.4, 4.2)) as (figure, (ax,)):
        for i, (device, part) in enumerate(timed.groupby("device_name", sort=False)):
            style = look(i)
            for j, (experiment, runs) in enumerate(part.groupby("experiment", sort=False)):
                values, seconds = runs["final_acc"].dropna().tolist(), float(runs["train_seconds"].mean())
                if not values:
                    continue
                mean, interval = sum(values) / len(values), mean_interval(values)
                error = [[mean - interval[0]], [interval[1] - mean]] if interval else None
                label = str(device) if j == 0 else None
                ax.errorbar(seconds, mean, yerr=error, capsize=3, label=label, **{**style, "linestyle": "none"})
                aside = OFFSETS[j % len(OFFSETS)]
                ax.annotate(str(experiment), (seconds, mean), fontsize=8, xytext=aside, textcoords="offset points")
        if theirs:
            steps = [p for step, p in AIRBENCH.items() if p.seconds and step in set(timed["experiment"])]
            ax.plot([p.seconds for p in steps], [p.mean for p in steps], ".-", label="the author, A100", **PUBLISHED)
        ends = [*timed["train_seconds"], *([p.seconds for p in steps] if theirs else [])]
        cost_axis(ax, [float(end) for end in ends if end])
        ax.margins(x=0.12, y=0.12)
        ax.set_ylim(bottom=max(0.0, ax.get_ylim()[0]))
        ax.set_xlabel("seconds (whitening, training, evaluation)")
        ax.set_ylabel("accuracy, %")
        ax.legend()
    said = " Thin grey: the author's means at his own epochs, on another device." if theirs else ""
    return Plot(
        name=name,
        title="Accuracy against time",
        caption=f"{title}. Means over runs with 95 % intervals.{said}",
        figure=figure,
    )
