"""The results as tables: one row for each run, or one for each step of a timed series of runs."""

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

import pandas as pd
from rich.table import Table

from analysis.comparison import target_verdict
from analysis.statistics import t_interval
from analysis.threshold import Answer, Judgement, additive_prediction, answer_so_far
from raysweep.experiment import Search

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
        table.add_row(
            str(experiment),
            str(runs["why"].iloc[0]) if "why" in runs else "",
            f"{epochs:g}",
            _mean(runs["final_acc"].tolist()),
            str(len(runs)),
            f"{runs['train_seconds'].mean():.1f}",
            f"{runs['pflop'].mean():.3g}",
            f"{device}, {precision}",
        )
    return table


def search_table(question: Mapping[str, Any], results: pd.DataFrame) -> Table:
    """One row for each experiment of a search: the smallest value that reaches the target, and what it rests on.

    Then what the value would be if savings added up, the author's, the largest below it that falls short, the mean at
    the value with its 95 % interval (Student) and number of runs, what can be claimed of it, and its seconds, which are
    left out where the runs are of several devices. A `~` marks what was judged by its mean alone, because there were no
    more runs, or follows from such a value.
    """
    search, target, metric = Search(**question["search"]), question["target"], question["metrics"][0]
    values: dict[str, dict[float, list[float]]] = {}
    for name, value, result in zip(results["experiment"], results[search.over], results[metric], strict=True):
        values.setdefault(name.rpartition("@")[0], {}).setdefault(value, []).append(result)
    answers = {name: answer_so_far(search, target, by_value) for name, by_value in values.items()}
    table = Table(title=f"{search.over} to {target:g} % {metric}", title_justify="left")
    table.add_column("setting", no_wrap=True)
    for heading in (search.over, "sum", "author", "short"):
        table.add_column(heading, justify="right", no_wrap=True)
    for heading in ("mean ± 95 % (n)", "claim", "s"):
        table.add_column(heading, justify="right")
    asked = [name for name in question["arms"] if name in answers]
    for name in [*asked, *(name for name in answers if name not in asked)]:
        answer = answers[name]
        end = answer.reaches.value if answer.reaches else None
        at = values[name].get(end, []) if end is not None else []
        timed = results[results["experiment"] == (f"{name}@{end:g}" if at else "")]
        table.add_row(
            name,
            _found(answer),
            _predicted(search, name, answers),
            f"{search.published[name]:g}" if name in search.published else "",
            _end(answer.short),
            _plus_minus(at),
            target_verdict(at, target) if at else "",
            f"{timed['train_seconds'].mean():.1f}" if timed["device_name"].nunique() == 1 else "",
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


def _mean(values: Sequence[float]) -> str:
    """`94.02 (93.97 .. 94.07)`; without the interval of one value."""
    interval = t_interval(values)
    spread = "" if interval is None else " ({:.2f} .. {:.2f})".format(*interval)
    return f"{fmean(values):.2f}{spread}" if values else ""


def _plus_minus(values: Sequence[float]) -> str:
    """`94.02 ± 0.05 (40)`; without the interval of one value."""
    interval = t_interval(values)
    spread = "" if interval is None else f" ± {(interval[1] - interval[0]) / 2:.2f}"
    return f"{fmean(values):.2f}{spread} ({len(values)})" if values else ""


def _found(answer: Answer) -> str:
    """`9.9`, or what is known so far: `> 9`, `< 10`, `9 .. 10`."""
    if answer.closed:
        return _end(answer.reaches) if answer.reaches else f"> {_end(answer.short)}"
    if answer.short and answer.reaches:
        return f"{_end(answer.short)} .. {_end(answer.reaches)}"
    return f"< {_end(answer.reaches)}" if answer.reaches else f"> {_end(answer.short)}" if answer.short else ""


def _end(judgement: Judgement | None) -> str:
    return "" if judgement is None else f"{'' if judgement.sure else '~'}{judgement.value:g}"


def _predicted(search: Search, name: str, answers: Mapping[str, Answer]) -> str:
    """The prediction of additivity where all that it needs has been found."""
    parts = [answers.get(part) for part in search.additive.get(name, ())]
    ends = [part.reaches for part in parts if part and part.closed and part.reaches]
    if not ends or len(ends) < len(parts):
        return ""
    base, *alone = (end.value for end in ends)
    return f"{'' if all(end.sure for end in ends) else '~'}{additive_prediction(base, alone):.1f}"
