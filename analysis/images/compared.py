"""What the predictions of the compared runs add to an answer: an interval over seeds and test images."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from analysis.comparison.contrast import Contrast
from analysis.images.crossed import crossed_interval
from analysis.images.predictions import labels_of, predictions_of
from analysis.reading.results import Setting
from analysis.statistics import Interval
from raysweep.experiment import Question
from raysweep.ledger import LedgerError, PredictionsError

if TYPE_CHECKING:
    from numpy.typing import NDArray

NONE = (
    "runs without predictions for single images: made before these were kept, imported, or by a trainable of one's own"
)
OWN = "each seed has test images of its own, so that the interval over seeds covers images, too"
APART = "arms tested on different images"
UNFIT = "predictions that are lost, damaged, cannot be read or are not those of the results"
"""Why an answer has no interval over images."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PredictedRun:
    """A run of a comparison."""

    name: str
    """The run that was trained, where a record was adopted from another experiment."""
    seed: int
    finished: str


@dataclass(frozen=True, kw_only=True, slots=True)
class OverImages:
    """What a comparison is over seeds and test images."""

    interval: Interval | None = None
    """95 % interval of the estimate over both; None for one seed."""
    n_images: int = 0
    missing: str = ""
    """Why there is none; then nothing else is known."""
    location: str = ""
    """The results folder."""
    images: str = ""
    """What tells the test images from others."""
    runs: Mapping[str, Sequence[PredictedRun]] = field(default_factory=dict)
    """The runs of the arm and of the baseline, by label, in the order of the seeds."""

    def labels(self) -> "NDArray[Any]":
        """The true class of each image, [I]. Raises PredictionsError or OSError where it cannot be read any more."""
        return labels_of(self.location, self.images)

    def classes(self, label: str) -> "NDArray[Any]":
        """The class that each run of an arm finds for each image, [runs, I]. Raises as `labels`."""
        return np.stack([predictions_of(self.location, run.name, run.finished).classes for run in self.runs[label]])

    def right(self, label: str) -> "NDArray[np.floating[Any]]":
        """How often the runs of an arm get each image right, by seed, from 0 to 1, [S, I]. Raises as `labels`."""
        right = self.classes(label) == self.labels()
        seeds = np.array([run.seed for run in self.runs[label]])
        return np.stack([right[seeds == seed].mean(0) for seed in dict.fromkeys(seeds.tolist())])


def over_images(
    question: Question, contrast: Contrast, setting: Setting, over_seeds: Interval | None
) -> OverImages | None:
    """What predictions say of a difference of two arms in one accuracy; None where they cannot say anything.

    The interval holds `over_seeds`, that over seeds alone for a fixed n, as it is itself.
    """
    of_accuracy = setting.families.metric(contrast.metric).resolution == 1
    if question.kind not in ("difference", "equivalence") or not of_accuracy or not contrast.rows:
        return None
    rows = {label: contrast.rows[label] for label in (contrast.arm, contrast.baseline)}
    if missing := _not_comparable(rows):
        return OverImages(missing=missing)
    try:
        return _read(rows, contrast, setting.location, over_seeds)
    except (PredictionsError, LedgerError, OSError, ValueError):
        return OverImages(missing=UNFIT)


def _not_comparable(rows: Mapping[str, pd.DataFrame]) -> str:
    """Why the runs cannot be compared image by image; "" where they can."""
    if any("predictions" not in part or part["predictions"].isna().any() for part in rows.values()):
        return NONE
    if len(set().union(*(part["predictions"] for part in rows.values()))) == 1:
        return ""
    arm, baseline = ({seed: set(of) for seed, of in part.groupby("seed")["predictions"]} for part in rows.values())
    return OWN if arm == baseline and all(len(images) == 1 for images in arm.values()) else APART


def _read(
    rows: Mapping[str, pd.DataFrame], contrast: Contrast, location: str, over_seeds: Interval | None
) -> OverImages | None:
    """What the predictions say; None where they are those of another result."""
    runs = {label: _runs(part, contrast.seeds) for label, part in rows.items()}
    for run in (run for of_arm in runs.values() for run in of_arm):
        if contrast.metric not in predictions_of(location, run.name, run.finished).metrics:
            return None
    images = str(next(iter(rows.values()))["predictions"].iloc[0])
    found = OverImages(location=location, images=images, runs=runs, n_images=len(labels_of(location, images)))
    differences = 100 * (found.right(contrast.arm) - found.right(contrast.baseline))
    if not np.allclose(differences.mean(1), contrast.values, rtol=0, atol=3 / found.n_images):
        raise PredictionsError("the predictions are not those of the results")
    interval = crossed_interval(differences, floor=contrast.floor)
    if interval and over_seeds:
        interval = min(interval[0], over_seeds[0]), max(interval[1], over_seeds[1])
    return replace(found, interval=interval)


def _runs(rows: pd.DataFrame, seeds: Sequence[int]) -> list[PredictedRun]:
    """The runs of an arm with one of the seeds, in their order."""
    adopted = rows["same_as"] if "same_as" in rows else pd.Series(None, index=rows.index, dtype=object)
    finished = rows["finished"] if "finished" in rows else pd.Series("", index=rows.index)
    names = adopted.where(adopted.notna(), rows["run"])
    known = zip(names, rows["seed"], finished, strict=True)
    found = [PredictedRun(name=str(name), seed=int(seed), finished=str(end)) for name, seed, end in known]
    return [run for seed in seeds for run in found if run.seed == seed]
