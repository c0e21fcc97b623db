"""Chooses the images of a run; those of CIFAR and digits are in memory, those of folders are lists of files."""

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
    """Chosen images of a split in memory; image number i is `pixels[index[i]]` and has the label `labels[i]`."""

    pixels: Tensor
    """All images of the split, uint8 [N, 3, H, W]. They are shared between processes and must not be written to."""
    index: Tensor
    """Positions of the chosen images in `pixels`, int64 [n]."""
    labels: Tensor
    """Labels of the chosen images, int64 [n]."""

    def __len__(self) -> int:
        return len(self.labels)

    def first(self, count: int) -> "TensorImages":
        """The first `count` of these images."""
        return TensorImages(self.pixels, self.index[:count], self.labels[:count])


@dataclass(frozen=True, slots=True)
class FileImages:
    """Chosen images on disk."""

    paths: list[str]
    """Path of each image."""
    labels: Tensor
    """Label of each image, int64 [n]."""

    def __len__(self) -> int:
        return len(self.labels)

    def first(self, count: int) -> "FileImages":
        """The first `count` of these images."""
        return FileImages(self.paths[:count], self.labels[:count])


Images = TensorImages | FileImages


def load(info: DataInfo, *, train_size: float, val_split: float, seed: int) -> tuple[Images, Images]:
    """The (training, validation) images of a run: a stratified subset, and the test set or a held-out part.

    `train_size` and `val_split` are those of `ScatteringConfig`. Raises DataError for unreadable files, and where more
    images are asked for than there are.
    """
    val_split = _held_out(info, val_split)
    train, test = _splits(info)
    labels = train.labels.numpy()
    chosen, held_out = np.arange(len(labels)), None
    if val_split:
        chosen, held_out = held_out_split(labels, val_split, seed)
    chosen = chosen[stratified_subset(labels[chosen], train_size, seed)]
    return _take(train, chosen), test if held_out is None else _take(train, held_out)


def validation_images(info: DataInfo, *, val_split: float, seed: int) -> str:
    """What tells the validation images that `load` chooses from others of the same data."""
    held_out = _held_out(info, val_split)
    return f"{held_out:g} of the training images, seed {seed}" if held_out else "test set"


def _held_out(info: DataInfo, val_split: float) -> float:
    """The part of the training images that is held out for validation, as `val_split` gives it; 0 where none is."""
    return val_split or (OWN_SPLIT if info.layout == "classes" else 0.0)


def _splits(info: DataInfo) -> tuple[Images, Images]:
    """All training and all test images; there are no test images in a layout without a split."""
    if info.in_memory:
        of_split = shared_splits(info)
        train, test = (of_split[split] for split in ("train", "test"))
        return _whole(*train), _whole(*test)
    return _files(info.train, info.classes), _files(info.test, info.classes)


def _whole(pixels: Tensor, labels: Tensor) -> TensorImages:
    return TensorImages(pixels, torch.arange(len(labels)), labels)


def _files(folders: tuple[Path, ...], classes: tuple[str, ...]) -> FileImages:
    if not folders:
        return FileImages([], torch.tensor([], dtype=torch.int64))
    files = image_files(folders[0], classes)
    return FileImages(files.paths, torch.tensor(files.labels, dtype=torch.int64))


def _take(images: Images, chosen: np.ndarray) -> Images:
    labels = images.labels[chosen]
    if isinstance(images, TensorImages):
        return TensorImages(images.pixels, images.index[chosen], labels)
    return FileImages([images.paths[i] for i in chosen], labels)
