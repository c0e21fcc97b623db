"""Reads, of the runs that are compared and of no others, which test images each of them gets right."""

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from raysweep.ledger import Predictions, PredictionsError, open_ledger, read_labels, read_predictions

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Classes = NDArray[np.integer[Any]]

KEPT = 256
"""Runs whose predictions are kept in memory: questions that follow one another share arms."""


@lru_cache(maxsize=KEPT)
def predictions_of(location: str, run: str, finished: str) -> Predictions:
    """The predictions of a run of a results folder; `finished` tells it from one of the same name that was made again.

    Raises PredictionsError where they are missing or damaged, UnreadableError where they cannot be read.
    """
    found = read_predictions(open_ledger(location).store, run)
    if found is None:
        raise PredictionsError(f"the predictions of {run} have gone")
    return found


@lru_cache(maxsize=8)
def labels_of(location: str, images: str) -> "Classes":
    """The true classes of test images, [I]. Raises as `predictions_of`."""
    return read_labels(open_ledger(location).store, images)
