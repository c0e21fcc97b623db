"""The results as tables: one row for each run, or one for each step of a timed series of runs."""

import pandas as pd
from rich.table import Table

from analysis.statistics import t_interval

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


def steps_table(results: pd.DataFrame, title: str) -> Table:
    """One row for each experiment on each device, in the form of the airbench cascade.

    Accuracy is the mean over the runs with its 95 % interval (Student) where there are two or more; seconds are those
    of the author's clock (whitening, training, evaluation), which are never averaged over devices.
    """
    table = Table(title=title, title_justify="left")
    for heading in ("step", "adds"):
        table.add_column(heading, overflow="fold", no_wrap=heading == "step")
    for heading in ("epochs", "accuracy, 95 % interval", "n", "seconds", "PFLOP"):
        table.add_column(heading, justify="right", no_wrap=heading != "accuracy, 95 % interval")
    table.add_column("device")
    keys = ["experiment", "epochs", "device_name", "computed_in"]
    for (experiment, epochs, device, precision), runs in results.groupby(keys, sort=False):
        interval = t_interval(runs["final_acc"].tolist())
        spread = "" if interval is None else " ({:.2f} .. {:.2f})".format(*interval)
        table.add_row(
            str(experiment),
            str(runs["why"].iloc[0]) if "why" in runs else "",
            f"{epochs:g}",
            f"{runs['final_acc'].mean():.2f}{spread}",
            str(len(runs)),
            f"{runs['train_seconds'].mean():.1f}",
            f"{runs['pflop'].mean():.3g}",
            f"{device}, {precision}",
        )
    return table


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
