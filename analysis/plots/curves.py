"""Learning curves: a line for the mean over seeds, and every seed faint behind it."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.lines import Line2D

from analysis.numbers import size_told
from analysis.ordering import natural
from analysis.plots.curve_series import CurveSeries, Points, curve_series
from analysis.plots.said import n_told, named_once
from analysis.plots.style import MOST_LINES, MOST_PANELS, Plot, chunks, head, legend_below, look, page_name, page_told
from analysis.plots.style import panels as new_panels
from analysis.reading.results import Setting

MOST_SEEDS = 20
"""Of more seeds their range is drawn in place of the single curves."""

Panel = tuple[str, Sequence[tuple[str, CurveSeries]]]
"""A title, and the series with the names that they have in this panel."""


def learning_curves(setting: Setting, name: str) -> Iterator[Plot]:
    """All curves of a setting: a panel for each train size; where that has more than eight lines, for each
    architecture."""
    series = curve_series(setting)
    layout = curve_panels(series)
    names = list(dict.fromkeys(label for _, lines in layout for label, _ in lines))
    if not {one.label for one in series} & set(names):  # sizes, of which a panel may lack some
        names.sort(key=natural)
    pages = chunks(layout, MOST_PANELS)
    n = n_told(setting.runs[setting.runs["run"].isin([seed.run for one in series for seed in one.seeds])])
    most = max((len(one.seeds) for one in series), default=0)
    many = most > MOST_SEEDS
    drawn = f"line: mean over seeds, {'band: from the lowest to the highest seed' if many else 'faint: single seeds'}"
    for page, parts in enumerate(pages):
        told = page_told(page, len(pages))
        with new_panels(len(parts), columns=2 if len(parts) < 5 else 3, size=(4.6, 3.3), sharey=True) as (figure, axes):
            for ax, (title, lines) in zip(axes, parts, strict=True):
                for label, one in lines:
                    _draw(ax, one, _look_of(label, names))
                ax.set_title(title)
                ax.set_xlabel("epoch")
                _show_all(ax, [one for _, one in lines])
            axes[0].set_ylabel(series[0].measured)
            used = [label for label in names if any(label == own for _, lines in parts for own, _ in lines)]
            legend_below(figure, [Line2D([], [], label=label, **_look_of(label, names)) for label in used])
            head(figure, "Learning curves", f"{setting.title}; {n}{f'; {drawn}' * (most > 1)}", told)
        follows = any(one.boundaries for _, lines in parts for _, one in lines)
        said = " Dotted: fine-tuning begins, after the head was trained on frozen filters." if follows else ""
        lines_told = ", mean over seeds, as far as all were trained; faint: each seed to its own end"
        ranged = f" Of more than {MOST_SEEDS} seeds: the range of all in place of the single ones." if many else ""
        yield Plot(
            name=page_name(name, page),
            title="Learning curves" + (f", {told}" if told else ""),
            caption=f"{setting.title}; {n}. Lines: {series[0].measured.split(',')[0]}{lines_told * (most > 1)}.{said}"
            f"{ranged}",
            figure=figure,
        )


def curve_panels(series: Sequence[CurveSeries]) -> list[Panel]:
    """The panels, in which no line hides another one."""
    return [(title, _once(lines)) for title, lines in _layout(series)]


def _layout(series: Sequence[CurveSeries]) -> list[Panel]:
    """The panels, with no more than eight lines in each."""
    by_size: dict[float | None, list[CurveSeries]] = {}
    by_label: dict[str, list[CurveSeries]] = {}
    by_architecture: dict[str, list[CurveSeries]] = {}
    for one in series:
        by_size.setdefault(one.train_size, []).append(one)
        by_label.setdefault(one.label, []).append(one)
        by_architecture.setdefault(one.architecture, []).append(one)
    sizes = sorted(by_size, key=lambda size: size or 0.0)
    if len(by_label) <= MOST_LINES:
        return [
            ("" if size is None else f"{size_told(size)} of the images" if size <= 1 else size_told(size), lines)
            for size in sizes
            for lines in [[(one.label, one) for one in by_size[size]]]
        ]
    if len(sizes) == 1:  # nothing but the labels tells the lines apart
        labels = chunks([(one.label, one) for one in series])
        return [(f"{lines[0][0]} to {lines[-1][0]}" if len(lines) > 1 else lines[0][0], lines) for lines in labels]
    return [
        (architecture, [(_size_and_arm(one), one) for one in part])
        for architecture in sorted(by_architecture, key=natural)
        for part in chunks(sorted(by_architecture[architecture], key=lambda one: one.train_size or 0.0))
    ]


def _once(lines: Sequence[tuple[str, CurveSeries]]) -> list[tuple[str, CurveSeries]]:
    """The lines of a panel; of those that would hide one another one alone, which has the names of all."""
    same: dict[Any, list[tuple[str, CurveSeries]]] = {}
    for label, one in lines:
        same.setdefault((one.boundaries, tuple(seed.points for seed in one.seeds)), []).append((label, one))
    return [(named_once([label for label, _ in alike]), alike[0][1]) for alike in same.values()]


def _size_and_arm(one: CurveSeries) -> str:
    """`10 %`, and of a baseline `10 %, rand`."""
    size = "" if one.train_size is None else size_told(one.train_size)
    return ", ".join(filter(None, [size, one.label.removeprefix(one.architecture).strip("_")]))


def _look_of(label: str, names: Sequence[str]) -> Mapping[str, Any]:
    return {**look(names.index(label)), "marker": None}


def _draw(ax: Axes, one: CurveSeries, style: Mapping[str, Any]) -> None:
    """The seeds, or the range of very many of them, and the mean over them, each phase by itself."""
    seeds = [seed.points for seed in one.seeds]
    if len(seeds) > MOST_SEEDS:
        by_epoch: dict[float, list[float]] = {}
        for x, y in (point for points in seeds for point in points):
            by_epoch.setdefault(x, []).append(y)
        for part in phases_of(tuple((x, 0.0) for x in sorted(by_epoch)), one.boundaries):
            epochs = [at for at, _ in part]
            low, high = [min(by_epoch[at]) for at in epochs], [max(by_epoch[at]) for at in epochs]
            ax.fill_between(epochs, low, high, color=style["color"], alpha=0.18, linewidth=0)
    elif len(seeds) > 1:
        parts = [part for points in seeds for part in phases_of(points, one.boundaries)]
        ax.add_collection(LineCollection(parts, colors=style["color"], linewidths=0.6, alpha=0.3, zorder=1.5))
    for part in phases_of(one.mean, one.boundaries):
        ax.plot([x for x, _ in part], [y for _, y in part], **{**style, "marker": "." if len(part) == 1 else None})
    for boundary in one.boundaries:
        ax.axvline(boundary, color="0.6", linewidth=0.8, linestyle=":", zorder=0.5)


def phases_of(points: Points, boundaries: Sequence[float]) -> list[Points]:
    """The points of each phase."""
    ends = [0.0, *boundaries, float("inf")]
    parts = [tuple(p for p in points if low < p[0] <= high) for low, high in pairwise(ends)]
    return [part for part in parts if part]


def _show_all(ax: Axes, series: Sequence[CurveSeries]) -> None:
    """Axes that reach beyond the last point of the longest run, and all values."""
    points = [
        point for one in series for points in (one.mean, *(seed.points for seed in one.seeds)) for point in points
    ]
    last = max(x for x, _ in points)
    ax.set_xlim(min(0.5, 1 - 0.03 * last), last + max(0.5, 0.03 * last))
    ax.update_datalim(points)
    ax.autoscale_view(scalex=False)
