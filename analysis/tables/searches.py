"""The tables of searches: for each experiment the smallest value of a field at which a metric reaches a target."""

from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean
from typing import Any

import pandas as pd

from analysis.comparison.runs import metric_of
from analysis.reading.families import Families
from analysis.reading.results import Results, searched
from analysis.sample_sizes import runs_needed
from analysis.statistics import t_interval
from analysis.tables.column import LABEL
from analysis.tables.table import Column, Table
from analysis.threshold import Answer, Judgement, additive_prediction, answer_so_far
from analysis.verdicts.uncorrected import target_of
from raysweep.experiment import Question, Search


def search_tables(results: Results) -> list[Table]:
    """A table for each search of which there are results, in each setting."""
    tables = []
    for question in (asked.question for asked in results.questions if asked.question.search):
        for setting in results.settings:
            runs = setting.runs[searched(setting.runs)] if len(setting.runs) else setting.runs
            known = _fields_of(question) <= set(runs)
            if question.dataset in (None, setting.declared) and len(runs) and known:
                tables.append(search_table(question, runs, setting.families, setting.title))
    return tables


def search_table(question: Question, results: pd.DataFrame, families: Families, where: str = "") -> Table:
    """One row for each experiment of a search: the smallest value that reaches the target, and what it rests on.

    Then what the value would be if savings added up, the author's, the largest below it that falls short, the mean at
    the value with its 95 % interval (Student) and number of runs, what can be claimed of it, and its seconds, which are
    left out where the runs are of several devices. A `~` marks what was judged by its mean alone, because there were no
    more runs, or follows from such a value.
    """
    search, target, metric = _search_of(question), target_of(question), families.metric(question.metrics[0])
    results = results[results[metric.name].notna() & results[search.over].notna()]
    least, most = target - search.tolerance, target + search.tolerance
    reached = " ".join(filter(None, [f"{search.over} to {target:g}", metric.unit, metric.name]))
    return Table.of(
        list(_rows(question, search, results)),
        name=f"search_{question.name}",
        title=" · ".join(filter(None, [question.text, reached, where])),
        columns=(
            Column(name="setting", heading="setting", importance=LABEL),
            Column(name="found", heading=search.over, importance=LABEL),
            Column(name="sum", heading="sum", importance=40),
            Column(name="author", heading="author", importance=50),
            Column(name="short", heading="short", importance=60),
            Column(name="mean", heading=f"{metric.name} ± 95 % (n)", wrap=True, importance=80),
            Column(name="claim", heading="claim", wrap=True, importance=70),
            Column(name="seconds", heading="train_seconds", form=1, importance=30),
        ),
        note=f"With {search.confidence:.0%} confidence in each row, over all looks at all values: the true mean is at "
        f"least {least:g} at the {search.over} found, and below {most:g} at those that fall short. ~: judged by the "
        "mean alone, there were no more runs. sum: the base less what each further switch saves beside it. "
        f"{len(results)} runs in all.",
    )


def _rows(question: Question, search: Search, results: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """A row for each experiment, those that are asked about first."""
    target, metric = target_of(question), question.metrics[0]
    values: dict[str, dict[float, list[float]]] = {}
    for name, value, result in zip(results["experiment"], results[search.over], results[metric], strict=True):
        values.setdefault(name.rpartition("@")[0], {}).setdefault(value, []).append(result)
    answers = {name: answer_so_far(search, target, by_value) for name, by_value in values.items()}
    asked = [arm for arm in question.arms if isinstance(arm, str) and arm in answers]
    for name in [*asked, *(name for name in answers if name not in asked)]:
        answer = answers[name]
        end = answer.reaches.value if answer.reaches else None
        at = values[name].get(end, []) if end is not None else []
        timed = results[results["experiment"] == (f"{name}@{end:g}" if at else "")]
        one_device = timed.get("device_name", pd.Series(dtype=str)).nunique() == 1
        yield {
            "setting": name,
            "found": _found(answer),
            "sum": _predicted(search, name, answers),
            "author": f"{search.published[name]:g}" if name in search.published else "",
            "short": _end(answer.short),
            "mean": _plus_minus(at),
            "claim": target_verdict(at, target) if at else "",
            "seconds": metric_of(timed, "train_seconds").mean() if one_device else None,
            "runs": " ".join(timed["run"]) if "run" in timed else "",
        }


def _search_of(question: Question) -> Search:
    assert question.search is not None, "questions of that kind have one"
    return question.search


def _fields_of(question: Question) -> set[str]:
    """The columns without which there is no table."""
    return {_search_of(question).over, *question.metrics}


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
