"""Runs in cells, alike but for the seed and the two values of one field; and the questions that cells imply."""

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from string import Formatter
from typing import Any

import pandas as pd

from analysis.comparison.runs import varied_fields
from analysis.numbers import is_missing
from analysis.ordering import natural
from analysis.reading.results import Results, Setting
from raysweep.experiment import Filter, ImpliedQuestions, Question


@dataclass(frozen=True, kw_only=True)
class Cell:
    """Runs with one label and one value of `over`, which differ in the compared field, in recipe and in seed."""

    label: str
    """What they are called, as the implied questions say it; where several cells would have the same label, with what
    else tells them apart."""
    arm_label: str
    """The part of the label that does not tell baselines apart."""
    baseline_label: str
    """The same of the baselines: it says nothing of what the arms alone differ in."""
    value: float
    """The value of `over`."""
    arm: pd.DataFrame
    """Runs of one recipe; none where there is no such run."""
    baseline: pd.DataFrame


def cells(setting: Setting, implied: ImpliedQuestions) -> list[Cell]:
    """All cells, by label and value. Runs of different recipes are never in one side of a cell."""
    key = f"cells of {implied!r}"
    if key not in setting.worked_out:
        setting.worked_out[key] = _cells(setting, implied)
    found: list[Cell] = setting.worked_out[key]
    return found


def _cells(setting: Setting, implied: ImpliedQuestions) -> list[Cell]:
    rows = labelled_runs(setting, implied)
    if rows.empty:
        return []
    named = (*label_fields(implied), implied.over)
    apart = varied_fields(rows, setting, (*implied.difference.factor, *named))
    found = []
    for label, alike in sorted(rows.groupby("label", sort=False), key=lambda part: natural(str(part[0]))):
        for suffix, same in _told_apart(alike, apart):
            sides = [
                [*_told_apart(side, varied_fields(side, setting, (*apart, *named)))] or [("", side)]
                for side in (same[same[implied.compared] == value] for value in (implied.arm, implied.baseline))
            ]
            for (one, arm), (other, baseline) in itertools.product(*sides):
                arm_label = f"{label}{suffix}{one}"
                against = f"_against{other}" if other else ""
                found += [
                    Cell(
                        label=f"{arm_label}{against}",
                        arm_label=arm_label,
                        baseline_label=f"{label}{suffix}{implied.baseline_suffix}{other}",
                        value=float(value),
                        arm=arm[arm[implied.over] == value],
                        baseline=baseline[baseline[implied.over] == value],
                    )
                    for value in sorted({*arm[implied.over], *baseline[implied.over]})
                ]
    return found


def labels_by_run(setting: Setting) -> pd.Series:
    """What each run of a setting is called beside runs of other sizes: the label of its side of a cell, or its
    experiment's name where no implied question has one for it."""
    labels = setting.runs["experiment"].astype(str).copy()
    for implied in setting.families.implied:
        for cell in cells(setting, implied):
            for label, part in ((cell.arm_label, cell.arm), (cell.baseline_label, cell.baseline)):
                labels.loc[part.index] = label
    return labels


def labelled_runs(setting: Setting, implied: ImpliedQuestions) -> pd.DataFrame:
    """The runs that have all that a label needs, with theirs in the column `label`."""
    runs = setting.runs
    needed = [*label_fields(implied, optional=False), implied.over]
    if runs.empty or not {*needed, implied.compared} <= set(runs):
        return runs.iloc[:0]
    rows = runs[runs[needed].notna().all(axis=1)]
    points = rows.reindex(columns=label_fields(implied)).to_dict("records")
    return rows.assign(label=[_label(implied, point) for point in points]) if len(rows) else rows


def label_fields(implied: ImpliedQuestions, optional: bool = True) -> list[str]:
    """The fields that a label says; without `optional`, those that every run must have."""
    text = implied.label if optional else BRACKETS.sub("", implied.label)
    return [name for _, name, *_ in Formatter().parse(text) if name]


BRACKETS = re.compile(r"\[(.*?)\]")


def _label(implied: ImpliedQuestions, point: Mapping[Any, Any]) -> str:
    def part(found: re.Match[str]) -> str:
        names = [name for _, name, *_ in Formatter().parse(found[1]) if name]
        return "" if any(is_missing(point[name]) for name in names) else found[1]

    words = {
        name: implied.words.get(value, value) if isinstance(value, str) else value for name, value in point.items()
    }
    return BRACKETS.sub(part, implied.label).format_map(words)


def _told_apart(rows: pd.DataFrame, fields: Sequence[str]) -> Iterator[tuple[str, pd.DataFrame]]:
    """The rows by those of the fields that vary among them, each part with what it is called by."""
    varied = [name for name in fields if rows[name].astype(str).nunique() > 1]
    if not varied:
        yield from [("", rows)] if len(rows) else []
        return
    for values, part in rows.groupby([rows[name].astype(str) for name in varied], sort=True):
        yield "".join(f"_{name}={value}" for name, value in zip(varied, values, strict=True)), part


def implied_questions(setting: Setting) -> list[Question]:
    """What the runs of a setting answer without anybody having asked: for each cell that has both sides, and for each
    label with three such cells or more."""
    questions = []
    for implied in setting.families.implied:
        by_label: dict[str, list[Cell]] = {}
        for cell in cells(setting, implied):
            if len(cell.arm) and len(cell.baseline):
                by_label.setdefault(cell.label, []).append(cell)
        questions += [_difference(implied, cell) for found in by_label.values() for cell in found]
        questions += [
            _trend(implied.trend, implied, found) for found in by_label.values() if implied.trend and len(found) > 2
        ]
    return questions


def _difference(implied: ImpliedQuestions, cell: Cell) -> Question:
    return replace(
        _worded(implied.difference, implied, cell),
        arms=tuple(dict.fromkeys(cell.arm["experiment"])),
        baseline=next(iter(cell.baseline["experiment"])),
    )


def _trend(template: Question, implied: ImpliedQuestions, found: Sequence[Cell]) -> Question:
    """The question over the cells of a label: whether the difference grows with the field."""
    sides = []
    for label, runs in (
        (found[0].label, found[0].arm),
        (f"{found[0].label}{implied.baseline_suffix}", found[0].baseline),
    ):
        first = runs.iloc[0]
        known = {name: first[name] for name in implied.series if name in runs}
        fields = {name: None if is_missing(value) else value for name, value in known.items()}
        sides.append(Filter(label=label, fields=fields))
    return replace(_worded(template, implied, found[0]), arms=tuple(sides[:1]), baseline=sides[1])


def _worded(template: Question, implied: ImpliedQuestions, cell: Cell) -> Question:
    """The question with the label and the value of a cell in its name and its text."""
    words = {"label": cell.label, "value": f"{cell.value:g}", "spoken": _spoken(implied.over, cell.value)}
    return replace(template, name=template.name.format_map(words), text=template.text.format_map(words))


def _spoken(over: str, value: float) -> str:
    """`10 % of the training images`: train sizes up to 1 are fractions, others numbers of images."""
    if over != "train_size":
        return f"{over} = {value:g}"
    return f"{100 * value:g} % of the training images" if value <= 1 else f"{value:g} training images"


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """Where an implied question stands in the grid of a setting."""

    template: str
    """The text of all questions like it, with `...` in place of the label."""
    label: str
    value: float | None
    """The value of `over`; None where the question is about all of them."""


Places = Mapping[str, Mapping[str, Place]]
"""By the title of the setting, and the name of the question."""


def places_of(results: Results) -> Places:
    """The places of all implied questions."""
    return {setting.title: _places(setting) for setting in [*results.settings, *results.across.values()]}


def _places(setting: Setting) -> dict[str, Place]:
    found = {}
    for implied in setting.families.implied:
        for cell in cells(setting, implied):
            for template, value in ((implied.difference, cell.value), (implied.trend, None)):
                if template:
                    name = _worded(template, implied, cell).name
                    text = template.text.format_map({"label": "...", "value": "...", "spoken": "..."})
                    found[name] = Place(template=text, label=cell.label, value=value)
    return found
