"""The effects that the questions ask about: a row for each, with its numbers at the right edge."""

import math
import textwrap
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from analysis.comparison.cells import labels_by_run
from analysis.numbers import size_told
from analysis.ordering import natural
from analysis.plots.style import Plot, chunks, head, legend_below, page_name, page_told, panels
from analysis.reading.results import Results
from analysis.verdicts.beside import n_of
from analysis.verdicts.scale import bounds, signed
from analysis.verdicts.verdict import EQUIVALENT, NO, UNDECIDED, YES, Verdict

ANSWERS = {YES: ("#0072B2", "o"), NO: ("#D55E00", "s"), EQUIVALENT: ("#009E73", "D"), UNDECIDED: ("0.45", "^")}

MOST_ROWS = 40
"""Rows of one figure; what is more goes into further ones."""

CAPTION = (
    "Arm less baseline (times and speeds: arm over baseline less 1). Numbers: estimate and the interval that is drawn. "
    "Thin line: the interval that holds at any look, at the level at which Holm's method tests next in the question's "
    "family, which leaves out zero just where a difference is shown. Where so few seeds have none at that level, and "
    "for equivalent and pooled answers, dashed: 95 % at any look, not corrected; dotted: 95 % for one look. Thick: "
    "95 % for one look, not corrected. Arrows: the interval goes on; the numbers say how far. "
    "Grey: smaller than what matters. Hollow: the arms differ in more than the question's factor."
)


@dataclass(frozen=True, kw_only=True)
class Row:
    """An effect with what tells it from the other ones."""

    verdict: Verdict
    arm: str
    baseline: str
    """The two as they are called beside runs of other train sizes."""
    size: float | None
    """The train size of all runs that it rests on; None where there are several or none."""

    @property
    def panel(self) -> tuple[str, str, str, bool]:
        """What the rows of one panel have in common: what the axis says, metric and setting."""
        v = self.verdict
        unit = v.unit or v.metric
        unit = f"{unit} per doubling of the {v.over.replace('_', ' ')}" if v.kind == "trend" else unit
        return unit, v.metric, v.setting, v.kind == "pooled"


def forest(results: Results, answers: Sequence[Verdict]) -> Iterator[Plot]:
    """Every question's effect with its interval, a panel for each unit and metric."""
    rows = _rows(results, answers)
    by_panel: dict[tuple[str, str, str, bool], list[Row]] = {}
    for row in rows:
        by_panel.setdefault(row.panel, []).append(row)
    against = {key: _against(own) for key, own in by_panel.items()}
    pages = _pages([(key, part) for key, own in by_panel.items() for part in chunks(own, MOST_ROWS)])
    letters = max((len(name) for key, own in by_panel.items() for name in _names(own, against[key])), default=0)
    letters += max((len(_numbers(row.verdict)) for row in rows), default=0)
    for page, parts in enumerate(pages):
        told = page_told(page, len(pages))
        heights = [0.25 * (len(own) + 0.3) for _, own in parts]
        size = (4.6 + 0.062 * letters, (sum(heights) + 1.4) / len(parts) + 0.75)
        with panels(len(parts), columns=1, size=size, height_ratios=heights) as (figure, axes):
            for ax, (key, own) in zip(axes, parts, strict=True):
                unit, metric, setting, pooled = key
                _panel(ax, unit, own, against[key])
                title = f"{metric}{', pooled over cells' * pooled}{against[key].rstrip()}; {setting}"
                ax.set_title("\n".join(textwrap.wrap(title, 100)), loc="left", fontsize=9)
            shown = {row.verdict.answer for _, own in parts for row in own}
            handles = [
                Line2D([], [], color=ANSWERS[a][0], marker=ANSWERS[a][1], linestyle="none", label=a)
                for a in ANSWERS
                if a in shown
            ]
            legend_below(figure, [*handles, *_line_handles([row for _, own in parts for row in own])])
            of = f"{len(rows)} effects of {len({row.verdict.question for row in rows})} questions"
            head(figure, "Effects: arm less baseline", of, told)
        yield Plot(
            name=page_name("effects", page),
            title="Effects" + (f", {told}" if told else ""),
            caption=CAPTION,
            figure=figure,
        )


def _rows(results: Results, answers: Sequence[Verdict]) -> list[Row]:
    """The effects by architecture, then by train size; as the questions stand where there is but one size."""
    sizes: dict[str, float] = {}
    if "train_size" in results.frame:
        known = pd.to_numeric(results.frame["train_size"], errors="coerce")
        sizes = {str(run): float(size) for run, size in zip(results.frame["run"], known, strict=True) if size > 0}
    called = _called(results)
    rows = []
    for v in answers:
        if v.estimate is not None and v.kind != "target":
            own = {sizes.get(run) for run in v.runs}
            arm, baseline = (called.get((v.setting, side), side) for side in (v.arm, v.baseline))
            rows.append(Row(verdict=v, arm=arm, baseline=baseline, size=own.pop() if len(own) == 1 else None))
    if len({row.size for row in rows}) > 1:
        rows.sort(key=lambda row: (natural(row.arm), row.size or 0.0))
    return rows


def _called(results: Results) -> dict[tuple[str, str], str]:
    """What experiments are called beside runs of other sizes, by setting and name."""
    found: dict[tuple[str, str], str] = {}
    for setting in results.settings:
        labels = labels_by_run(setting)
        found |= {
            (setting.title, experiment): label
            for experiment, label in zip(setting.runs["experiment"], labels, strict=True)
            if "train_size" in setting.runs
        }
    return found


def _pages(parts: Sequence[tuple[Any, Sequence[Row]]]) -> list[list[tuple[Any, Sequence[Row]]]]:
    """The panels on as few pages as hold them in their order."""
    pages: list[list[tuple[Any, Sequence[Row]]]] = []
    left = 0
    for key, rows in parts:
        if len(rows) > left or not pages:
            pages.append([])
            left = MOST_ROWS
        pages[-1].append((key, rows))
        left -= len(rows)
    return pages


def drawn_interval(v: Verdict) -> tuple[tuple[float, float] | None, str]:
    """The interval of an effect that is drawn, and the line that says which it is."""
    found = ((v.interval_corrected, "-"), (v.interval, "--"), (v.interval_fixed, ":"))
    return next(((interval, line) for interval, line in found if interval), (None, "-"))


def _line_handles(rows: Sequence[Row]) -> list[Line2D]:
    used = {line for row in rows for interval, line in [drawn_interval(row.verdict)] if interval}
    told: dict[Any, str] = {"-": "interval, corrected", "--": "95 %, not corrected", ":": "95 %, for one look"}
    handles = [Line2D([], [], color="0.3", linewidth=1.4, linestyle=s, label=told[s]) for s in told if s in used]
    thick = Line2D([], [], color="0.3", linewidth=4, alpha=0.35, label="95 % for one look, not corrected")
    return [*handles, *[thick] * any(row.verdict.interval_fixed for row in rows)]


def _panel(ax: Axes, unit: str, rows: Sequence[Row], against: str) -> None:
    """A row for each effect; ratios are drawn by their logarithms, so that twice and half are equally far."""

    def place(value: float) -> float:
        return math.log1p(max(value, -0.999)) if unit == "%" else value

    low, high = _view(rows, place)
    for y, v in enumerate(row.verdict for row in rows):
        assert v.estimate is not None
        color, marker = ANSWERS[v.answer]
        matters = place(v.matters)
        if v.interval_fixed:
            ax.plot([place(end) for end in v.interval_fixed], [y, y], color=color, linewidth=4, alpha=0.35)
        ax.fill_betweenx([y - 0.4, y + 0.4], -matters, matters, color="0.9", linewidth=0, zorder=0)
        interval, line = drawn_interval(v)
        if interval:
            ends = [min(max(place(end), low), high) for end in interval]
            ax.plot(ends, [y, y], line, color=color, linewidth=1.4)
            for end, arrow in zip(interval, "<>", strict=True):  # it goes on beyond the panel
                if not low <= place(end) <= high:
                    ax.plot(min(max(place(end), low), high), y, arrow, color=color, markersize=4, clip_on=False)
        face = "white" if v.confounded else color
        ax.plot(place(v.estimate), y, marker, color=color, markerfacecolor=face, markersize=6)
    ax.set_xlim(low, high)
    ax.axvline(0, color="0.3", linewidth=0.8)
    if unit == "%":
        _ratio_ticks(ax)
    ax.set_yticks(range(len(rows)), labels=_names(rows, against), fontsize=8)
    ax.set_ylim(len(rows) - 0.4, -0.6)
    ax.grid(visible=False, axis="y")
    ax.set_xlabel(unit)
    numbers = ax.secondary_yaxis("right")
    numbers.set_yticks(range(len(rows)), labels=[_numbers(row.verdict) for row in rows], fontsize=8)
    numbers.tick_params(length=0)
    numbers.spines["right"].set_visible(False)


BEYOND = 0.6
"""How far corrected intervals are drawn beyond all that is not corrected, as a part of its extent: those of few seeds
are so wide that nothing else would be seen."""


def _view(rows: Sequence[Row], place: Callable[[float], float]) -> tuple[float, float]:
    """From where to where a panel goes: all estimates and uncorrected intervals, and some way beyond if others do."""
    near, far = [0.0], [0.0]
    for v in (row.verdict for row in rows):
        assert v.estimate is not None
        near += map(place, (v.estimate, -v.matters, v.matters, *(v.interval_fixed or ())))
        far += map(place, drawn_interval(v)[0] or ())
    extent = max(near) - min(near) or 1.0
    room = 0.04 * extent
    low = max(min(*near, *far) - room, min(near) - BEYOND * extent)
    high = min(max(*near, *far) + room, max(near) + BEYOND * extent)
    return low, high


RATIOS = (-0.9, -0.75, -0.5, -0.2, -0.1, -0.05, 0.0, 0.05, 0.1, 0.25, 0.5, 1.0, 3.0, 9.0, 29.0)
"""Ticks of a panel of ratios less 1, as far as they are in view."""


def _ratio_ticks(ax: Axes) -> None:
    """Ticks from zero outwards, with room between them."""
    low, high = ax.get_xlim()
    ticks: list[float] = []
    for tick in sorted(RATIOS, key=abs):
        at = math.log1p(tick)
        if low <= at <= high and all(abs(at - math.log1p(other)) > 0.09 * (high - low) for other in ticks):
            ticks.append(tick)
    ax.set_xticks([math.log1p(tick) for tick in ticks], labels=[f"{100 * tick:+.0f}" for tick in ticks])


def _names(rows: Sequence[Row], against: str) -> list[str]:
    """Arm, train size and n; the baseline where it is not said for all rows; the question where rows are alike."""
    names = []
    for row in rows:
        size = "" if row.size is None else f", {size_told(row.size)}"
        names.append(f"{row.arm}{'' if against else f' against {row.baseline}'}{size}")
    alike = {name for name in names if names.count(name) > 1}
    asked = [f" ({row.verdict.question})" if name in alike else "" for name, row in zip(names, rows, strict=True)]
    return [f"{name}{more}, {n_of(row.verdict)}" for name, more, row in zip(names, asked, rows, strict=True)]


def _against(rows: Sequence[Row]) -> str:
    """What all rows of a panel are compared with; "" where it has to stand in each."""
    baselines = {row.baseline for row in rows}
    if len(baselines) == 1:
        return f" against {baselines.pop()}" if "" not in baselines else " "
    added = {row.baseline[len(row.arm) :] if row.baseline.startswith(row.arm) else "" for row in rows}
    return f", each against the same with {added.pop()}" if len(added) == 1 and "" not in added else ""


def _numbers(v: Verdict) -> str:
    """`+2.26 [+1.98, +2.55]`, the interval as it is drawn."""
    assert v.estimate is not None
    interval, _ = drawn_interval(v)
    return " ".join(filter(None, [signed(v, v.estimate), bounds(v, interval) if interval else ""]))
