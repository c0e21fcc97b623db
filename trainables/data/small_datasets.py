"""Reads CIFAR and the digits, which fit into memory, from any layout of their files.

A file that cannot be read is a DataError that names it.
"""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import torch

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
    label = CIFAR[info.dataset].label
    return {split: read(files, label) for split, files in (("train", info.train), ("test", info.test))}


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


class _ArrayUnpickler(pickle.Unpickler):
    """Reads CIFAR's pickles, which hold numpy arrays and plain values, and refuses anything else."""

    def find_class(self, module: str, name: str) -> Any:
        allowed = {"numpy": ("ndarray", "dtype"), "multiarray": ("_reconstruct",), "numeric": ("_frombuffer",)}
        if module.split(".")[0] in ("numpy", "_codecs") and name in allowed.get(module.split(".")[-1], ("encode",)):
            return super().find_class(module.replace("numpy.core", "numpy._core"), name)
        raise pickle.UnpicklingError(f"{module}.{name} has no place in a CIFAR file")


def _from_pickles(files: tuple[Path, ...], label: str) -> Split:
    """Read torchvision's files."""
    key = "labels" if label == "label" else f"{label}s"
    pixels, labels = [], []
    for file in files:
        try:
            with file.open("rb") as stream:
                batch = _ArrayUnpickler(stream, encoding="latin1").load()
            batch = {name.decode() if isinstance(name, bytes) else name: value for name, value in batch.items()}
            pixels.append(np.asarray(batch["data"], np.uint8).reshape(-1, 3, 32, 32))
            labels.append(np.asarray(batch[key], np.int64))
        except Exception as error:
            raise DataError(f"{file} is not a CIFAR file ({type(error).__name__}: {error})") from None
        if len(pixels[-1]) != len(labels[-1]):
            raise DataError(f"{file} holds {len(pixels[-1])} images and {len(labels[-1])} labels")
    return np.concatenate(pixels), np.concatenate(labels)


def _from_parquet(files: tuple[Path, ...], label: str) -> Split:
    """Read Hugging Face's files, tables of PNGs that are too small for threads to be of use."""
    pixels, labels = [], []
    for file in files:
        table = pq.read_table(file)
        column = "img" if "img" in table.column_names else "image"
        images = table[column].combine_chunks().field("bytes")
        pixels += [_small_image(image.as_py() or b"", f"{file} (row {row})") for row, image in enumerate(images)]
        labels.append(table[label].to_numpy().astype(np.int64))
    return np.stack(pixels).transpose(0, 3, 1, 2), np.concatenate(labels)


def _small_image(data: bytes, name: str) -> np.ndarray:
    image = np.array(decode(data, name=name))
    if image.shape != (32, 32, 3):
        raise DataError(f"{name} is {image.shape[1]} x {image.shape[0]} pixels, not 32 x 32")
    return image
