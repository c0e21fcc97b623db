"""The plots of the scattering sweeps: by train size, filter change against gain, and architectures on a map."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from analysis.comparison.cells import Cell
from analysis.comparison.runs import metric_of
from analysis.plots.style import PUBLISHED, Plot, band, log_axis, look, panels, short
from analysis.published import SCATTERING, SCATTERING_DATA, TRAIN_SIZES
from analysis.reading.results import Results, Setting
from analysis.tables.scattering import images_of, scattering_cells, significance_table

MOST_ARCHITECTURES = 8

AUTHORS = "the authors' means of five seeds at their epochs (20 and 150; random 180)"

SERIES = (
    # metric, whether of random init, label, published series
    ("joint_acc", True, "random init, joint", "joint"),
    ("head_acc", False, "wavelets, frozen", ""),
    ("finetune_acc", False, "wavelets, fine-tuned", "finetune"),
)


def data_efficiency(setting: Setting, name: str) -> Plot | None:
    """Accuracy by train size: random, frozen and fine-tuned, a panel for each architecture; None for one size."""
    by_arch = {
        arch: parts for arch, parts in by_architecture(setting).items() if len({images_of(c) for c in parts}) > 1
    }
    if not by_arch:
        return None
    published = False
    with panels(len(by_arch), sharey=True) as (figure, axes):
        for ax, (arch, parts) in zip(axes, by_arch.items(), strict=True):
            for i, (metric, random, label, anchor) in enumerate(SERIES):
                known = [
                    (images_of(cell), values.tolist())
                    for cell in parts
                    if len(values := metric_of(cell.baseline if random else cell.arm, metric))
                ]
                if known:
                    x, samples = zip(*known, strict=True)
                    band(ax, x, samples, label, **look(i))
                theirs = SCATTERING.get(arch, {}).get(anchor) if _has_anchors(setting) else None
                if theirs and known:
                    published = True
                    dash = "--" if random else "-"
                    ax.plot([50_000 * size for size in TRAIN_SIZES], theirs, linestyle=dash, **PUBLISHED)
            anchored = [50_000 * size for size in TRAIN_SIZES] if published else []
            log_axis(ax, [*map(images_of, parts), *anchored])
            ax.set_title(arch)
            ax.set_xlabel("training images")
        axes[0].set_ylabel("accuracy, %")
        axes[0].legend()
    said = f" Thin grey: {AUTHORS} (solid: fine-tuned, dashed: random)." if published else ""
    return Plot(
        name=name,
        title="Data efficiency",
        caption=f"{setting.title}. Means over seeds with their 95 % intervals.{said}",
        figure=figure,
    )


def advantage(results: Results, setting: Setting, name: str) -> Plot | None:
    """What wavelets are ahead of random init, by train size, with 95 % intervals; None without pairs."""
    rows = significance_table(results).rows
    rows = rows[rows["setting"] == setting.title] if len(rows) else rows
    if rows.empty:
        return None
    with panels() as (figure, (ax,)):
        ax.axhline(0, color="0.3", linewidth=0.8)
        archs = list(dict.fromkeys(rows["arch"]))[:MOST_ARCHITECTURES]
        anchored = any(arch in SCATTERING for arch in archs) and _has_anchors(setting)
        for i, arch in enumerate(archs):
            part = rows[rows["arch"] == arch].sort_values("train_images")
            x = part["train_images"].to_numpy() * 1.03 ** (i - (len(archs) - 1) / 2)  # side by side
            errors = np.array([part["delta"] - part["ci95_lo"], part["ci95_hi"] - part["delta"]], dtype=float)
            ax.errorbar(x, part["delta"], yerr=np.nan_to_num(errors), capsize=3, label=arch, **look(i))
            if anchored and arch in SCATTERING:
                ahead = np.subtract(SCATTERING[arch]["finetune"], SCATTERING[arch]["joint"])
                theirs = {**PUBLISHED, "color": look(i)["color"], "alpha": 0.7}
                ax.plot([50_000 * s for s in TRAIN_SIZES], ahead, linestyle="--", **theirs)
        log_axis(ax, [*rows["train_images"], *([50_000 * s for s in TRAIN_SIZES] if anchored else [])])
        ax.set_xlabel("training images")
        ax.set_ylabel("wavelets less random init, points")
        ax.legend()
    return Plot(
        name=name,
        title="Advantage of wavelets",
        caption=f"{setting.title}. Fine-tuned wavelets less random init trained jointly, paired by seed, with 95 % "
        f"intervals.{f' Thin and dashed: by {AUTHORS}.' if anchored else ''}",
        figure=figure,
    )


def gain_by_size(setting: Setting, name: str) -> Plot | None:
    """The gain of fine-tuning by train size, with bands; None for one size."""
    lines = {}
    for arch, parts in by_architecture(setting).items():
        known = [(images_of(c), v.tolist()) for c in parts if len(v := metric_of(c.arm, "finetune_gain"))]
        if len(known) > 1:
            lines[arch] = known
    if not lines:
        return None
    with panels() as (figure, (ax,)):
        for i, (arch, known) in enumerate(lines.items()):
            x, samples = zip(*known, strict=True)
            band(ax, x, samples, arch, **look(i))
        log_axis(ax, sorted({images for known in lines.values() for images, _ in known}))
        ax.set_xlabel("training images")
        ax.set_ylabel("gain of fine-tuning, points")
        ax.legend()
    return Plot(
        name=name,
        title="Gain by train size",
        caption=f"{setting.title}. Accuracy fine-tuned less that at the start of fine-tuning; means over seeds with "
        "95 % intervals.",
        figure=figure,
    )


def filter_change(setting: Setting, name: str) -> Plot | None:
    """How far the filters moved against what it gained, a point for each run."""
    found = {parts[0].arm_label: parts for parts in by_architecture(setting).values()}
    with panels() as (figure, (ax,)):
        for i, (arch, parts) in enumerate(found.items()):
            runs = pd.concat([cell.arm for cell in parts])
            moved, gained = metric_of(runs, "filter_delta_relative"), metric_of(runs, "finetune_gain")
            both = moved.index.intersection(gained.index)
            if len(both):
                area = 12 + 60 * runs.loc[both, "train_size"].clip(upper=1.0).astype(float)
                style = look(i)
                dots = {"color": style["color"], "marker": style["marker"], "alpha": 0.65, "linewidth": 0}
                ax.scatter(moved[both], gained[both], s=area, label=arch, **dots)
        if not ax.collections:
            return None
        ax.locator_params(axis="x", nbins=6)
        ax.set_xlabel("relative change of the filters")
        ax.set_ylabel("gain of fine-tuning, points")
        ax.legend()
    return Plot(
        name=name,
        title="Filter change against gain",
        caption=f"{setting.title}. A point for each run, larger for more training images.",
        figure=figure,
    )


def heat_map(setting: Setting, name: str) -> Plot | None:
    """Final accuracy of each architecture and init at each train size; None for one size."""
    values: dict[str, dict[float, float]] = {}
    for cell in scattering_cells(setting):
        for label, runs in ((cell.arm_label, cell.arm), (cell.baseline_label, cell.baseline)):
            accuracies = metric_of(runs, "final_acc")
            if len(accuracies):
                values.setdefault(label, {})[images_of(cell)] = float(accuracies.mean())
    table = pd.DataFrame.from_dict(values, orient="index").sort_index(axis="columns").sort_index().head(MOST_ROWS)
    if len(table.columns) < 2:
        return None
    height = max(1.8, 0.9 + 0.34 * len(table))
    with panels(size=(1.6 + 0.08 * max(map(len, table.index)) + 0.7 * len(table.columns), height)) as (figure, (ax,)):
        image = ax.imshow(table.to_numpy(), cmap="cividis", aspect="auto")
        ax.set_xticks(range(len(table.columns)), labels=[short(float(images)) for images in table.columns])
        ax.set_yticks(range(len(table)), labels=list(table.index))
        ax.grid(visible=False)
        ax.set_xlabel("training images")
        low, high = np.nanmin(table.to_numpy()), np.nanmax(table.to_numpy())
        for (row, column), value in np.ndenumerate(table.to_numpy()):
            if np.isfinite(value):
                dark = value < (low + high) / 2
                text = {"ha": "center", "va": "center", "fontsize": 8.5, "color": "white" if dark else "black"}
                ax.text(column, row, f"{value:.1f}", **text)
        figure.colorbar(image, ax=ax, label="accuracy, %", shrink=0.9)
    return Plot(
        name=name,
        title="Architecture by train size",
        caption=f"{setting.title}. Final accuracy, mean over seeds, in percent.",
        figure=figure,
    )


MOST_ROWS = 40


def _has_anchors(setting: Setting) -> bool:
    """Whether the authors' means are of the same data, and not of these very runs."""
    runs = setting.runs
    theirs = "imported" in runs and runs["imported"].notna().all()
    return setting.dataset == SCATTERING_DATA and not theirs


def by_architecture(setting: Setting) -> dict[str, list[Cell]]:
    """The architectures with most train sizes, each with its cells by the number of training images."""
    found: dict[str, list[Cell]] = {}
    for cell in sorted(scattering_cells(setting), key=images_of):
        found.setdefault(cell.label, []).append(cell)
    largest = sorted(found.items(), key=lambda item: (-len(item[1]), item[0]))[:MOST_ARCHITECTURES]
    return dict(sorted(largest))


def scattering_plots(results: Results, setting: Setting, suffix: str) -> Iterator[Plot | None]:
    """All of a setting."""
    yield data_efficiency(setting, f"data_efficiency{suffix}")
    yield advantage(results, setting, f"advantage{suffix}")
    yield gain_by_size(setting, f"gain{suffix}")
    yield filter_change(setting, f"filter_change{suffix}")
    yield heat_map(setting, f"heat_map{suffix}")
