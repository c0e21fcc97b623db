"""Names beside points, placed so that none lies upon another, upon a point, or outside of its panel."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from matplotlib.axes import Axes
from matplotlib.text import Annotation
from matplotlib.transforms import Bbox

from analysis.plots.style import renderer_of

DISTANCES = (6.0, 12.0, 22.0, 36.0, 54.0, 76.0)
"""Of a name from its point, in points of type; from `LEADER` on a thin line joins the two."""
LEADER = 22.0
ANGLES = tuple(math.radians(angle) for angle in (45, -45, 135, -135, 0, 180, 90, -90))
FREE = 2.0
"""Pixels that stay free around a name."""


@dataclass(frozen=True, kw_only=True)
class Named:
    """A point of a panel and its name."""

    text: str
    x: float
    y: float


def place_names(
    axes: Axes, named: Sequence[Named], points: Sequence[tuple[float, float]], fontsize: float = 7.0
) -> list[Annotation]:
    """Write the names beside their points, and keep off all `points` and off the lines of the panel where possible.

    The layout of the figure must be done but for the names. Returns those for which there was room.
    """
    figure = axes.get_figure(root=True)
    assert figure is not None
    renderer = renderer_of(figure)
    inside = axes.get_window_extent(renderer).padded(-FREE)
    per_point = figure.dpi / 72
    dots = [Bbox.from_extents(x - 3, y - 3, x + 3, y + 3) for x, y in _pixels(axes, points)]
    lines = np.concatenate(
        [np.empty((0, 2)), *(_along(axes.transData.transform(_corners(line))) for line in axes.lines)]
    )
    taken: list[Bbox] = []
    placed = []
    for name, (x, y) in zip(named, _pixels(axes, [(name.x, name.y) for name in named]), strict=True):
        note = axes.annotate(name.text, (name.x, name.y), (0, 0), textcoords="offset points", fontsize=fontsize)
        note.set_in_layout(False)
        size = note.get_window_extent(renderer)
        found = None
        for strict in (True, False):  # rather upon a line than nowhere
            found = found or _first_free(x, y, size, per_point, inside, [*taken, *dots], lines if strict else lines[:0])
        if found is None:
            note.remove()
            continue
        box, distance = found
        note.set_position(((box.x0 - x) / per_point, (box.y0 - y) / per_point))
        note.set_verticalalignment("bottom")
        if distance >= LEADER:
            _lead(axes, note, box, (x, y))
        taken.append(box.padded(FREE))
        placed.append(note)
    return placed


def _first_free(
    x: float,
    y: float,
    size: Bbox,
    per_point: float,
    inside: Bbox,
    taken: Sequence[Bbox],
    lines: np.ndarray,
) -> tuple[Bbox, float] | None:
    """The nearest place of a box of this size that nothing is in, and its distance."""
    for distance in DISTANCES:
        for angle in ANGLES:
            dx, dy = math.cos(angle), math.sin(angle)
            left = x + dx * distance * per_point - size.width * (0.5 - 0.5 * np.sign(round(dx, 3)))
            low = y + dy * distance * per_point - size.height * (0.5 - 0.5 * np.sign(round(dy, 3)))
            box = Bbox.from_bounds(left, low, size.width, size.height)
            whole = box.x0 >= inside.x0 and box.x1 <= inside.x1 and box.y0 >= inside.y0 and box.y1 <= inside.y1
            crossed = ((lines >= box.min) & (lines <= box.max)).all(axis=1).any()
            if whole and not crossed and not box.padded(FREE).count_overlaps(taken):
                return box, distance
    return None


def _lead(axes: Axes, note: Annotation, box: Bbox, point: tuple[float, float]) -> None:
    """Join a name that is far from its point with it."""
    x, y = np.clip(point[0], box.x0, box.x1), np.clip(point[1], box.y0, box.y1)
    ends = axes.transData.inverted().transform([(x, y), point])
    (line,) = axes.plot(ends[:, 0], ends[:, 1], color="0.6", linewidth=0.5, zorder=1, scalex=False, scaley=False)
    line.set_gid("leader")
    line.set_in_layout(False)


def _pixels(axes: Axes, points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in axes.transData.transform(points)] if len(points) else []


def _corners(line: object) -> np.ndarray:
    """The corners of a line in the data's coordinates, steps as they are drawn."""
    x, y = (np.asarray(values, dtype=float) for values in (line.get_xdata(), line.get_ydata()))  # type: ignore[attr-defined]
    if line.get_linestyle() in ("None", "none", "", " ") or len(x) < 2:  # type: ignore[attr-defined]
        return np.empty((0, 2))
    if str(line.get_drawstyle()).startswith("steps"):  # type: ignore[attr-defined]
        return np.column_stack([np.repeat(x, 2)[1:], np.repeat(y, 2)[:-1]])
    return np.column_stack([x, y])


def _along(corners: np.ndarray) -> np.ndarray:
    """Places along a line, some pixels apart, [n, 2]."""
    found = [np.empty((0, 2))]
    for start, end in pairwise(corners):
        if np.isfinite([start, end]).all():
            steps = max(2, int(np.abs(end - start).max() / 3))
            found.append(np.linspace(start, end, steps))
    return np.concatenate(found)
