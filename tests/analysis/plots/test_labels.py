"""Names beside points: none upon another one, upon a point, or outside of the panel."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from analysis.plots.labels import Named, place_names
from analysis.plots.style import renderer_of
from tests.analysis.plots.drawn import boxes_of, overlapping


def panel(points):
    figure = Figure(figsize=(6, 4), layout="constrained")
    ax = figure.subplots()
    ax.plot([x for x, _ in points], [y for _, y in points], "o", linestyle="none")
    ax.margins(0.15)
    figure.draw_without_rendering()
    return figure, ax


@pytest.mark.parametrize("seed", range(4))
def test_names_of_many_points_overlap_neither_each_other_nor_a_point(seed):
    points = np.random.default_rng(seed).random((14, 2)).tolist()
    figure, ax = panel(points)
    placed = place_names(ax, [Named(text=f"architecture_{i}", x=x, y=y) for i, (x, y) in enumerate(points)], points)
    assert len(placed) >= 10
    boxes = {note: note.get_window_extent(renderer_of(figure)) for note in placed}
    assert overlapping(boxes) == []
    dots = ax.transData.transform(points)
    inside = ax.get_window_extent()
    for box in boxes.values():
        assert not any(box.contains(x, y) for x, y in dots)
        assert inside.x0 <= box.x0 < box.x1 <= inside.x1
        assert inside.y0 <= box.y0 < box.y1 <= inside.y1


def test_a_crowd_of_points_at_one_place_is_named_around_it_or_not_at_all():
    points = [(0.5 + i / 1000, 0.5) for i in range(40)]
    figure, ax = panel([*points, (0, 0), (1, 1)])
    placed = place_names(ax, [Named(text=f"name {i}", x=x, y=y) for i, (x, y) in enumerate(points)], points)
    assert 8 <= len(placed) < 40
    assert overlapping(boxes_of(figure, type(placed[0]))) == []


def test_a_name_keeps_off_a_line():
    figure, ax = panel([(0, 0), (1, 1), (0.5, 0.5)])
    ax.plot([0.5, 1.0], [0.5, 1.0])
    (note,) = place_names(ax, [Named(text="a rather long name", x=0.5, y=0.5)], [(0.5, 0.5)])
    box = note.get_window_extent(renderer_of(figure))
    along = ax.transData.transform([(t, t) for t in np.linspace(0.5, 1, 500)])
    assert not any(box.contains(x, y) for x, y in along)
