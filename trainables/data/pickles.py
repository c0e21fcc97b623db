"""CIFAR's pickles, the files of torchvision's layout: rows of 3072 pixels and a list of labels. No torch.

A file that cannot be read, or holds anything else, is a DataError that names it.
"""

import functools
import pickle
from pathlib import Path
from typing import Any

import numpy as np

from trainables.data.info import DataError

BYTES_OF_AN_IMAGE = 3104
"""Bytes of a file for each of its images, whose 3072 pixels come with a label and a name; exact to 0.1 %."""
TOLERANCE = 0.005
"""Fraction by which a file may be smaller or larger and still hold as many images as were published."""


def is_whole(file: Path, published: int) -> bool:
    """Whether a file is as large as one with so many images. Raises DataError where it is missing."""
    try:
        size = file.stat().st_size
    except OSError as error:
        raise DataError(f"{file} cannot be read ({error.strerror})") from None
    return abs(size / (published * BYTES_OF_AN_IMAGE) - 1) < TOLERANCE


def labels(file: Path, key: str, num_classes: int) -> np.ndarray:
    """The labels of all images, int64 [N]. It reads the whole file. Raises DataError as `read` does."""
    status = file.stat()
    return _labels(file, key, num_classes, status.st_size, status.st_mtime_ns)


@functools.lru_cache(maxsize=64)
def _labels(file: Path, key: str, num_classes: int, size: int, mtime_ns: int) -> np.ndarray:
    return read(file, key, num_classes)[1]


def read(file: Path, key: str, num_classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Pixels uint8 [N, 3, 32, 32], and labels int64 [N], each in 0 .. num_classes - 1; `key` names the labels."""
    try:
        with file.open("rb") as stream:
            batch = _ArrayUnpickler(stream, encoding="latin1").load()
        batch = {name.decode() if isinstance(name, bytes) else name: value for name, value in batch.items()}
        data = np.asarray(batch["data"])
        if data.dtype != np.uint8:
            raise ValueError(f"its pixels are {data.dtype}, not uint8")
        pixels = data.reshape(-1, 3, 32, 32)
        targets = np.asarray(batch[key])
        if targets.ndim != 1 or targets.dtype.kind not in "iu":
            raise ValueError(f"its {key} are no list of whole numbers")
        targets = targets.astype(np.int64)
    except Exception as error:
        reason = (str(error).strip() or "no reason given").splitlines()[0]
        raise DataError(f"{file} is not a CIFAR file ({type(error).__name__}: {reason})") from None
    if len(pixels) != len(targets):
        raise DataError(f"{file} holds {len(pixels)} images and {len(targets)} labels")
    wrong = np.flatnonzero((targets < 0) | (targets >= num_classes))
    if len(wrong):
        raise DataError(f"{file} holds the label {targets[wrong[0]]} (row {wrong[0]}), none of 0 to {num_classes - 1}")
    return pixels, targets


class _ArrayUnpickler(pickle.Unpickler):
    """Reads CIFAR's pickles, which hold numpy arrays and plain values, and refuses anything else."""

    def find_class(self, module: str, name: str) -> Any:
        allowed = {"numpy": ("ndarray", "dtype"), "multiarray": ("_reconstruct",), "numeric": ("_frombuffer",)}
        if module.split(".")[0] in ("numpy", "_codecs") and name in allowed.get(module.split(".")[-1], ("encode",)):
            return super().find_class(module.replace("numpy.core", "numpy._core"), name)
        raise pickle.UnpicklingError(f"{module}.{name} has no place in a CIFAR file")
