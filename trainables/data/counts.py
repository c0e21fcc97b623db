"""Counts the images that a run trains on and is validated on, from names and labels of files alone. No torch."""

import functools
from collections import Counter

from trainables.data.cifar import SIZES, train_labels
from trainables.data.info import DataError, DataInfo, image_files
from trainables.data.subset import class_share

IMAGES_OF_EACH_DIGIT = (151, 161, 143, 131, 147, 154, 150, 136, 127, 138)
"""Number of training images of each class of the embedded digits."""
OWN_SPLIT = 0.1
"""Fraction that is held out of the images of folders that bring no validation images."""


def image_counts(info: DataInfo, *, train_size: float, val_split: float) -> tuple[int, int]:
    """How many (training, validation) images `loading.load` chooses. Raises DataError as that one does."""
    if info.layout == "classes" and not val_split:
        val_split = OWN_SPLIT
    members = _class_sizes(info)
    total = sum(members)
    held_out = [class_share(count, total, val_split) for count in members] if val_split else []
    kept = [count - out for count, out in zip(members, held_out, strict=True)] if held_out else list(members)
    if train_size != 1.0:
        if train_size > sum(kept):
            raise DataError(f"train_size={train_size:g} is more than the {sum(kept)} training images")
        kept = [class_share(count, sum(kept), train_size) for count in kept if count]
    return sum(kept), sum(held_out) if held_out else info.n_test


def images_of_an_epoch(images: int, *, global_batch_size: int, world_size: int) -> int:
    """How many of `images` an epoch trains on; the last batch is left out where a worker would get fewer than two.

    Raises DataError where no batch is left.
    """
    last = images % global_batch_size
    used = images - last if last < 2 * world_size else images
    if not used:
        raise DataError(f"{images} training image(s) are too few for {world_size} worker(s)")
    return used


@functools.lru_cache(maxsize=8)
def _class_sizes(info: DataInfo) -> tuple[int, ...]:
    """Number of training images of each class that has any."""
    if info.layout == "embedded":
        return IMAGES_OF_EACH_DIGIT
    if info.layout == "published" or (info.layout == "torchvision" and info.n_train == SIZES[0]):
        share, more = divmod(info.n_train, info.num_classes)
        return tuple(share + (i < more) for i in range(info.num_classes))
    labels = train_labels(info) if info.in_memory else image_files(info.train[0], info.classes).labels
    return tuple(Counter(labels).values())
