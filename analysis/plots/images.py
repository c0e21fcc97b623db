"""What two arms find the test images to be: confusion matrices and their difference, and the difference by class."""

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes

from analysis.plots.style import (
    COLORS,
    Plot,
    chunks,
    head,
    legend_right,
    look,
    page_name,
    page_told,
    panels,
)
from analysis.statistics import mean_interval
from analysis.tables.images import FEW_CLASSES, ArmOnImages, Comparison, arms_on_images
from analysis.verdicts.verdict import Verdict

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Matrix = NDArray[np.floating[Any]]

MOST_COMPARISONS = 4
"""Comparisons of one figure; what is more goes into further ones."""
LARGEST = 20
"""Of more than twenty classes so many confusions are shown, the most frequent of either arm."""
MANY_CLASSES = 40
"""Of more classes only the ends of the order have names."""
NAMED_ENDS = 5


def image_plots(answers: Sequence[Verdict]) -> Iterator[Plot]:
    """The plots of all comparisons whose runs have predictions."""
    arms, comparisons = arms_on_images(answers)
    yield from confusions(arms, comparisons)
    yield from class_differences(comparisons)


def confusions(arms: Sequence[ArmOnImages], comparisons: Sequence[Comparison]) -> Iterator[Plot]:
    """A row for each comparison: the confusion of the arm, that of the baseline, and the difference of the two."""
    pages = chunks(comparisons, MOST_COMPARISONS)
    for page, shown in enumerate(pages):
        told = page_told(page, len(pages))
        few = all(_n_classes(compared) <= FEW_CLASSES for compared in shown)
        columns = 3 if few else 1
        size = (4.4, 3.9) if few else (8.4, 4.6)
        with panels(columns * len(shown), columns=columns, size=size) as (figure, axes):
            for row, compared in enumerate(shown):
                sides = [_shares(arms, compared, label) for label in (compared.arm, compared.baseline)]
                if few:
                    _three_matrices(figure, axes[3 * row : 3 * row + 3], compared, sides)
                else:
                    _largest_confusions(axes[row], compared, sides)
            n = _n(shown)
            what = (
                "rows: true class; columns: found class; % of the class"
                if few
                else f"the {LARGEST} largest of either arm"
            )
            head(figure, "Confusion of classes", f"{', '.join(_settings(shown))}; {n}; mean over seeds; {what}", told)
        limited = "" if few else f" Of more than {FEW_CLASSES} classes the {LARGEST} largest confusions of either arm."
        yield Plot(
            name=page_name("confusion", page),
            title="Confusion of classes" + (f", {told}" if told else ""),
            caption=f"{n}. Test images by true and found class, in percent of the true class, mean over seeds; the "
            f"difference in points, arm less baseline.{limited}",
            figure=figure,
        )


def _shares(arms: Sequence[ArmOnImages], compared: Comparison, label: str) -> "Matrix":
    """The confusion of an arm in percent of each true class, [K, K]; zero for classes without images."""
    which = compared.setting, label, compared.runs[label]  # elsewhere an arm may be compared by fewer of its seeds
    own = next(arm for arm in arms if (arm.setting, arm.label, arm.runs) == which)
    counts = own.confusion()
    n = _n_classes(compared)
    whole = np.zeros((max(n, len(counts)),) * 2)
    whole[: len(counts), : len(counts)] = counts
    shares: Matrix = 100 * whole / np.maximum(whole.sum(1, keepdims=True), 1e-12)
    return shares


def _three_matrices(figure: Any, axes: Sequence[Axes], compared: Comparison, sides: Sequence["Matrix"]) -> None:
    n = max(map(len, sides))
    arm, baseline = (np.pad(side, (0, n - len(side))) for side in sides)
    most = max(1.0, float(np.abs(arm - baseline).max()))
    parts = (
        (arm, compared.arm, "Blues", 0.0, 100.0, ".0f"),
        (baseline, compared.baseline, "Blues", 0.0, 100.0, ".0f"),
        (arm - baseline, "difference, points", "PuOr", -most, most, "+.1f"),
    )
    for ax, (matrix, title, colors, low, high, form) in zip(axes, parts, strict=True):
        image = ax.imshow(matrix, cmap=colors, vmin=low, vmax=high)
        ax.set_title(_shortened(title), fontsize=9)
        ax.set_xticks(range(n), labels=[str(label) for label in range(n)], fontsize=8)
        ax.set_yticks(range(n), labels=[str(label) for label in range(n)], fontsize=8)
        ax.set_xlabel("found class")
        ax.set_ylabel("true class")
        ax.grid(visible=False)
        figure.colorbar(image, ax=ax, shrink=0.8)
        for (row, column), value in np.ndenumerate(matrix):
            told = f"{value:{form}}"
            if float(told):
                dark = value > 0.6 * high if low == 0 else abs(value) > 0.7 * high
                text: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": 6.5 if n <= 10 else 5}
                ax.text(column, row, told, color="white" if dark else "black", **text)


def _largest_confusions(ax: Axes, compared: Comparison, sides: Sequence["Matrix"]) -> None:
    """Two dots for each of the most frequent confusions, the arm's and the baseline's."""
    n = max(map(len, sides))
    arm, baseline = (np.pad(side, (0, n - len(side))) * (1 - np.eye(n)) for side in sides)
    order = np.argsort(-np.maximum(arm, baseline), axis=None, kind="stable")[:LARGEST]
    cells = [divmod(int(cell), n) for cell in order]
    for i, (matrix, label) in enumerate(((arm, compared.arm), (baseline, compared.baseline))):
        values = [matrix[cell] for cell in cells]
        ax.plot(values, range(len(cells)), **{**look(i), "linestyle": "none"}, label=label)
    ax.set_yticks(range(len(cells)), labels=[f"{true} as {found}" for true, found in cells], fontsize=8)
    ax.set_ylim(len(cells) - 0.4, -0.6)
    ax.set_xlabel("% of the true class")
    legend_right(ax)


def class_differences(comparisons: Sequence[Comparison]) -> Iterator[Plot]:
    """A panel for each comparison: the difference in the accuracy of each class, with 95 % intervals over seeds."""
    pages = chunks(comparisons, 2 * MOST_COMPARISONS)
    for page, shown in enumerate(pages):
        told = page_told(page, len(pages))
        rows = max(min(_n_classes(compared), MANY_CLASSES) for compared in shown)
        size = (5.0, 1.2 + 0.22 * rows)
        with panels(len(shown), columns=2 if len(shown) < 5 else 3, size=size, sharex=True) as (figure, axes):
            for ax, compared in zip(axes, shown, strict=True):
                _classes(ax, compared)
            n = _n(shown)
            band = "bars: 95 % interval of the mean over seeds" * (max(len(c.right_arm) for c in shown) > 1)
            said = "; ".join(filter(None, [", ".join(_settings(shown)), n, "arm less baseline", band]))
            head(figure, "Accuracy by class", said, told)
        many = max(map(_n_classes, shown)) > MANY_CLASSES
        ends = f" Classes by their difference; named are the {NAMED_ENDS} at each end." * many
        yield Plot(
            name=page_name("classes", page),
            title="Accuracy by class" + (f", {told}" if told else ""),
            caption=f"{n}. Accuracy of each class, arm less baseline in points, paired by seed, with 95 % intervals of "
            f"the mean over seeds, not corrected for the number of classes.{ends}",
            figure=figure,
        )


def by_class(compared: Comparison) -> "Matrix":
    """The difference in the accuracy of each class by seed, in points, [S, K]; NaN for classes without images."""
    difference = compared.right_arm - compared.right_baseline
    found = np.full((len(difference), _n_classes(compared)), math.nan)
    for label in range(found.shape[1]):
        if (own := compared.labels == label).any():
            found[:, label] = 100 * difference[:, own].mean(1)
    return found


def _classes(ax: Axes, compared: Comparison) -> None:
    differences = by_class(compared)
    classes = [label for label in range(differences.shape[1]) if np.isfinite(differences[:, label]).all()]
    means = differences.mean(0)
    many = len(classes) > MANY_CLASSES
    if many:
        classes.sort(key=lambda label: -means[label])
    for y, label in enumerate(classes):
        values = differences[:, label].tolist()
        if interval := mean_interval(values):
            ax.plot(interval, [y, y], color=COLORS[0], linewidth=0.6 if many else 1.4)
        ax.plot(means[label], y, "o", color=COLORS[0], markersize=2 if many else 5)
    named = [*range(NAMED_ENDS), *range(len(classes) - NAMED_ENDS, len(classes))] if many else [*range(len(classes))]
    ax.axvline(0, color="0.3", linewidth=0.8)
    ax.set_yticks(named, labels=[str(classes[i]) for i in named], fontsize=6 if many else 8)
    ax.set_ylim(len(classes) - 0.4, -0.6)
    ax.grid(visible=False, axis="y")
    ax.set_ylabel("class")
    ax.set_xlabel("points")
    ax.tick_params(labelbottom=True)
    ax.set_title(_shortened(f"{compared.arm} less {compared.baseline}", 52), fontsize=9)


def _shortened(text: str, letters: int = 40) -> str:
    """A title in lines that fit its panel."""
    return "\n".join(text[i : i + letters] for i in range(0, len(text), letters))


def _n_classes(compared: Comparison) -> int:
    return int(compared.labels.max()) + 1


def _n(shown: Sequence[Comparison]) -> str:
    counts = sorted({len(compared.right_arm) for compared in shown})
    images = sorted({len(compared.labels) for compared in shown})
    n = f"{counts[0]}{f' to {counts[-1]}' * (len(counts) > 1)} seed{'s' * (counts[-1] > 1)}"
    return f"n = {n}, {images[0]:,}{f' to {images[-1]:,}' * (len(images) > 1)} test images"


def _settings(shown: Sequence[Comparison]) -> list[str]:
    return list(dict.fromkeys(compared.setting for compared in shown))
