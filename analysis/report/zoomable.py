"""The learning curves of a setting as charts that the page's script draws, and lets one zoom."""

import html
import json
from collections.abc import Sequence
from typing import Any

from analysis.plots.curve_series import CurveSeries, Points, curve_series
from analysis.plots.curves import curve_panels, phases_of
from analysis.plots.style import COLORS
from analysis.reading.results import Setting
from analysis.report.run_curves import rounded

MOST_POINTS = 100_000
"""Points of a setting beyond which the page has no single seeds, but their means alone."""

DASHES = ("", "6 3", "2 3", "8 3 2 3")


def zoomable_curves(settings: Sequence[Setting]) -> str:
    """A folded list of charts for each setting that has curves; "" where none has."""
    return "".join(map(_of_setting, settings))


def _of_setting(setting: Setting) -> str:
    series = curve_series(setting)
    if not series:
        return ""
    with_seeds = sum(len(seed.points) for one in series for seed in one.seeds) <= MOST_POINTS
    charts = "".join(_chart(title, lines, with_seeds=with_seeds) for title, lines in curve_panels(series))
    faint = "Faint: single seeds." if with_seeds else "Means over seeds; the pages of the runs have each."
    title = html.escape(f"Learning curves to zoom: {setting.title}")
    return (
        f'<details class="plot-of zoomable" id="zoom-{html.escape(setting.title)}"><summary><b>{title}</b></summary>'
        f'<p class="note">{faint}</p><div class="curves">{charts}</div></details>'
    )


def _chart(title: str, lines: Sequence[tuple[str, CurveSeries]], *, with_seeds: bool) -> str:
    series: list[dict[str, Any]] = []
    for i, (label, one) in enumerate(lines):
        look = {"color": COLORS[i % len(COLORS)], "dash": DASHES[i // len(COLORS) % len(DASHES)]}
        if with_seeds and len(one.seeds) > 1:
            series += [
                {**look, "label": f"{label}, seed {seed.seed}", "faint": True, "points": _points(seed.points, one)}
                for seed in one.seeds
            ]
        series.append({**look, "label": label, "points": _points(one.mean or one.seeds[0].points, one)})
    marks = sorted({boundary for _, one in lines for boundary in one.boundaries})
    measured = lines[0][1].measured
    told = title or measured
    chart = {"title": told, "x": "epoch", "y": measured, "series": series, "marks": marks}
    data = html.escape(json.dumps(chart, separators=(",", ":"), allow_nan=False))
    return f'<figure class="chart" data-chart="{data}"><figcaption>{html.escape(told)}</figcaption></figure>'


def _points(points: Points, one: CurveSeries) -> list[list[float | None]]:
    """The points, with a gap between phases."""
    found: list[list[float | None]] = []
    for part in phases_of(points, one.boundaries):
        if found and part:
            found.append([part[0][0], None])
        found += [[x, rounded(y)] for x, y in part]
    return found
