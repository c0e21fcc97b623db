"""The cascade of airbench in its author's form."""

from collections.abc import Iterator
from statistics import fmean
from typing import Any

import pandas as pd

from analysis import statistics
from analysis.published import AIRBENCH, AIRBENCH_DATA
from analysis.reading.results import Results, Setting, searched
from analysis.tables.column import LABEL
from analysis.tables.table import Column, Table

KEYS = ("experiment", "epochs", "device_name", "computed_in")
"""Runs that differ in one of these are never averaged."""


def timed_runs(setting: Setting) -> pd.DataFrame:
    """The runs of timed series, those of searches aside."""
    runs = setting.runs
    if runs.empty or not {"pflop", "train_seconds", *KEYS} <= set(runs):
        return runs.iloc[:0]
    return runs[runs["pflop"].notna() & ~searched(runs)]


def cascade_table(results: Results) -> Table:
    """A row for each experiment on each device: epochs, seconds and mean accuracy, the author's beside them."""
    rows = [row for setting in results.settings for row in _steps(setting)]
    return Table.of(
        rows,
        name="cascade",
        title=" · ".join(["airbench", *dict.fromkeys(row["setting"] for row in rows)]),
        columns=(
            Column(name="experiment", heading="step", importance=LABEL),
            Column(name="why", heading="adds", wrap=True, importance=20),
            Column(name="epochs", heading="epochs", form="g", importance=70),
            Column(name="accuracy", heading="final_acc, 95 % interval", wrap=True, importance=LABEL),
            Column(name="n", heading="n", form="n", importance=60),
            Column(name="seconds", heading="train_seconds", form=1, importance=80),
            Column(name="pflop", heading="pflop", form=3, importance=40),
            Column(name="published", heading="author (n) / A100 s", wrap=True, importance=50),
            Column(name="device", heading="device", wrap=True, importance=30),
        ),
        note="Accuracy: mean over runs with its interval; seconds: mean of the author's clock (whitening, training, "
        "evaluation), which runs that trained side by side do not have. Published means are of CIFAR-10 at the "
        "author's epochs.",
    )


def _steps(setting: Setting) -> Iterator[dict[str, Any]]:
    timed = timed_runs(setting)
    if timed.empty:
        return
    for key, runs in timed.groupby(list(KEYS), sort=False, dropna=False):
        experiment, epochs, device, precision = key
        values = runs["final_acc"].dropna().tolist()
        interval = statistics.mean_interval(values)
        spread = "" if interval is None else " ({:.2f} .. {:.2f})".format(*interval)
        published = AIRBENCH.get(str(experiment)) if setting.dataset == AIRBENCH_DATA else None
        theirs = ""
        if published:
            theirs = f"{published.mean:.2f} ({published.n})"
            theirs += f" / {published.seconds:g}" if published.seconds else ""
        yield {
            "experiment": experiment,
            "why": runs["why"].iloc[0] if "why" in runs else "",
            "epochs": epochs,
            "accuracy": f"{fmean(values):.2f}{spread}" if values else "",
            "final_acc": fmean(values) if values else None,
            "ci95_lo": interval[0] if interval else None,
            "ci95_hi": interval[1] if interval else None,
            "n": len(values),
            "seconds": runs["train_seconds"].mean(),
            "pflop": runs["pflop"].mean(),
            "published": theirs,
            "published_acc": published.mean if published else None,
            "published_seconds": published.seconds if published else None,
            "device": f"{device}, {precision}",
            "dataset": setting.dataset,
            "setting": setting.title,
            "runs": " ".join(runs["run"]),
        }
