"""Filters before and after training, and how far each moved: a figure for each architecture and init."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.comparison.cells import labels_by_run
from analysis.numbers import count, size_told
from analysis.ordering import natural
from analysis.plots.style import STYLE, Plot, head, legend_right, look
from analysis.reading.results import Results, Setting
from raysweep.ledger import FiltersError, LedgerError, UnreadableError, open_ledger, read_filters

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Arrays = Mapping[str, NDArray[Any]]

PARTS = ("real part", "imaginary part", "spectrum")
MOST_TRIED = 5
"""Runs of a label whose folders are looked into: those of older results have no filters at all."""
MOST_ACROSS = 24
"""Filters side by side; more stand in further rows."""


@dataclass(frozen=True, kw_only=True)
class ShownRun:
    """The run of a label whose filters are shown."""

    label: str
    run: str
    told: str
    """Which run it is, and of how many."""
    arrays: "Arrays"


def filter_plots(results: Results, setting: Setting, suffix: str) -> Iterator[Plot]:
    """For each label the filters of one run; the notices of the results name damaged files, and labels that have no
    filters where others have some."""
    without: list[str] = []
    drawn = 0
    for i, shown in enumerate(_shown_runs(results, setting, without)):
        try:
            figure = _figure(setting, shown)
        except (KeyError, IndexError, ValueError, TypeError) as error:
            _notice(results, f"runs/{shown.run}/filters.npz holds no filters that can be shown ({error})")
            continue
        drawn += 1
        yield Plot(
            name=f"filters{suffix}_{i + 1}",
            title=f"Filters of {shown.label}",
            caption=f"{setting.title}; {shown.told}. Block 1: psi on its own colour, before and after training, on one "
            "scale of colours for each part; spectrum: absolute values, frequency zero in the middle. Deeper blocks: "
            "how far each filter moved, over its norm before (all its channels), and the most and the least moved ones "
            "on their own channel, with the numbers below them.",
            figure=figure,
        )
    if drawn and without:
        tried = f"none of their first {MOST_TRIED} runs has left runs/RUN/filters.npz"
        _notice(results, f"no filters are shown of {', '.join(without)}: {tried}")


def _shown_runs(results: Results, setting: Setting, without: list[str]) -> Iterator[ShownRun]:
    """Of each label the run with the most training images and the first seed that has left its filters.

    Labels of which no run was found that has are added to `without`.
    """
    runs = setting.runs
    if runs.empty or "modulus_type" not in runs:
        return
    if "imported" in runs:
        runs = runs[runs["imported"].isna()]
    labels = labels_by_run(setting)[runs.index]
    store = open_ledger(setting.location).store
    for label in sorted(set(labels), key=natural):
        own = runs[labels == label].sort_values("seed", kind="stable")
        if "train_size" in own:
            images = pd.to_numeric(own["train_size"], errors="coerce")
            own = own.loc[images.sort_values(ascending=False, kind="stable").index]
        told = [name for name in ("run", "same_as", "train_size") if name in own]
        for row in own[told].head(MOST_TRIED).to_dict("records"):
            adopted = row.get("same_as")
            run = str(adopted if isinstance(adopted, str) else row["run"])
            try:
                arrays = read_filters(store, run)
            except (FiltersError, LedgerError, UnreadableError) as error:
                _notice(results, f"{error}; its filters are not shown")
                continue
            if arrays is not None:
                size = row.get("train_size")
                at = f" at {size_told(float(size))} of the images" if isinstance(size, int | float) else ""
                which = f"{run}{at}, one of {count(len(own), 'run')}"
                yield ShownRun(label=label, run=run, told=which, arrays=arrays)
                break
        else:
            without.append(label)


def _notice(results: Results, line: str) -> None:
    if line not in results.notices:
        results.notices.append(line)


def spectrum(filters: "NDArray[Any]") -> "NDArray[Any]":
    """The absolute value of the Fourier transform, frequency zero in the middle, [n, K, K], on 32 x 32 points at least
    so that it is smooth."""
    side = max(32, filters.shape[-1])
    return np.abs(np.fft.fftshift(np.fft.fft2(filters, s=(side, side)), axes=(-2, -1)))


def _figure(setting: Setting, shown: ShownRun) -> Figure:
    """Block 1 in three pictures; then how far the filters moved, and the deeper blocks' most and least moved."""
    arrays = shown.arrays
    before, after = (_on_own_channel(arrays, when) for when in ("before", "after"))
    blocks = [i for i in range(2, 15) if len(arrays.get(f"block{i}_psi_shown", ()))]
    parts = PARTS if len(before) else ()  # of very large filters the file holds no pictures
    across = min(MOST_ACROSS, len(before)) or MOST_ACROSS
    rows = -(-len(before) // across)
    width = max(8.0, 0.42 * across + 1.6)
    picture = 0.42 * 2 * rows * (width - 1.6) / (0.42 * across) + 0.4
    ratios = [picture] * len(parts) + [2.8] + [2.0] * len(blocks)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(width, sum(ratios) + 0.9), layout="constrained")
        axes = list(figure.subplots(len(ratios), 1, squeeze=False, gridspec_kw={"height_ratios": ratios}).flat)
        pictures = [[part(psi) for psi in (before, after)] for part in (np.real, np.imag, spectrum) if parts]
        for ax, name, (first, second) in zip(axes, parts, pictures, strict=False):
            _mosaic(ax, [("before", first), ("after", second)], across, signed=name != "spectrum")
            ax.set_title(f"Block 1, psi: {name}", loc="left", fontsize=9)
        _movements(axes[len(parts)], arrays)
        for ax, i in zip(axes[len(parts) + 1 :], blocks, strict=True):
            _most_and_least(ax, arrays, i)
        moved, norm = (float(np.sqrt((arrays[name] ** 2).sum())) for name in ("moved", "norm"))
        said = f"all parameters of the blocks moved by {moved / norm if norm else 0.0:.3f} of their norm"
        head(figure, f"Filters of {shown.label} before and after training", f"{setting.title}; {shown.told}; {said}")
    return figure


def _on_own_channel(arrays: "Arrays", when: str) -> "NDArray[Any]":
    """The filters psi of block 1 on their own input channel, [n, K, K]: filter C_i L + l is of channel C_i."""
    psi = arrays[f"block1_psi_{when}"]
    if psi.ndim == 3:
        return psi
    index = np.arange(len(psi))
    own: NDArray[Any] = psi[index, index * psi.shape[1] // len(psi)]
    return own


def _mosaic(ax: Axes, sides: Sequence[tuple[str, "NDArray[Any]"]], across: int, *, signed: bool) -> None:
    """The filters of both sides one above the other, on one scale."""
    most = max(float(np.abs(filters).max()) for _, filters in sides) or 1.0
    side = sides[0][1].shape[-1]
    gap = max(1, side // 8)
    step = side + gap
    lines: list[tuple[str, NDArray[Any]]] = []
    for start in range(0, len(sides[0][1]), across):
        lines += [(name, filters[start : start + across]) for name, filters in sides]
    canvas = np.full((len(lines) * step - gap, across * step - gap), np.nan)
    for row, (_, filters) in enumerate(lines):
        for column, one in enumerate(filters):
            canvas[row * step : row * step + side, column * step : column * step + side] = one
    colors = mpl.colormaps["PuOr" if signed else "cividis"].with_extremes(bad="white")
    ax.imshow(canvas, cmap=colors, vmin=-most if signed else 0.0, vmax=most, interpolation="nearest")
    ax.set_yticks([row * step + side / 2 for row in range(len(lines))], labels=[name for name, _ in lines], fontsize=8)
    ax.set_xticks([])
    ax.tick_params(length=0)
    ax.grid(visible=False)
    for spine in ax.spines.values():
        spine.set_visible(False)


def _movements(ax: Axes, arrays: "Arrays") -> None:
    """How far the filters of each block moved, from the most to the least moved one."""
    drawn = 0
    for i in range(1, 15):
        for name in ("psi", "phi"):
            moved = arrays.get(f"block{i}_{name}_moved")
            if moved is None or (name == "phi" and f"block{i}_psi_moved" in arrays):
                continue
            style = {**look(drawn), "marker": "o" if len(moved) == 1 else None}
            x = np.linspace(0, 100, len(moved)) if len(moved) > 1 else [50.0]
            ax.plot(x, np.sort(moved)[::-1], label=f"block {i}, {int(arrays[f'block{i}_{name}_n']):,} {name}", **style)
            drawn += 1
    ax.set_ylim(bottom=0.0)
    ax.set_xlabel("filters by how far they moved, %")
    ax.set_ylabel("moved / norm")
    ax.set_title("How far each filter moved", loc="left", fontsize=9)
    legend_right(ax)


def _most_and_least(ax: Axes, arrays: "Arrays", block: int) -> None:
    """Real and imaginary parts of the most and the least moved filters of a deeper block."""
    before, after = (arrays[f"block{block}_psi_{when}"] for when in ("before", "after"))
    parts = [("before, re", before.real), ("after, re", after.real), ("before, im", before.imag)]
    _mosaic(ax, [*parts, ("after, im", after.imag)], len(before), signed=True)
    half = (len(before) + 1) // 2
    told = arrays[f"block{block}_psi_moved_shown"]
    step = before.shape[-1] + max(1, before.shape[-1] // 8)
    places = [column * step + before.shape[-1] / 2 for column in range(len(before))]
    ax.set_xticks(places, labels=[f"{value:.3g}" for value in told], fontsize=7)
    ax.set_title(f"Block {block}: the {half} most moved filters, then the least", loc="left", fontsize=9)
