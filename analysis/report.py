"""A sweep's results and answers in the terminal."""

import os
from pathlib import Path

import pandas as pd
from rich.console import Console
from rich.table import Table

from analysis.comparison import Comparison, compare
from raysweep.ledger import FINISHED, Ledger, load_results

METRICS = {
    # column of the results: heading, digits after the point
    "train_size": ("train size", None),
    "head_acc": ("head", 2),
    "head_acc5": ("head top-5", 2),
    "baseline_acc": ("before ft", 2),
    "finetune_acc": ("fine-tuned", 2),
    "finetune_acc5": ("ft top-5", 2),
    "finetune_gain": ("gain", 2),
    "joint_acc": ("joint", 2),
    "joint_acc5": ("joint top-5", 2),
    "filter_delta_relative": ("filter change", 3),
    "n_params_extractor": ("extractor", 0),
    "n_params_classifier": ("classifier", 0),
    "finetune_images_per_second": ("ft images/s", 0),
    "seconds": ("seconds", 0),
}


def print_answers(
    folder: str | os.PathLike[str], keys: list[str] | None = None, console: Console | None = None
) -> None:
    """Print the results table and the answers to the questions; with `keys`, of these runs alone.

    Results of different data, or with other fields set by hand, are never compared with each other.
    """
    console = console or Console(width=None if os.isatty(1) else 160)
    ledger = Ledger(folder)
    frame = load_results(folder, failed=True) if (ledger.folder / "records").is_dir() else pd.DataFrame()
    for file in Ledger(folder).damaged:
        console.print(f"damaged record, left out: {file}", style="bold red", markup=False)
    if keys is not None and not frame.empty:
        frame = frame[frame["key"].isin(keys)]
    if frame.empty:
        console.print("no results yet")
        return
    questions = ledger.read_json("questions.json")
    for (dataset, _), part in frame.groupby(["dataset", frame["num_workers"]], sort=False):
        done = part[part["status"] == FINISHED]
        workers = int(part["num_workers"].iloc[0])
        title = f"{dataset}, {workers} worker{'s' * (workers != 1)} for each run"
        if not done.empty:
            console.print(results_table(done, title))
        known = set(part["experiment"])
        asked = [q for q in questions if known & {q["baseline"], *q["arms"]}]
        if asked:
            console.print(answers_table([c for q in asked for c in compare(q, done)], f"questions, {dataset}"))
        for _, run in part[part["status"] != FINISHED].iterrows():
            console.print(
                f"{run['experiment']} seed {run['seed']} {run['status']}: {run['error']}",
                style="bold red",
                markup=False,
            )


def results_table(results: pd.DataFrame, title: str) -> Table:
    """One row for each finished run."""
    shown = {name: spec for name, spec in METRICS.items() if name in results and results[name].notna().any()}
    if not (results.get("num_classes", pd.Series([0])) > 10).any():
        shown = {name: spec for name, spec in shown.items() if not name.endswith("acc5")}
    table = Table(title=title, title_justify="left")
    for name in ("experiment", "group", "seed"):
        table.add_column(name, justify="right" if name == "seed" else "left", no_wrap=name == "experiment")
    for heading, _ in shown.values():
        table.add_column(heading, justify="right")
    for _, run in results.iterrows():
        values = [_number(run[name], digits) for name, (_, digits) in shown.items()]
        table.add_row(run["experiment"], run["group"], str(run["seed"]), *values)
    return table


def answers_table(comparisons: list[Comparison], title: str) -> Table:
    """One row for each comparison: the difference with the number of seeds, or what is missing."""
    table = Table(title=title, title_justify="left")
    for heading in ("question", "metric"):
        table.add_column(heading)
    table.add_column("arm - baseline", no_wrap=True)
    for heading in ("arm", "baseline", "difference", "std", "seeds"):
        table.add_column(heading, justify="right")
    last = None
    for c in comparisons:
        row = ["" if c.question == last else c.question, c.metric, f"{c.arm} - {c.baseline}"]
        last = c.question
        if c.missing:
            table.add_row(*row, "", "", f"[yellow]{c.missing}[/yellow]", "", "0")
        else:
            sign = f"{c.difference:+.2f}"
            std = "" if c.std is None else f"{c.std:.2f}"
            table.add_row(*row, _number(c.arm_mean, 2), _number(c.baseline_mean, 2), sign, std, str(c.n_seeds))
    return table


def _number(value: object, digits: int | None) -> str:
    if not isinstance(value, int | float) or pd.isna(value):
        return ""
    return f"{value:g}" if digits is None else f"{value:,.{digits}f}"


def require_results(folder: str | os.PathLike[str]) -> Path:
    """The folder, absolute. Raises FileNotFoundError where no sweep has left results."""
    ledger = Ledger(folder)
    if not (ledger.folder / "records").is_dir():
        raise FileNotFoundError(f"{ledger.folder} holds no results of a sweep")
    return ledger.folder
