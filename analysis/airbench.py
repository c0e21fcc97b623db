"""The tables of the airbench sweeps: the cascade in the author's form, and the searches for epochs to a target."""

from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean
from typing import Any

import pandas as pd

from analysis import statistics
from analysis.anchors import AIRBENCH, AIRBENCH_DATA
from analysis.results import Question, Results, Setting, search_of, searched
from analysis.statistics import runs_needed, t_interval
from analysis.table import Column, Table
from analysis.threshold import Answer, Judgement, additive_prediction, answer_so_far
from raysweep.experiment import Search

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
            Column(name="experiment", heading="step"),
            Column(name="why", heading="adds", wrap=True),
            Column(name="epochs", heading="epochs", form="g"),
            Column(name="accuracy", heading="accuracy, 95 % interval", wrap=True),
            Column(name="n", heading="n", form="n"),
            Column(name="seconds", heading="seconds", form=1),
            Column(name="pflop", heading="PFLOP", form=3),
            Column(name="published", heading="author (n) / A100 s", wrap=True),
            Column(name="device", heading="device", wrap=True),
        ),
        note="Accuracy: mean over runs with its interval; seconds: mean of the author's clock (whitening, training, "
        "evaluation). Published means are of CIFAR-10 at the author's epochs.",
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


def search_tables(results: Results) -> list[Table]:
    """A table for each search of which there are results, in each setting."""
    tables = []
    for question in results.questions:
        if question.get("kind") == "search":
            for setting in results.settings:
                runs = setting.runs[searched(setting.runs)] if len(setting.runs) else setting.runs
                known = {search_of(question).over, *question["metrics"]} <= set(runs)
                if question.get("dataset") in (None, setting.dataset) and len(runs) and known:
                    tables.append(search_table(question, runs, setting.title))
    return tables


def search_table(question: Question, results: pd.DataFrame, where: str = "") -> Table:
    """One row for each experiment of a search: the smallest value that reaches the target, and what it rests on.

    Then what the value would be if savings added up, the author's, the largest below it that falls short, the mean at
    the value with its 95 % interval (Student) and number of runs, what can be claimed of it, and its seconds, which are
    left out where the runs are of several devices. A `~` marks what was judged by its mean alone, because there were no
    more runs, or follows from such a value.
    """
    search, target, metric = search_of(question), question["target"], question["metrics"][0]
    results = results[results[metric].notna() & results[search.over].notna()]
    values: dict[str, dict[float, list[float]]] = {}
    for name, value, result in zip(results["experiment"], results[search.over], results[metric], strict=True):
        values.setdefault(name.rpartition("@")[0], {}).setdefault(value, []).append(result)
    answers = {name: answer_so_far(search, target, by_value) for name, by_value in values.items()}
    asked = [name for name in question["arms"] if name in answers]
    rows = []
    for name in [*asked, *(name for name in answers if name not in asked)]:
        answer = answers[name]
        end = answer.reaches.value if answer.reaches else None
        at = values[name].get(end, []) if end is not None else []
        timed = results[results["experiment"] == (f"{name}@{end:g}" if at else "")]
        rows.append(
            {
                "setting": name,
                "found": _found(answer),
                "sum": _predicted(search, name, answers),
                "author": f"{search.published[name]:g}" if name in search.published else "",
                "short": _end(answer.short),
                "mean": _plus_minus(at),
                "claim": target_verdict(at, target) if at else "",
                "seconds": timed["train_seconds"].mean() if timed["device_name"].nunique() == 1 else None,
                "runs": " ".join(timed["run"]) if "run" in timed else "",
            }
        )
    least, most = target - search.tolerance, target + search.tolerance
    return Table.of(
        rows,
        name=f"search_{question.get('name', search.over)}",
        title=" · ".join(filter(None, [question.get("text"), f"{search.over} to {target:g} % {metric}", where])),
        columns=(
            Column(name="setting", heading="setting"),
            Column(name="found", heading=search.over),
            Column(name="sum", heading="sum"),
            Column(name="author", heading="author"),
            Column(name="short", heading="short"),
            Column(name="mean", heading="mean ± 95 % (n)", wrap=True),
            Column(name="claim", heading="claim", wrap=True),
            Column(name="seconds", heading="s", form=1),
        ),
        note=f"With {search.confidence:.0%} confidence in each row, over all looks at all values: the true mean is at "
        f"least {least:g} at the {search.over} found, and below {most:g} at those that fall short. ~: judged by the "
        "mean alone, there were no more runs. sum: the base less what each further switch saves beside it. "
        f"s: seconds. {len(results)} runs in all.",
    )


def target_verdict(values: Sequence[float], target: float) -> str:
    """ ">= target" or "< target" where the interval of the mean supports it, else how many runs it needs."""
    interval = t_interval(values)
    if interval is None:
        return "needs n >= 2"
    if interval[0] >= target:
        return f">= {target:g}"
    if interval[1] < target:
        return f"< {target:g}"
    needed = runs_needed(values, target)
    return f"needs n = {needed}" if needed else "too near to tell"


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
