"""How all plots look: readable in print, by the colour-blind, and without a screen."""

import io
import itertools
import math
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter
from matplotlib.transforms import Bbox

from analysis.statistics import mean_interval

T = TypeVar("T")

COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8C8C00")
"""Okabe and Ito's palette (2008), whose colours keep apart in all common kinds of colour blindness; the yellow is
darkened for white paper."""
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
LINES = ("-", "--", "-.", ":")
PUBLISHED: dict[str, Any] = {"color": "0.35", "linewidth": 0.8, "zorder": 1}
"""The authors' own means."""

PANEL = (5.2, 3.6)
"""Width and height of a panel in inches."""
MOST_LINES = 8
"""Lines that one panel shows at most: there are as many colours."""
MOST_PANELS = 12
"""Panels that one figure shows at most: what is more goes into a further figure."""
LETTER = 0.072
"""Width of a letter of a legend in inches, rather too large than too small."""

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
    "pdf.fonttype": 42,
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
        """Leave it as NAME.png, NAME.svg and NAME.pdf."""
        (folder / f"{self.name}.png").write_bytes(self.png)
        for form in ("svg", "pdf"):
            (folder / f"{self.name}.{form}").write_bytes(self._saved(form))

    def _saved(self, form: str) -> bytes:
        stream = io.BytesIO()
        metadata = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(form, {})
        with mpl.rc_context(STYLE):
            self.figure.savefig(stream, format=form, bbox_inches=self._extent, metadata=metadata)
        return stream.getvalue()

    @cached_property
    def _extent(self) -> Bbox:
        """What a file shows, in inches: all that is drawn. The layout is done once, and is then that of all files."""
        renderer = renderer_of(self.figure)
        with mpl.rc_context(STYLE):
            self.figure.draw_without_rendering()
            self.figure.set_layout_engine("none")
            return self.figure.get_tightbbox(renderer).padded(0.08)


def renderer_of(figure: Figure) -> Any:
    """What measures the texts of a figure."""
    canvas: Any = FigureCanvasAgg(figure)
    return canvas.get_renderer()


@contextmanager
def panels(n: int = 1, columns: int = 2, size: tuple[float, float] = PANEL, **axes: Any) -> Iterator[Any]:
    """A new figure with `n` panels, `columns` side by side; yields the figure and the list of its axes."""
    columns = min(n, columns)
    rows = math.ceil(n / columns)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(size[0] * columns, size[1] * rows), layout="constrained")
        grid = figure.subplots(rows, columns, squeeze=False, **axes)
        used = list(grid.flat)
        for spare in used[n:]:
            spare.set_visible(False)
        yield figure, used[:n]


@contextmanager
def named_panels(names: Sequence[str], height: float = 3.6) -> Iterator[Any]:
    """A new figure of as many panels as series of these names need, with room for a legend to the right of each.

    Yields the figure, its axes, and the names of each.
    """
    parts = chunks(names)
    width = 4.6 + LETTER * max(map(len, names)) + 0.6
    with panels(len(parts), columns=2 if width < 7 else 1, size=(width, height), sharex=True, sharey=True) as found:
        for ax in found[1]:
            ax.tick_params(labelbottom=True)
        yield *found, parts


def head(figure: Figure, title: str, *told: str) -> None:
    """Say above the panels what a figure shows, so that its file says it, too: the title, and what is told below it."""
    room = max(40, int(figure.get_size_inches()[0] / LETTER))
    lines = [line for text in filter(None, told) for line in textwrap.wrap(text, room)]
    figure.suptitle("\n".join([title, *lines]), x=0.01, ha="left", fontsize=9.5)


def legend_below(figure: Figure, handles: Sequence[Any], title: str | None = None) -> None:
    """A legend of all panels below them, in as many columns as there is room for."""
    if not handles:
        return
    longest = max(len(str(handle.get_label())) for handle in handles)
    columns = max(1, int(figure.get_size_inches()[0] / (LETTER * longest + 0.6)))
    rows = math.ceil(len(handles) / columns)
    figure.legend(
        handles=handles,
        loc="outside lower center",
        ncols=math.ceil(len(handles) / rows),
        title=title,
        title_fontsize=8.5,
    )


def legend_right(axes: Axes) -> None:
    """A legend of one panel, to the right of it."""
    axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0), borderaxespad=0.0)


def chunks(items: Sequence[T], most: int = MOST_LINES) -> list[Sequence[T]]:
    """The items in their order, in parts of nearly the same length and no more than `most`."""
    n = math.ceil(len(items) / most) if items else 0
    ends = [round(i * len(items) / n) for i in range(n + 1)] if n else []
    return [items[start:end] for start, end in itertools.pairwise(ends)]


def page_name(name: str, page: int) -> str:
    """The name of a further figure of the same plot: `curves`, `curves_page2`."""
    return name if page == 0 else f"{name}_page{page + 1}"


def page_told(page: int, pages: int) -> str:
    """`page 2 of 3`; "" where there is one alone."""
    return f"page {page + 1} of {pages}" if pages > 1 else ""


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
    """A logarithmic x axis with ticks at the values themselves, as far as they are apart."""
    ticks = sorted(set(values))
    told = list(spoken) if spoken else [short(value) for value in ticks]
    apart = (max(ticks) / min(ticks)) ** 0.06 if ticks and min(ticks) > 0 else 1.0
    last = 0.0
    for i, tick in enumerate(ticks):
        if last and tick < last * apart:
            told[i] = ""
        else:
            last = tick
    axes.set_xscale("log")
    axes.set_xticks(ticks, labels=told)
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
