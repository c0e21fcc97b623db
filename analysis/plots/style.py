"""How all plots look: readable in print, by the colour-blind, and without a screen."""

import io
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from analysis.statistics import mean_interval

COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8C8C00")
"""Okabe and Ito's palette (2008), whose colours keep apart in all common kinds of colour blindness; the yellow is
darkened for white paper."""
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
LINES = ("-", "--", "-.", ":")
PUBLISHED: dict[str, Any] = {"color": "0.35", "linewidth": 0.8, "zorder": 1}
"""The authors' own means."""

PANEL = (5.2, 3.6)
"""Width and height of a panel in inches."""

STYLE: Any = {
    "font.size": 10,
    "axes.titlesize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "0.9",
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "lines.linewidth": 1.6,
    "lines.markersize": 5,
    "savefig.dpi": 150,
    "svg.hashsalt": "raysweep",
    "axes.axisbelow": True,
}


@dataclass(frozen=True, kw_only=True)
class Plot:
    """A figure with its name and what it shows."""

    name: str
    """Its files are called so."""
    title: str
    caption: str
    figure: Figure

    @cached_property
    def png(self) -> bytes:
        """The picture, 150 dots per inch."""
        return self._saved("png")

    def _repr_png_(self) -> bytes:
        return self.png

    def write(self, folder: Path) -> None:
        """Leave it as NAME.png and NAME.svg."""
        (folder / f"{self.name}.png").write_bytes(self.png)
        (folder / f"{self.name}.svg").write_bytes(self._saved("svg"))

    def _saved(self, form: str) -> bytes:
        stream = io.BytesIO()
        metadata = {"Date": None} if form == "svg" else {}
        with mpl.rc_context(STYLE):
            self.figure.savefig(stream, format=form, bbox_inches="tight", metadata=metadata)
        return stream.getvalue()


@contextmanager
def panels(n: int = 1, columns: int = 2, size: tuple[float, float] = PANEL, **axes: Any) -> Iterator[Any]:
    """A figure with `n` panels, `columns` side by side; yields the figure and the list of its axes."""
    columns = min(n, columns)
    rows = math.ceil(n / columns)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(size[0] * columns, size[1] * rows), layout="constrained")
        grid = figure.subplots(rows, columns, squeeze=False, **axes)
        used = list(grid.flat)
        for spare in used[n:]:
            spare.set_visible(False)
        yield figure, used[:n]


def look(index: int) -> dict[str, Any]:
    """Colour, marker and line of the series of this number."""
    return {
        "color": COLORS[index % len(COLORS)],
        "marker": MARKERS[index % len(MARKERS)],
        "linestyle": LINES[(index // len(COLORS)) % len(LINES)],
    }


def band(axes: Axes, x: Sequence[float], samples: Sequence[Sequence[float]], label: str, **style: Any) -> None:
    """A line through the means of samples, with the 95 % intervals of the means as a band."""
    means = [math.fsum(sample) / len(sample) for sample in samples]
    axes.plot(x, means, label=label, **style)
    known = [(at, interval) for at, sample in zip(x, samples, strict=True) if (interval := mean_interval(sample))]
    if known:
        low, high = [interval[0] for _, interval in known], [interval[1] for _, interval in known]
        axes.fill_between([at for at, _ in known], low, high, color=style["color"], alpha=0.18, linewidth=0)


def log_axis(axes: Axes, values: Sequence[float], spoken: Sequence[str] | None = None) -> None:
    """A logarithmic x axis with ticks at the values themselves."""
    ticks = sorted(set(values))
    axes.set_xscale("log")
    axes.set_xticks(ticks, labels=list(spoken) if spoken else [short(value) for value in ticks])
    axes.xaxis.set_minor_formatter(NullFormatter())


def cost_axis(axes: Axes, values: Sequence[float]) -> None:
    """A logarithmic x axis with a few round ticks; a linear one where the values are close."""
    if min(values) > 0 and max(values) > 4 * min(values):
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if max(values) < 100 * min(values) else (1,)))
        axes.xaxis.set_minor_formatter(NullFormatter())
    else:
        axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: short(value)))


def short(value: float) -> str:
    """`2500`, `50k`, `1.4M`."""
    for unit, letter in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if value >= unit:
            return f"{value / (1e3 if letter == 'k' else unit):.3g}{letter}"
    return f"{value:.3g}" if value < 1000 else f"{value:.0f}"
