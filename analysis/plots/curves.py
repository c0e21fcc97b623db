"""Learning curves: the metric by epoch, one line for each experiment, its seeds as a band."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from analysis.comparison.cells import cells
from analysis.plots.style import Plot, look, panels
from analysis.reading.results import Setting, searched

MOST_LINES, MOST_PANELS = 8, 9

ORDER = ("phase_a", "phase_b", "joint", "train")
"""Curves of a run in the order in which they were trained."""


def learning_curves(setting: Setting, name: str) -> Plot | None:
    """A panel for each train size; None where no run has curves."""
    runs = setting.runs
    if runs.empty or "curves" not in runs:
        return None
    runs = runs[~searched(runs) & runs["curves"].map(lambda curves: isinstance(curves, dict) and any(curves.values()))]
    if runs.empty:
        return None
    labels = runs["experiment"].copy()
    for cell in (cell for implied in setting.families.implied for cell in cells(setting, implied)):
        for label, part in ((cell.arm_label, cell.arm), (cell.baseline_label, cell.baseline)):
            labels.loc[labels.index.intersection(part.index)] = label
    alone = len(set(labels)) == runs["experiment"].nunique() or "train_size" not in runs
    if alone:
        labels = runs["experiment"]
    sizes = [None] if alone else sorted(runs["train_size"].dropna().unique())[:MOST_PANELS]
    order = list(dict.fromkeys(labels))
    shown, phases = order[:MOST_LINES], False
    with panels(len(sizes), sharey=True) as (figure, axes):
        validated = any("val_acc" in point for run in runs["curves"] for name in ORDER for point in run.get(name) or ())
        metric = "val_acc" if validated else "train_loss"
        for ax, size in zip(axes, sizes, strict=True):
            part = runs if size is None else runs[runs["train_size"] == size]
            of_part = labels[part.index]
            for label in [label for label in shown if (of_part == label).any()]:
                style = {**look(order.index(label)), "marker": None}
                phases |= _line(ax, part[of_part == label]["curves"].tolist(), metric, label, style)
            if size is not None:
                ax.set_title(f"{100 * size:g} % of the images" if size <= 1 else f"{size:g} images")
            ax.set_xlabel("epoch")
        axes[0].set_ylabel("validation accuracy, %" if validated else "training loss")
        handles = {line.get_label(): line for ax in axes for line in ax.lines if not line.get_label().startswith("_")}
        figure.legend(handles=handles.values(), loc="outside upper center", ncols=min(4, len(handles)))
    said = " Dotted: fine-tuning begins, after the head was trained on frozen filters." if phases else ""
    said += f" The first {MOST_LINES} of {len(order)}." if len(order) > MOST_LINES else ""
    return Plot(
        name=name,
        title="Learning curves",
        caption=f"{setting.title}. Lines: mean over seeds, as far as all of them were trained; bands: from the lowest "
        f"to the highest seed.{said}",
        figure=figure,
    )


def _line(ax: Any, runs: Sequence[Mapping[str, Any]], metric: str, label: str, style: dict[str, Any]) -> bool:
    """The mean over runs and their range, phase after phase, each to the end of its shortest run. Returns whether
    fine-tuning follows a head phase."""
    done = 0
    follows = False
    for name in ORDER:
        curves = [[point.get(metric, np.nan) for point in run.get(name) or ()] for run in runs]
        curves = [curve for curve in curves if curve]
        if not curves:
            continue
        shortest = min(map(len, curves))
        table = np.array([curve[:shortest] for curve in curves], dtype=float)
        x = np.arange(done + 1, done + shortest + 1)
        ax.plot(x, table.mean(axis=0), label="_" * bool(done) + label, **style)
        if len(curves) > 1:
            ax.fill_between(x, table.min(axis=0), table.max(axis=0), color=style["color"], alpha=0.18, linewidth=0)
        if name == "phase_b" and done:
            ax.axvline(done + 0.5, color="0.6", linewidth=0.8, linestyle=":")
            follows = True
        done += max(map(len, curves))
    return follows
