"""Tables of what the compared runs find single test images to be: by class, confusions, and where two arms disagree."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from analysis.images.compared import OverImages
from analysis.ordering import experiment_order
from analysis.tables.table import Column, Table
from analysis.verdicts.verdict import Verdict
from raysweep.ledger import PredictionsError

if TYPE_CHECKING:
    from numpy.typing import NDArray

FEW_CLASSES = 20
"""Classes up to which each has a column, and every confusion of two of them a row."""
MOST_CONFUSIONS, MOST_IMAGES = 100, 1000
"""Rows for each arm where there are more classes, and rows for each comparison, in the CSV files."""
MOST_SHOWN = 20
"""Rows of these that the report shows."""


@dataclass(frozen=True, kw_only=True)
class ArmOnImages:
    """An arm of a comparison on the test images."""

    setting: str
    label: str
    runs: tuple[str, ...]
    labels: "NDArray[Any]"
    """The true class of each image, [I]."""
    classes: "NDArray[Any]"
    """The found ones, [runs, I]."""

    def confusion(self) -> "NDArray[np.floating[Any]]":
        """How many images of each class (rows) are found to be of each (columns), mean over runs, [K, K]."""
        n_classes = int(max(self.labels.max(), self.classes.max())) + 1
        cells = self.labels.astype(np.int64) * n_classes + self.classes
        counts = np.bincount(cells.ravel(), minlength=n_classes**2).reshape(n_classes, n_classes)
        return counts / len(self.classes)


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Two arms on the same test images."""

    setting: str
    arm: str
    baseline: str
    labels: "NDArray[Any]"
    runs: Mapping[str, tuple[str, ...]]
    """The names of the runs that are compared, by the label of their arm."""
    right_arm: "NDArray[np.floating[Any]]"
    right_baseline: "NDArray[np.floating[Any]]"
    """How often the runs of a seed get an image right, [S, I]."""

    @property
    def names(self) -> str:
        """The names of the runs of both arms, as a row of a table names those that it rests on."""
        return " ".join(name for names in self.runs.values() for name in names)


def image_tables(answers: Sequence[Verdict]) -> list[Table]:
    """The tables; without rows where no comparison has predictions of both arms."""
    arms, comparisons = arms_on_images(answers)
    return [
        classes_table(arms),
        confusion_table(arms),
        agreement_table(comparisons),
        disagreements_table(comparisons),
    ]


def arms_on_images(answers: Sequence[Verdict]) -> tuple[list[ArmOnImages], list[Comparison]]:
    """The arms that have predictions, each once, and the comparisons of two of them."""
    compared = {(v.setting, v.arm, v.baseline): v.over_images for v in answers if v.over_images and v.over_images.runs}
    arms: dict[tuple[Any, ...], ArmOnImages] = {}
    comparisons: list[Comparison] = []
    for (setting, arm, baseline), over in compared.items():
        try:
            comparisons.append(_comparison(setting, arm, baseline, over))
            for label in (arm, baseline):
                of_arm = _arm(setting, label, over)
                arms.setdefault((setting, label, of_arm.runs), of_arm)
        except (PredictionsError, OSError):  # they have gone since the answers were given
            continue
    settings = list(dict.fromkeys(v.setting for v in answers))
    ordered = sorted(arms.values(), key=lambda arm: (settings.index(arm.setting), experiment_order(arm.label)))
    comparisons.sort(key=lambda c: (settings.index(c.setting), experiment_order(c.arm), experiment_order(c.baseline)))
    return ordered, comparisons


def _arm(setting: str, label: str, over: OverImages) -> ArmOnImages:
    return ArmOnImages(
        setting=setting, label=label, runs=_names(label, over), labels=over.labels(), classes=over.classes(label)
    )


def _comparison(setting: str, arm: str, baseline: str, over: OverImages) -> Comparison:
    return Comparison(
        setting=setting,
        arm=arm,
        baseline=baseline,
        labels=over.labels(),
        runs={label: _names(label, over) for label in (arm, baseline)},
        right_arm=over.right(arm),
        right_baseline=over.right(baseline),
    )


def _names(label: str, over: OverImages) -> tuple[str, ...]:
    return tuple(run.name for run in over.runs[label])


def classes_table(arms: Sequence[ArmOnImages]) -> Table:
    """The accuracy of each arm in each class, mean over its runs, in percent."""
    rows: list[dict[str, Any]] = []
    most = 0
    for arm in arms:
        confusion = arm.confusion()
        images = confusion.sum(1)
        accuracy = {str(c): 100 * confusion[c, c] / images[c] for c in range(len(images)) if images[c]}
        most = max(most, len(images))
        rows.append(
            {
                **{"setting": arm.setting, "arm": arm.label, "n": len(arm.runs), "images": len(arm.labels)},
                "accuracy": 100 * float((arm.classes == arm.labels).mean()),
                **{"lowest": min(accuracy.values()), "highest": max(accuracy.values()), **accuracy},
                "runs": " ".join(arm.runs),
            }
        )
    shown = [str(c) for c in range(most)] if most <= FEW_CLASSES else ["lowest", "highest"]
    return Table.of(
        rows,
        name="classes",
        title="Accuracy by class",
        columns=(
            *_labels(arms),
            Column(name="arm", heading="arm", wrap=True),
            Column(name="n", heading="n", form="n"),
            Column(name="accuracy", heading="all", form=2),
            *(Column(name=name, heading=name, form=1) for name in shown),
        ),
        note="Percent of the test images of each class that are classified right, mean over n runs.",
    )


def confusion_table(arms: Sequence[ArmOnImages]) -> Table:
    """Which class each arm takes for which, the most frequent confusions first; right ones last."""
    rows = sorted(
        (row for arm in arms for row in _confusions(arm)),
        key=lambda row: (row["label"] == row["predicted"], -row["share"]),
    )
    return Table.of(
        rows,
        name="confusion",
        title="Classes that are taken for others most often",
        columns=(
            *_labels(arms),
            Column(name="arm", heading="arm", wrap=True),
            Column(name="label", heading="class", form="g"),
            Column(name="predicted", heading="taken for", form="g"),
            Column(name="images", heading="images", form=1),
            Column(name="share", heading="% of the class", form=1),
        ),
        note="Test images, mean over runs.",
        most_shown=MOST_SHOWN,
    )


def _confusions(arm: ArmOnImages) -> Iterator[dict[str, Any]]:
    confusion = arm.confusion()
    images = confusion.sum(1)
    if len(images) <= FEW_CLASSES:
        cells = np.argwhere(confusion > 0)
    else:
        wrong = confusion - np.diag(np.diag(confusion))
        first = np.argsort(-wrong, axis=None, kind="stable")[:MOST_CONFUSIONS]
        cells = np.array([divmod(cell, len(images)) for cell in first.tolist() if wrong.flat[cell] > 0]).reshape(-1, 2)
    for label, predicted in cells.tolist():
        yield {
            **{"setting": arm.setting, "arm": arm.label, "n": len(arm.runs), "label": label, "predicted": predicted},
            "images": confusion[label, predicted],
            "share": 100 * confusion[label, predicted] / images[label],
            "runs": " ".join(arm.runs),
        }


def agreement_table(comparisons: Sequence[Comparison]) -> Table:
    """On how many of the images two arms disagree, mean over seeds, in percent."""
    rows = []
    for compared in comparisons:
        difference = compared.right_arm - compared.right_baseline
        for_arm, for_baseline = 100 * float((difference > 0).mean()), 100 * float((difference < 0).mean())
        rows.append(
            {
                **{"setting": compared.setting, "arm": compared.arm, "baseline": compared.baseline},
                **{"n": len(difference), "images": len(compared.labels), "disagree": for_arm + for_baseline},
                **{"arm_right": for_arm, "baseline_right": for_baseline, "runs": compared.names},
            }
        )
    return Table.of(
        rows,
        name="agreement",
        title="How many images two arms disagree on",
        columns=(
            *_compared(comparisons),
            Column(name="n", heading="n", form="n"),
            Column(name="images", heading="images", form="n"),
            Column(name="disagree", heading="disagree", form=2),
            Column(name="arm_right", heading="arm right", form=2),
            Column(name="baseline_right", heading="baseline right", form=2),
        ),
        note="Percent of the test images that one arm gets right and the other wrong with the same seed, mean over "
        "seeds.",
    )


def disagreements_table(comparisons: Sequence[Comparison]) -> Table:
    """The images that one arm gets right with more seeds than the other, the largest differences first."""
    rows = sorted(
        (row for compared in comparisons for row in _disagreements(compared)), key=lambda row: -abs(row["difference"])
    )
    return Table.of(
        rows,
        name="disagreements",
        title="Images that two arms disagree on most",
        columns=(
            *_compared(comparisons),
            Column(name="image", heading="test image", form="g"),
            Column(name="label", heading="class", form="g"),
            Column(name="right_arm", heading="arm right", form=0),
            Column(name="right_baseline", heading="baseline right", form=0),
            Column(name="difference", heading="difference", form=0),
        ),
        note="Percent of the seeds that get the image right; test images are counted from 0. The CSV file has up to "
        f"{MOST_IMAGES:,} for each comparison.",
        most_shown=MOST_SHOWN,
    )


def _disagreements(compared: Comparison) -> Iterator[dict[str, Any]]:
    arm, baseline = 100 * compared.right_arm.mean(0), 100 * compared.right_baseline.mean(0)
    difference = arm - baseline
    for image in np.argsort(-np.abs(difference), kind="stable")[:MOST_IMAGES].tolist():
        if abs(difference[image]) < 1e-9:
            return
        yield {
            **{"setting": compared.setting, "arm": compared.arm, "baseline": compared.baseline, "image": image},
            **{"label": int(compared.labels[image]), "right_arm": arm[image], "right_baseline": baseline[image]},
            **{"difference": difference[image], "runs": compared.names},
        }


def _compared(comparisons: Sequence[Comparison]) -> list[Column]:
    """The columns that name what is compared."""
    sides = (Column(name=name, heading=name, wrap=True) for name in ("arm", "baseline"))
    return [*_labels(comparisons), *sides]


def _labels(parts: Sequence[ArmOnImages] | Sequence[Comparison]) -> list[Column]:
    """A column for the setting, where there are several."""
    several = len({part.setting for part in parts}) > 1
    return [Column(name="setting", heading="setting", wrap=True)] if several else []
