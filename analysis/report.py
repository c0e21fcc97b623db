"""A sweep's results and answers in the terminal."""

import os
from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from analysis.comparison import Comparison, claims, compare
from analysis.tables import count, results_table, search_table, steps_table
from raysweep.experiment import Search
from raysweep.ledger import FINISHED, open_ledger


def print_answers(
    folder: str | os.PathLike[str], runs: list[str] | None = None, console: Console | None = None
) -> None:
    """Print the results table and the answers to the questions; with `runs`, of these alone.

    Results of different data, or with other fields set by hand, are never compared with each other.
    """
    console = console or Console(width=None if os.isatty(1) else 160)
    ledger = open_ledger(folder)
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
        steps = done[~done["experiment"].str.contains("@")]  # those of a search are in its own table
        first = part.iloc[0]
        workers = f"{count(first['num_workers'], 'worker')} for each run"
        title = ", ".join(filter(None, [first["dataset"], workers, first["set"]]))
        if not steps.empty:
            timed = "pflop" in steps and steps["pflop"].notna().all()
            console.print((steps_table if timed else results_table)(steps, title))
        for question in questions:
            if question.get("dataset") in (None, first["dataset"]) and _concerns(question, set(part["experiment"])):
                for line in _answer(question, done):
                    console.print(line, highlight=False)
        for line in _remedied(done):
            console.print(line, style="yellow", markup=False)
        for _, run in part[part["status"] != FINISHED].iterrows():
            kind = f" ({run['kind']})" if run.get("kind") in ("lost", "memory", "disk", "data") else ""
            console.print(
                f"{run['experiment']} seed {run['seed']} {run['status']}{kind}: {run['error']}",
                style="bold red",
                markup=False,
            )


def _remedied(done: pd.DataFrame) -> Iterator[str]:
    """What was done to runs that did not find the memory they needed."""
    if "batch_parts" in done:
        for _, run in done[done["batch_parts"] > 1].iterrows():
            yield (
                f"{run['experiment']} seed {run['seed']}: for want of memory its batches were cut in "
                f"{run['batch_parts']:g} parts, over which batch norm took its statistics"
            )


def _concerns(question: Mapping[str, Any], experiments: set[str]) -> bool:
    """Whether one of the experiments is about the question."""
    if question.get("kind") == "search":
        return any("@" in name for name in experiments)
    return bool(experiments & {question["baseline"], *question["arms"]})


def _answer(question: Mapping[str, Any], results: pd.DataFrame) -> list[str | Table]:
    """The question and what the results say to it."""
    match question.get("kind"):
        case "search":
            return [f"[bold]{escape(question['text'])}[/bold]", *_found(question, results)]
        case "target":
            lines = [f"  {claim.experiment}: {claim.verdict}" for claim in claims(question, results)]
            return [f"[bold]{escape(question['text'])}[/bold]", *lines]
    return [*answer_lines(question, compare(question, results))]


def _found(question: Mapping[str, Any], results: pd.DataFrame) -> list[str | Table]:
    """The table of a search, and what its intervals mean."""
    searched = results[results["experiment"].str.contains("@")]
    if searched.empty:
        return ["  [yellow]open: no result yet[/yellow]"]
    search, target = Search(**question["search"]), question["target"]
    least, most = target - search.tolerance, target + search.tolerance
    note = (
        f"  With {search.confidence:.0%} confidence in each row, over all looks at all values: the true mean is at "
        f"least {least:g} at the {search.over} found, and below {most:g} at those that fall short. ~: judged by the "
        "mean alone, there were no more runs. sum: the base less what each further switch saves beside it. s: seconds."
        f" {len(searched)} runs in all."
    )
    return [search_table(question, searched), note]


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
