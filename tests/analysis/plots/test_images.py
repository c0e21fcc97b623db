"""Confusions and differences by class, against counts by hand."""

import numpy as np
import pytest

from analysis.plots.images import by_class, class_differences, confusions, image_plots
from analysis.statistics import mean_interval
from analysis.tables.images import ArmOnImages, Comparison
from tests.analysis.plots.drawn import boxes_of, overlapping


def compared(n_classes, n_images=400, seeds=3):
    """Two arms on the same images, and how often they find which class."""
    draw = np.random.default_rng(0)
    labels = np.arange(n_images) % n_classes
    classes = {}
    for arm, accuracy in (("A", 0.8), ("B", 0.5)):
        wrong = (labels + draw.integers(1, n_classes, (seeds, n_images))) % n_classes
        classes[arm] = np.where(draw.random((seeds, n_images)) < accuracy, labels, wrong)
    arms = [
        ArmOnImages(setting="digits", label=arm, runs=("r",) * seeds, labels=labels, classes=found)
        for arm, found in classes.items()
    ]
    right = {arm: (found == labels).astype(float) for arm, found in classes.items()}
    sides = {"right_arm": right["A"], "right_baseline": right["B"], "runs": {arm.label: arm.runs for arm in arms}}
    return arms, Comparison(setting="digits", arm="A", baseline="B", labels=labels, **sides), labels, classes


def test_matrices_are_shares_of_each_true_class_and_the_third_is_their_difference():
    arms, comparison, labels, classes = compared(4)
    (plot,) = confusions(arms, [comparison])
    by_hand = {
        arm: [[100 * np.mean(found[:, labels == i] == j) for j in range(4)] for i in range(4)]
        for arm, found in classes.items()
    }
    images = [ax.images[0].get_array() for ax in plot.figure.axes if ax.images and ax.get_title()]
    assert len(images) == 3
    assert np.allclose(images[0], by_hand["A"])
    assert np.allclose(images[1], by_hand["B"])
    assert np.allclose(images[2], np.subtract(by_hand["A"], by_hand["B"]))
    told = [text.get_text() for text in plot.figure.axes[0].texts]
    assert f"{by_hand['A'][0][0]:.0f}" in told
    assert "n = 3 seeds, 400 test images" in plot.figure.get_suptitle()


def test_of_many_classes_the_largest_confusions_of_either_arm_are_shown_and_that_is_said():
    arms, comparison, labels, classes = compared(30, 3000)
    (plot,) = confusions(arms, [comparison])
    (ax,) = plot.figure.axes
    named = [tuple(map(int, label.get_text().split(" as "))) for label in ax.get_yticklabels()]
    shares = {
        (i, j): max(100 * np.mean(found[:, labels == i] == j) for found in classes.values())
        for i in range(30)
        for j in range(30)
        if i != j
    }
    assert [shares[pair] for pair in named] == pytest.approx(sorted(shares.values(), reverse=True)[:20])
    assert "the 20 largest" in plot.caption
    assert "the 20 largest" in plot.figure.get_suptitle()


@pytest.mark.parametrize("n_classes", [4, 60])
def test_each_class_has_its_difference_with_an_interval_over_seeds(n_classes):
    _, comparison, labels, classes = compared(n_classes, 1200)
    (plot,) = class_differences([comparison])
    differences = by_class(comparison)
    for i in (0, n_classes - 1):
        own = labels == i
        by_hand = [
            100 * (np.mean(a[own] == i) - np.mean(b[own] == i)) for a, b in zip(classes["A"], classes["B"], strict=True)
        ]
        assert differences[:, i] == pytest.approx(by_hand)
    (ax,) = plot.figure.axes
    points = [line.get_xdata()[0] for line in ax.lines if line.get_marker() == "o"]
    assert sorted(points) == pytest.approx(sorted(differences.mean(0)))
    bars = sorted(
        tuple(line.get_xdata()) for line in ax.lines if line.get_marker() == "None" and line.get_ydata()[0] != 0
    )
    assert bars[0] in {mean_interval(differences[:, i].tolist()) for i in range(n_classes)}
    assert overlapping(boxes_of(plot.figure)) == []


def test_all_comparisons_are_drawn_on_as_many_pages_as_they_need():
    arms, comparison, *_ = compared(3)
    plots = list(confusions(arms, [comparison] * 6))
    assert [plot.name for plot in plots] == ["confusion", "confusion_page2"]
    titles = [ax.get_title() for plot in plots for ax in plot.figure.axes if ax.get_title()]
    assert len(titles) == 18


def test_without_predictions_there_is_nothing_to_draw():
    assert list(image_plots([])) == []
