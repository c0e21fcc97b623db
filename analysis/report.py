"""A sweep's results and answers in the terminal."""

import os
from collections.abc import Mapping
from typing import Any

import pandas as pd
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from analysis.comparison import Comparison, compare
from raysweep.ledger import FINISHED, Ledger

COLUMNS = {
    # column of the results: heading, digits after the point (None: as many as needed; "M": in millions; "s": a time)
    "train_size": ("train size", None),
    "head_acc": ("head", 2),
    "head_acc5": ("head top-5", 2),
    "finetune_acc": ("tuned", 2),
    "finetune_acc5": ("tuned top-5", 2),
    "finetune_gain": ("gain", 2),
    "joint_acc": ("joint", 2),
    "joint_acc5": ("joint top-5", 2),
    "filter_delta_relative": ("moved", 3),
    "n_params_total": ("params", "M"),
    "finetune_images_per_second": ("img/s", 0),
    "seconds": ("time", "s"),
}
"""Accuracies in percent of the head on frozen filters, fine-tuned, of joint training; "moved" is the relative change of
the filters, "img/s" the speed of fine-tuning. Empty columns are not shown."""

ONLY_IF_VARIED = ("train_size",)


def print_answers(
    folder: str | os.PathLike[str], runs: list[str] | None = None, console: Console | None = None
) -> None:
    """Print the results table and the answers to the questions; with `runs`, of these alone.

    Results of different data, or with other fields set by hand, are never compared with each other.
    """
    console = console or Console(width=None if os.isatty(1) else 160)
    ledger = Ledger(folder)
    frame = ledger.frame(failed=True)
    for file in ledger.damaged:
        console.print(f"damaged record, left out: {file}", style="bold red", markup=False)
    if runs is not None and not frame.empty:
        frame = frame[frame["run"].isin(runs)]
    if frame.empty:
        console.print("no results yet")
        return
    questions = ledger.read_json("questions.json")
    frame = frame.sort_values(["priority", "finished"], kind="stable")
    alike = ["dataset"] if runs is not None else ["dataset", "data", "num_workers", "set"]
    for _, part in frame.groupby(alike, sort=False):
        done = part[part["status"] == FINISHED]
        first = part.iloc[0]
        workers = f"{count(first['num_workers'], 'worker')} for each run"
        title = ", ".join(filter(None, [first["dataset"], workers, first["set"]]))
        if not done.empty:
            console.print(results_table(done, title))
        known = set(part["experiment"])
        asked = [q for q in questions if known & {q["baseline"], *q["arms"]}]
        for question in asked:
            for line in answer_lines(question, compare(question, done)):
                console.print(line, highlight=False)
        for _, run in part[part["status"] != FINISHED].iterrows():
            console.print(
                f"{run['experiment']} seed {run['seed']} {run['status']}: {run['error']}",
                style="bold red",
                markup=False,
            )


def results_table(results: pd.DataFrame, title: str) -> Table:
    """One row for each finished run; top-5 accuracies where there are more than ten classes."""
    top5 = bool((results["num_classes"] > 10).any()) if "num_classes" in results else False
    shown = {
        name: spec
        for name, spec in COLUMNS.items()
        if name in results
        and results[name].notna().any()
        and (top5 or not name.endswith("acc5"))
        and not (name in ONLY_IF_VARIED and results[name].nunique() == 1)
    }
    labels = ["experiment", "seed"] if results["group"].nunique() == 1 else ["experiment", "group", "seed"]
    table = Table(title=title, title_justify="left")
    for name in labels:
        table.add_column(name, justify="right" if name == "seed" else "left", no_wrap=True)
    for heading, _ in shown.values():
        table.add_column(heading, justify="right")
    for _, run in results.iterrows():
        values = [_number(run[name], digits) for name, (_, digits) in shown.items()]
        table.add_row(*(str(run[name]) for name in labels), *values)
    return table


def answer_lines(question: Mapping[str, Any], comparisons: list[Comparison]) -> list[str]:
    """The question, then a line for each metric of each arm: the difference and its seeds, or what is missing."""
    lines = [f"[bold]{escape(question['text'])}[/bold]"]
    for missing in dict.fromkeys(c.missing for c in comparisons if c.missing):
        lines.append(f"  [yellow]open: {escape(missing)}[/yellow]")
    for c in comparisons:
        if not c.missing:
            spread = "" if c.std is None else f" (std {c.std:.2f})"
            seeds = count(c.n_seeds, "seed")
            means = f"{c.arm} {c.arm_mean:.2f}, {c.baseline} {c.baseline_mean:.2f}"
            lines.append(f"  {c.metric} {c.difference:+.2f}{spread}, {seeds}: {means}")
    return lines


def count(n: int, noun: str) -> str:
    """`1 seed`, `5 seeds`."""
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def _number(value: object, form: int | str | None) -> str:
    if not isinstance(value, int | float) or pd.isna(value):
        return ""
    if form == "M":
        return f"{value / 1e6:.3g}M"
    if form == "s":
        return f"{value / 3600:.1f} h" if value >= 3600 else f"{value:.0f} s"
    return f"{value:g}" if form is None else f"{value:,.{form}f}"
