"""Reads CIFAR and the digits, which fit into memory, from any layout of their files.

A file that cannot be read is a DataError that names it.
"""

from pathlib import Path

import numpy as np
import torch

from trainables.data import parquet, pickles
from trainables.data.cifar import CIFAR
from trainables.data.decoding import decode
from trainables.data.info import DataError, DataInfo

Split = tuple[np.ndarray, np.ndarray]
"""Pixels uint8 [N, 3, 32, 32] and labels int64 [N]."""


def read_splits(info: DataInfo) -> dict[str, Split]:
    """All images of "train" and of "test". Raises DataError for unreadable files."""
    if info.layout == "embedded":
        return _digits()
    read = _from_pickles if info.layout == "torchvision" else _from_parquet
    splits = {split: read(files, info) for split, files in (("train", info.train), ("test", info.test))}
    for split, found in (("train", info.n_train), ("test", info.n_test)):
        number = len(splits[split][1])
        if number != found:
            files = info.train if split == "train" else info.test
            raise DataError(f"{files[0].parent} holds {number:,} {split} images, not the {found:,} of its files' sizes")
    return splits


def _digits() -> dict[str, Split]:
    """scikit-learn's 8x8 digits as 32x32 RGB; every fifth image is a test image."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    levels = torch.from_numpy(bunch.images)[:, None]
    large = torch.nn.functional.interpolate(levels, size=(32, 32), mode="bilinear", align_corners=False)
    pixels = (large * (255 / 16)).round().to(torch.uint8).expand(-1, 3, -1, -1).numpy()
    labels = bunch.target.astype(np.int64)
    is_test = np.arange(len(labels)) % 5 == 4
    return {split: (pixels[of_split], labels[of_split]) for split, of_split in (("train", ~is_test), ("test", is_test))}


def _from_pickles(files: tuple[Path, ...], info: DataInfo) -> Split:
    """Read torchvision's files."""
    key = CIFAR[info.dataset].pickled_labels
    pixels, labels = zip(*(pickles.read(file, key, info.num_classes) for file in files), strict=True)
    return np.concatenate(pixels), np.concatenate(labels)


def _from_parquet(files: tuple[Path, ...], info: DataInfo) -> Split:
    """Read Hugging Face's files, tables of PNGs that are too small for threads to be of use."""
    column, pixels, labels = CIFAR[info.dataset].label, [], []
    for file in files:
        pixels += [
            _small_image(image, f"{file} (row {row})") for row, image in enumerate(parquet.encoded_images(file, column))
        ]
        labels.append(parquet.labels(file, column, info.num_classes))
        if len(pixels) != sum(map(len, labels)):
            raise DataError(f"{file} is damaged: its columns are not equally long")
    return np.stack(pixels).transpose(0, 3, 1, 2), np.concatenate(labels)


def _small_image(data: bytes, name: str) -> np.ndarray:
    image = np.array(decode(data, name=name))
    if image.shape != (32, 32, 3):
        raise DataError(f"{name} is {image.shape[1]} x {image.shape[0]} pixels, not 32 x 32")
    return image
