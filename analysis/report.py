"""A sweep's results and answers in the terminal."""

import os
from collections.abc import Mapping
from typing import Any

import pandas as pd
from rich.console import Console
from rich.markup import escape

from analysis.comparison import Comparison, claims, compare
from analysis.tables import count, results_table, steps_table
from raysweep.ledger import FINISHED, Ledger


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
            timed = "pflop" in done and done["pflop"].notna().all()
            console.print((steps_table if timed else results_table)(done, title))
        known = set(part["experiment"])
        asked = [q for q in questions if known & {q["baseline"], *q["arms"]}]
        for question in asked:
            if question.get("dataset") in (None, first["dataset"]):
                for line in _answer(question, done):
                    console.print(line, highlight=False)
        for _, run in part[part["status"] != FINISHED].iterrows():
            console.print(
                f"{run['experiment']} seed {run['seed']} {run['status']}: {run['error']}",
                style="bold red",
                markup=False,
            )


def _answer(question: Mapping[str, Any], results: pd.DataFrame) -> list[str]:
    """The question and what the results say to it."""
    if question.get("kind") != "target":
        return answer_lines(question, compare(question, results))
    lines = [f"[bold]{escape(question['text'])}[/bold]"]
    return lines + [f"  {claim.experiment}: {claim.verdict}" for claim in claims(question, results)]


def answer_lines(question: Mapping[str, Any], comparisons: list[Comparison]) -> list[str]:
    """The question, then a line for each metric of each arm: difference, 95 % interval, seeds, or what is missing."""
    lines = [f"[bold]{escape(question['text'])}[/bold]"]
    for missing in dict.fromkeys(c.missing for c in comparisons if c.missing):
        lines.append(f"  [yellow]open: {escape(missing)}[/yellow]")
    for c in comparisons:
        if not c.missing:
            spread = "" if c.std is None else f" (std {c.std:.2f})"
            if c.interval is not None:
                spread += " [{:+.2f}, {:+.2f}]".format(*c.interval).replace("[", "\\[")
            seeds = count(c.n_seeds, "seed")
            means = f"{c.arm} {c.arm_mean:.2f}, {c.baseline} {c.baseline_mean:.2f}"
            lines.append(f"  {c.metric} {c.difference:+.2f}{spread}, {seeds}: {means}")
    return lines
