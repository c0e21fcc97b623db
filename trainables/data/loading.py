"""Which images a run trains on and is validated on: CIFAR and digits in memory, folders as a list of files."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from trainables.data.counts import OWN_SPLIT
from trainables.data.info import DataInfo, image_files
from trainables.data.shared_memory import shared_splits
from trainables.data.subset import held_out_split, stratified_subset


@dataclass(frozen=True, slots=True)
class TensorImages:
    """Chosen images of a split in memory: number i is `pixels[index[i]]`, with `labels[i]`."""

    pixels: Tensor
    """All images of the split, uint8 [N, 3, H, W]; shared between processes, not to be written to."""
    index: Tensor
    """int64 [n]"""
    labels: Tensor
    """int64 [n]"""

    def __len__(self) -> int:
        return len(self.labels)

    def first(self, count: int) -> "TensorImages":
        """The first `count` of them."""
        return TensorImages(self.pixels, self.index[:count], self.labels[:count])


@dataclass(frozen=True, slots=True)
class FileImages:
    """Images on disk: one path for each of `labels` int64 [n]."""

    paths: list[str]
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def first(self, count: int) -> "FileImages":
        """The first `count` of them."""
        return FileImages(self.paths[:count], self.labels[:count])


Images = TensorImages | FileImages


def load(info: DataInfo, *, train_size: float, val_split: float, seed: int) -> tuple[Images, Images]:
    """(training, validation) images: the training subset of SCATTERING's rule, and the test set or a held-out part.

    Raises DataError for unreadable files or more images asked for than there are.
    """
    if info.layout == "classes" and not val_split:
        val_split = OWN_SPLIT
    train, test = _splits(info)
    labels = train.labels.numpy()
    chosen, held_out = np.arange(len(labels)), None
    if val_split:
        chosen, held_out = held_out_split(labels, val_split, seed)
    chosen = chosen[stratified_subset(labels[chosen], train_size, seed)]
    return _take(train, chosen), test if held_out is None else _take(train, held_out)


def _splits(info: DataInfo) -> tuple[Images, Images]:
    """All training and all test images (none for a layout without a split)."""
    if info.in_memory:
        of_split = shared_splits(info)
        train, test = (of_split[split] for split in ("train", "test"))
        return _whole(*train), _whole(*test)
    return _files(info.train, info.classes), _files(info.test, info.classes)


def _whole(pixels: Tensor, labels: Tensor) -> TensorImages:
    return TensorImages(pixels, torch.arange(len(labels)), labels)


def _files(folders: tuple[Path, ...], classes: tuple[str, ...]) -> FileImages:
    paths, labels = image_files(folders[0], classes) if folders else ([], [])
    return FileImages(paths, torch.tensor(labels, dtype=torch.int64))


def _take(images: Images, chosen: np.ndarray) -> Images:
    labels = images.labels[chosen]
    if isinstance(images, TensorImages):
        return TensorImages(images.pixels, images.index[chosen], labels)
    return FileImages([images.paths[i] for i in chosen], labels)
