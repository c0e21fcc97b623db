"""The curves of a run, as data that the page's script draws and lets one zoom: other seeds of it faint behind."""

import html
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from analysis.reading.phases import PHASES

SHOWN = (
    ("val_acc", "accuracy, %"),
    ("val_loss", "loss of the images it is validated on"),
    ("train_loss", "training loss"),
)

COLOUR, BESIDE = "#0072B2", "#777777"

MOST_SEEDS = 6

Points = list[list[float | None]]


def curves_html(run: Mapping[str, Any], siblings: Sequence[Mapping[str, Any]]) -> str:
    """A figure for each quantity that was recorded epoch by epoch; "" where none was."""
    own = run.get("curves")
    if not isinstance(own, dict):
        return ""
    others = _others(run, siblings)
    found = [figure for name, unit in SHOWN if (figure := _figure(name, unit, own, others))]
    return f'<h2>Curves</h2><div class="curves">{"".join(found)}</div>' if found else ""


def _figure(name: str, unit: str, own: Mapping[str, Any], others: Sequence[tuple[str, Mapping[str, Any]]]) -> str:
    points, marks = points_of(own, name)
    if not points:
        return ""
    series = [
        {"label": f"seed {seed}", "color": BESIDE, "faint": True, "points": theirs}
        for seed, curves in others
        if (theirs := points_of(curves, name)[0])
    ]
    series.append({"label": name, "color": COLOUR, "points": points})
    chart = {"title": f"{name} by epoch", "x": "epoch", "y": unit, "series": series, "marks": marks}
    told = [
        *([f"grey: {len(series) - 1} other seeds"] * (len(series) > 1)),
        *(["dotted: the next phase begins"] * bool(marks)),
    ]
    caption = f"{name} ({'; '.join(told)})" if told else name
    data = html.escape(json.dumps(chart, separators=(",", ":"), allow_nan=False))
    return f'<figure class="chart" data-chart="{data}"><figcaption>{html.escape(caption)}</figcaption></figure>'


def points_of(curves: Mapping[str, Any], name: str) -> tuple[Points, list[float]]:
    """The points of all phases one after the other, and where a phase begins after another."""
    points: Points = []
    marks: list[float] = []
    done = 0
    for phase in PHASES:
        curve = curves.get(phase) or []
        values = [point.get(name) for point in curve]
        if any(value is not None for value in values):
            marks += [done + 0.5] * bool(points)
            points += [[done + i + 1, rounded(value)] for i, value in enumerate(values)]
        done += len(curve)
    return points, marks


def rounded(value: Any) -> float | None:
    """A finite number with six digits, which JSON can hold; else None."""
    known = isinstance(value, int | float) and math.isfinite(value)
    return float(f"{value:.6g}") if known else None


def _others(run: Mapping[str, Any], siblings: Sequence[Mapping[str, Any]]) -> list[tuple[str, Mapping[str, Any]]]:
    """The first seeds beside a run that have curves."""
    found: list[tuple[str, Mapping[str, Any]]] = []
    for other in siblings:
        if other["run"] != run["run"] and isinstance(other.get("curves"), dict):
            found.append((str(other["seed"]), other["curves"]))
        if len(found) == MOST_SEEDS:
            break
    return found
