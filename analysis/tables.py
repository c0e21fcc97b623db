"""The tables that every sweep has: results run by run and by experiment, comparisons; and the list of all tables."""

from collections import Counter
from statistics import fmean
from typing import Any

import pandas as pd

from analysis import statistics
from analysis.airbench import cascade_table, search_tables
from analysis.comparison import metric_of
from analysis.results import Results, Setting, searched
from analysis.scattering import experiments_table, filter_change_table, significance_table
from analysis.table import Column, Form, Table
from analysis.verdicts import Verdict
from analysis.wording import signed

SHOWN: tuple[tuple[str, str, Form], ...] = (
    # column of the results, heading, form
    ("train_size", "train size", "g"),
    ("head_acc", "head", 2),
    ("head_acc5", "head top-5", 2),
    ("finetune_acc", "tuned", 2),
    ("finetune_acc5", "tuned top-5", 2),
    ("finetune_gain", "gain", 2),
    ("joint_acc", "joint", 2),
    ("joint_acc5", "joint top-5", 2),
    ("filter_delta_relative", "moved", 3),
    ("n_params_total", "params", "M"),
    ("finetune_images_per_second", "img/s", 0),
    ("seconds", "time", "s"),
)
"""Accuracies in percent of the head on frozen filters, fine-tuned, of joint training; "moved" is the relative change of
the filters, "img/s" the speed of fine-tuning. Empty columns are not shown."""

FALLBACK: tuple[tuple[str, str, Form], ...] = (("final_acc", "accuracy", 2), ("train_seconds", "seconds", 1))
"""Of runs that have none of these."""

ONLY_IF_VARIED = ("train_size",)

MOST_LABELS = 40
"""Runs above which the terminal shows one row for each experiment."""

NOT_IN_CSV = ("curves", "block_summary", "no_effect", "facts")


def all_tables(results: Results, answers: list[Verdict]) -> list[Table]:
    """Every table that has rows; results and comparisons in any case."""
    special = [
        experiments_table(results),
        significance_table(results),
        filter_change_table(results),
        cascade_table(results),
        *search_tables(results),
    ]
    always = ("significance",)
    return [
        comparisons_table(answers),
        summary_table(results),
        results_table(results),
        *(table for table in special if len(table.rows) or table.name in always),
    ]


def results_table(results: Results) -> Table:
    """One row for each finished run, with every field of its configuration, every result and its provenance."""
    runs = results.finished
    kept = runs[[name for name in runs if name not in NOT_IN_CSV]]
    return Table(
        name="results",
        title="Results, run by run",
        rows=kept.assign(runs=kept["run"]) if len(kept) else kept,
        columns=_columns(runs, ("dataset", "experiment", "seed")),
        note="Accuracies in percent.",
    )


def runs_table(setting: Setting) -> Table:
    """The finished runs of a setting, for the terminal; one row for each experiment where there are many."""
    runs = setting.runs[~searched(setting.runs)] if len(setting.runs) else setting.runs
    if len(runs) > MOST_LABELS:
        return _summary([setting], setting.title)
    labels = ("experiment", "seed") if runs["group"].nunique() == 1 else ("experiment", "group", "seed")
    return Table(name="runs", title=setting.title, rows=runs, columns=_columns(runs, labels))


def summary_table(results: Results) -> Table:
    """One row for each experiment in each setting: means over seeds with their 95 % intervals, and what was lost."""
    return _summary(results.settings, "Results by experiment")


def _summary(settings: list[Setting], title: str) -> Table:
    rows: list[dict[str, Any]] = []
    finished = pd.concat([setting.runs for setting in settings]) if settings else pd.DataFrame()
    columns = _columns(finished, ()) if len(finished) else []
    for setting in settings:
        ended = Counter(zip(setting.ended["experiment"], setting.ended["status"], strict=True))
        for experiment, runs in setting.runs.groupby("experiment", sort=False):
            planned = {plan["seed"] for plan in setting.planned if plan["experiment"] == experiment}
            row: dict[str, Any] = {"experiment": experiment, "setting": setting.title, "n": len(runs)}
            for status in ("failed", "diverged"):
                row[status] = ended[(experiment, status)] or None
            row["missing"] = len(planned - {*runs["seed"]}) or None
            for column in columns:
                values = metric_of(runs, column.name).tolist()
                if values:
                    interval = statistics.mean_interval(values) if len(set(values)) > 1 else None
                    row[column.name] = fmean(values)
                    row[f"{column.name}_lo"], row[f"{column.name}_hi"] = interval or (None, None)
            row["runs"] = " ".join(runs["run"])
            rows.append(row)
    frame = pd.DataFrame(rows)
    shown = [
        Column(name="experiment", heading="experiment"),
        *([Column(name="setting", heading="setting", wrap=True)] if len(settings) > 1 else []),
        Column(name="n", heading="n", form="n"),
        *(
            Column(name=status, heading=status, form="n")
            for status in ("failed", "diverged", "missing")
            if status in frame and frame[status].notna().any()
        ),
    ]
    for column in columns:
        shown.append(column)
        if f"{column.name}_lo" in frame and frame[f"{column.name}_lo"].notna().any() and column.form in (2, 3):
            frame[f"{column.name}_pm"] = (frame[f"{column.name}_hi"] - frame[f"{column.name}_lo"]) / 2
            shown.append(Column(name=f"{column.name}_pm", heading="±", form=column.form))
    return Table(
        name="summary", title=title, rows=frame, columns=shown, note="Means over seeds, ±: half of the 95 % interval."
    )


def comparisons_table(answers: list[Verdict]) -> Table:
    """Every verdict with its numbers."""
    rows = []
    for v in answers:
        low, high = v.interval or (None, None)
        rows.append(
            {
                **{"question": v.question, "text": v.text, "kind": v.kind, "setting": v.setting, "metric": v.metric},
                **{"arm": v.arm, "baseline": v.baseline, "answer": v.answer, "reason": v.reason},
                **{"estimate": v.estimate, "ci95_lo": low, "ci95_hi": high, "std": v.std, "n": v.n},
                "equal": v.equal,
                "mean_arm": (v.means or {}).get(v.arm),
                "mean_baseline": (v.means or {}).get(v.baseline),
                **{"test": v.test, "p_value": v.p, "p_holm": v.p_corrected, "family": v.family, "tests": v.tests},
                **{"p_sign_flip": v.p_sign_flip, "p_sign_flip_least": v.p_sign_flip_least},
                **{"p_equivalent": v.p_equivalent, "smallest_effect": v.matters, "relative": v.relative},
                **{"flags": "; ".join(v.flags), "lost": "; ".join(v.lost)},
                "more_seeds": v.more.seeds if v.more else None,
                "more_hours": v.more.hours if v.more else None,
                "more_command": v.more.command if v.more else "",
                **{"isolated_by": v.isolated_by, "runs": " ".join(v.runs)},
                "shown_estimate": signed(v, v.estimate) if v.estimate is not None else "",
                "shown_interval": " .. ".join(signed(v, end) for end in v.interval or ()),
            }
        )
    return Table.of(
        rows,
        name="comparisons",
        title="Comparisons",
        columns=(
            Column(name="question", heading="question"),
            Column(name="metric", heading="metric"),
            Column(name="arm", heading="arm", wrap=True),
            Column(name="baseline", heading="baseline"),
            Column(name="answer", heading="answer"),
            Column(name="shown_estimate", heading="difference"),
            Column(name="shown_interval", heading="95 % interval"),
            Column(name="n", heading="n", form="n"),
            Column(name="p_holm", heading="p, Holm", form="p"),
            Column(name="p_sign_flip", heading="sign-flip", form="p"),
            Column(name="setting", heading="setting", wrap=True),
        ),
        note="Arm less baseline, of times and speeds arm over baseline less 1; paired by seed.",
    )


def _columns(runs: pd.DataFrame, labels: tuple[str, ...]) -> list[Column]:
    """The labels and the columns of `SHOWN` that the runs have something in; top-5 where there are over ten classes."""
    top5 = bool((runs["num_classes"] > 10).any()) if "num_classes" in runs else False

    def has(name: str) -> bool:
        return name in runs and bool(runs[name].notna().any())

    shown = [
        Column(name=name, heading=heading, form=form)
        for name, heading, form in SHOWN
        if has(name)
        and (top5 or not name.endswith("acc5"))
        and not (name in ONLY_IF_VARIED and runs[name].nunique() == 1)
    ]
    if not any(column.name.endswith("_acc") for column in shown):
        shown = [Column(name=name, heading=heading, form=form) for name, heading, form in FALLBACK if has(name)]
    return [*(Column(name=name, heading=name, form="g" if name == "seed" else None) for name in labels), *shown]
