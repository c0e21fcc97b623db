"""The plots of the scattering sweeps: by train size, and filter change against gain."""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from analysis.comparison.cells import Cell
from analysis.comparison.runs import metric_of
from analysis.numbers import size_told
from analysis.ordering import natural
from analysis.plots.said import BAND, accuracy_told, runs_told
from analysis.plots.style import (
    MOST_PANELS,
    PUBLISHED,
    Plot,
    band,
    chunks,
    head,
    legend_below,
    legend_right,
    log_axis,
    look,
    named_panels,
    page_name,
    page_told,
    panels,
)
from analysis.published import SCATTERING, SCATTERING_DATA, TRAIN_SIZES
from analysis.reading.results import Results, Setting
from analysis.tables.scattering import images_of, scattering_cells, significance_table

AUTHORS = "the authors' means of five seeds at their epochs (20 and 150; random 180)"
PUBLISHED_IMAGES = [50_000 * size for size in TRAIN_SIZES]

SERIES = (
    # metric, whether of random init, label, published series
    ("joint_acc", True, "random init, joint", "joint"),
    ("head_acc", False, "wavelets, frozen", ""),
    ("finetune_acc", False, "wavelets, fine-tuned", "finetune"),
)

Sampled = list[tuple[float, list[float]]]
"""Training images, and a value for each seed."""


def data_efficiency(setting: Setting, name: str) -> Iterator[Plot]:
    """Accuracy by train size: random, frozen and fine-tuned, a panel for each architecture with several sizes."""
    by_arch = {a: parts for a, parts in by_architecture(setting).items() if len({images_of(c) for c in parts}) > 1}
    pages = chunks(list(by_arch.items()), MOST_PANELS)
    for page, shown in enumerate(pages):
        told, published = page_told(page, len(pages)), False
        runs = _runs(shown)
        with panels(len(shown), columns=2 if len(shown) < 5 else 3, sharey=True) as (figure, axes):
            for ax, (arch, parts) in zip(axes, shown, strict=True):
                published |= _by_size(ax, arch, parts, _has_anchors(setting))
            axes[0].set_ylabel(f"{accuracy_told(runs)}, %")
            handles = [Line2D([], [], label=label, **look(i)) for i, (_, _, label, _) in enumerate(SERIES)]
            authors = Line2D([], [], label="the authors (dashed: random)", **PUBLISHED)
            legend_below(figure, [*handles, *[authors] * published])
            head(figure, "Data efficiency", runs_told(setting, runs, BAND), told)
        said = f" Thin grey: {AUTHORS} (solid: fine-tuned, dashed: random)." if published else ""
        yield Plot(
            name=page_name(name, page),
            title="Data efficiency" + (f", {told}" if told else ""),
            caption=f"{runs_told(setting, runs)}. Means over seeds with their 95 % intervals.{said}",
            figure=figure,
        )


def _by_size(ax: Axes, arch: str, parts: Sequence[Cell], anchored: bool) -> bool:
    """The panel of an architecture. Returns whether the authors' means are in it."""
    published = False
    for i, (metric, random, label, anchor) in enumerate(SERIES):
        known = _sampled([(cell, cell.baseline if random else cell.arm) for cell in parts], metric)
        if known:
            x, samples = zip(*known, strict=True)
            band(ax, x, samples, label, **look(i))
        theirs = SCATTERING.get(arch, {}).get(anchor) if anchored else None
        if theirs and known:
            published = True
            ax.plot(PUBLISHED_IMAGES, theirs, linestyle="--" if random else "-", **PUBLISHED)
    log_axis(ax, [*map(images_of, parts), *(PUBLISHED_IMAGES if published else [])])
    ax.set_title(arch)
    ax.set_xlabel("training images")
    return published


def _sampled(sides: Sequence[tuple[Cell, pd.DataFrame]], metric: str) -> Sampled:
    """The values of a metric over seeds by the number of training images."""
    found: dict[float, list[float]] = {}
    for cell, runs in sides:
        if values := metric_of(runs, metric).tolist():
            found.setdefault(images_of(cell), values)
    return sorted(found.items())


def advantage(results: Results, setting: Setting, name: str) -> Plot | None:
    """What wavelets are ahead of random init, by train size, with 95 % intervals; None without pairs."""
    rows = significance_table(results).rows
    rows = rows[rows["setting"] == setting.title] if len(rows) else rows
    if rows.empty:
        return None
    archs = sorted(dict.fromkeys(rows["arch"]), key=natural)
    anchored = any(arch in SCATTERING for arch in archs) and _has_anchors(setting)
    n = sorted({int(n) for n in rows["n_seeds"]})
    counted = f"n = {n[0]}{f' to {n[-1]}' * (len(n) > 1)} pair{'s' * (n[-1] > 1)} of seeds"
    with named_panels(archs) as (figure, axes, parts):
        for ax, shown in zip(axes, parts, strict=True):
            ax.axhline(0, color="0.3", linewidth=0.8)
            for i, arch in enumerate(shown):
                part = rows[rows["arch"] == arch].sort_values("train_images")
                x = part["train_images"].to_numpy() * 1.02 ** (i - (len(shown) - 1) / 2)  # side by side
                errors = np.array([part["delta"] - part["ci95_lo"], part["ci95_hi"] - part["delta"]], dtype=float)
                ax.errorbar(x, part["delta"], yerr=np.nan_to_num(errors), capsize=3, label=arch, **look(i))
                if anchored and arch in SCATTERING:
                    ahead = np.subtract(SCATTERING[arch]["finetune"], SCATTERING[arch]["joint"])
                    theirs = {**PUBLISHED, "color": look(i)["color"], "alpha": 0.7}
                    ax.plot(PUBLISHED_IMAGES, ahead, linestyle="--", **theirs)
            log_axis(ax, [*rows["train_images"], *(PUBLISHED_IMAGES if anchored else [])])
            ax.set_xlabel("training images")
            ax.set_ylabel("wavelets less random init, points")
            legend_right(ax)
        told = "bars: 95 % interval of the mean difference over seeds"
        head(figure, "Advantage of wavelets", f"{setting.title}; {counted}; {told if n[-1] > 1 else ''}".rstrip("; "))
    return Plot(
        name=name,
        title="Advantage of wavelets",
        caption=f"{setting.title}; {counted}. Fine-tuned wavelets less random init trained jointly, paired by seed, "
        f"with 95 % intervals.{f' Thin and dashed: by {AUTHORS}.' if anchored else ''}",
        figure=figure,
    )


def gain_by_size(setting: Setting, name: str) -> Plot | None:
    """The gain of fine-tuning by train size, with bands; None for one size."""
    lines = {}
    for arch, parts in by_architecture(setting).items():
        known = _sampled([(cell, cell.arm) for cell in parts], "finetune_gain")
        if len(known) > 1:
            lines[arch] = known
    if not lines:
        return None
    runs = _runs([(arch, parts) for arch, parts in by_architecture(setting).items() if arch in lines], random=False)
    with named_panels(list(lines)) as (figure, axes, parts):
        for ax, shown in zip(axes, parts, strict=True):
            for i, arch in enumerate(shown):
                x, samples = zip(*lines[arch], strict=True)
                band(ax, x, samples, arch, **look(i))
            log_axis(ax, sorted({images for known in lines.values() for images, _ in known}))
            ax.set_xlabel("training images")
            ax.set_ylabel("gain of fine-tuning, points")
            legend_right(ax)
        head(figure, "Gain of fine-tuning by train size", runs_told(setting, runs, BAND))
    return Plot(
        name=name,
        title="Gain by train size",
        caption=f"{runs_told(setting, runs)}. Accuracy fine-tuned less that at the start of fine-tuning; means over "
        "seeds with 95 % intervals.",
        figure=figure,
    )


def filter_change(setting: Setting, name: str) -> Plot | None:
    """How far the filters moved against what it gained, a point for each run."""
    found: dict[str, pd.DataFrame] = {}
    for cell in sorted(scattering_cells(setting), key=lambda cell: (natural(cell.arm_label), cell.value)):
        found[cell.arm_label] = pd.concat([found[cell.arm_label], cell.arm] if cell.arm_label in found else [cell.arm])
    points = {}
    for arch, runs in found.items():
        once = runs[~runs.index.duplicated()]
        moved, gained = metric_of(once, "filter_delta_relative"), metric_of(once, "finetune_gain")
        both = moved.index.intersection(gained.index)
        if len(both):
            points[arch] = once.loc[both]
    if not points:
        return None
    shown_runs = pd.concat(points.values())
    sizes = sorted({float(size) for size in shown_runs["train_size"]})
    with named_panels(list(points)) as (figure, axes, parts):
        for ax, shown in zip(axes, parts, strict=True):
            for i, arch in enumerate(shown):
                runs, style = points[arch], look(i)
                area = 12 + 60 * runs["train_size"].astype(float) / sizes[-1]
                dots = {"color": style["color"], "marker": style["marker"], "alpha": 0.65, "linewidth": 0}
                x, y = metric_of(runs, "filter_delta_relative"), metric_of(runs, "finetune_gain")
                ax.scatter(x, y, s=area, label=arch, **dots)
            ax.locator_params(axis="x", nbins=6)
            ax.set_xlabel("relative change of the filters")
            ax.set_ylabel("gain of fine-tuning, points")
            legend = ax.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0), borderaxespad=0.0)
            for handle in legend.legend_handles:
                handle.set_sizes([36])
        larger = f", larger for larger train sizes ({size_told(sizes[0])} to {size_told(sizes[-1])})"
        told = f"a point for each run{larger * (len(sizes) > 1)}"
        head(figure, "Filter change against gain", f"{runs_told(setting, shown_runs)}; {told}")
    return Plot(
        name=name,
        title="Filter change against gain",
        caption=f"{runs_told(setting, shown_runs)}. A point for each run{larger * (len(sizes) > 1)}.",
        figure=figure,
    )


def _has_anchors(setting: Setting) -> bool:
    """Whether the authors' means are of the same data, and not of these very runs."""
    runs = setting.runs
    theirs = "imported" in runs and runs["imported"].notna().all()
    return setting.dataset == SCATTERING_DATA and not theirs


def by_architecture(setting: Setting) -> dict[str, list[Cell]]:
    """The architectures in their order, each with its cells by the number of training images."""
    found: dict[str, list[Cell]] = {}
    for cell in sorted(scattering_cells(setting), key=lambda cell: (natural(cell.label), images_of(cell))):
        found.setdefault(cell.label, []).append(cell)
    return found


def _runs(shown: Sequence[tuple[str, Sequence[Cell]]], *, random: bool = True) -> pd.DataFrame:
    """The runs of architectures, each once; without `random` those with wavelets."""
    sides = [side for _, parts in shown for c in parts for side in ((c.arm, c.baseline) if random else (c.arm,))]
    runs = pd.concat([side for side in sides if len(side)])
    return runs[~runs.index.duplicated()]


def scattering_plots(results: Results, setting: Setting, suffix: str) -> Iterator[Plot | None]:
    """All of a setting but its heat map."""
    yield from data_efficiency(setting, f"data_efficiency{suffix}")
    yield advantage(results, setting, f"advantage{suffix}")
    yield gain_by_size(setting, f"gain{suffix}")
    yield filter_change(setting, f"filter_change{suffix}")
