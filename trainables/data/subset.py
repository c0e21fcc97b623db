"""Class-stratified subsets of the training images. numpy only."""

import numpy as np

from trainables.data.info import DataError


def stratified_subset(labels: np.ndarray, size: float, seed: int) -> np.ndarray:
    """Indices of a class-stratified part of the images, [n] int64, classes in ascending order.

    `size` is a fraction up to 1 (1.0 means all) or a count above 1. Per class, numpy's RandomState(seed) chooses
    floor(fraction * class size) images without replacement, at least one; one generator serves all classes in turn.
    Raises DataError for a count larger than the number of images.
    """
    if size == 1.0:
        return np.arange(len(labels))
    if size > len(labels):
        raise DataError(f"train_size={size:g} is more than the {len(labels)} training images")
    rng = np.random.RandomState(seed)
    chosen = []
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        count = class_share(len(members), len(labels), size)
        chosen.append(rng.choice(members, size=count, replace=False))
    return np.concatenate(chosen)


def class_share(members: int, total: int, size: float) -> int:
    """How many images `stratified_subset` takes of a class with `members` of `total` images; `size` is not 1.0."""
    return max(1, int(size * members) if size < 1 else int(size) * members // total)


def held_out_split(labels: np.ndarray, fraction: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """(kept, held out) indices; the held-out part is a stratified subset, both in ascending order."""
    held_out = np.sort(stratified_subset(labels, fraction, seed))
    kept = np.setdiff1d(np.arange(len(labels)), held_out)
    return kept, held_out
