"""Reading images: CIFAR and digits into one uint8 tensor, folders into a list of files that are decoded when needed.

A file that cannot be read is a DataError that names it.
"""

import io
import pickle
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import torch
from PIL import Image
from sklearn.datasets import load_digits
from torch import Tensor

from trainables.data.catalog import CIFAR_LABEL, DataError, DataInfo, image_files
from trainables.data.subset import held_out_split, stratified_subset


@dataclass(frozen=True, slots=True)
class TensorImages:
    """Images in memory: `pixels` uint8 [N, 3, H, W], `labels` int64 [N]."""

    pixels: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True, slots=True)
class FileImages:
    """Images on disk: one path for each of `labels` int64 [N]."""

    paths: list[str]
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)


Images = TensorImages | FileImages


def load(info: DataInfo, *, train_size: float, val_split: float, seed: int) -> tuple[Images, Images]:
    """(training, validation) images: the training subset of SCATTERING's rule, and the test set or a held-out part.

    Raises DataError for unreadable files or more images asked for than there are.
    """
    if info.layout == "classes" and not val_split:
        val_split = 0.1
    labels, test_labels = _labels(info)
    chosen, held_out = np.arange(len(labels)), None
    if val_split:
        chosen, held_out = held_out_split(labels, val_split, seed)
    chosen = chosen[stratified_subset(labels[chosen], train_size, seed)]
    train = _take(info, "train", chosen)
    if held_out is not None:
        return train, _take(info, "train", held_out)
    return train, _take(info, "test", np.arange(len(test_labels)))


def decode(data: bytes | str, *, name: str) -> Image.Image:
    """An RGB image from the bytes of a file or from its path, as torchvision's ImageFolder has it (no EXIF rotation).

    Greyscale, CMYK and palette images are converted; the format is told from the content, not from the name.
    Raises DataError, which names the file, for anything that is not a whole image.
    """
    try:
        with Image.open(io.BytesIO(data) if isinstance(data, bytes) else data) as image:
            return image.convert("RGB")
    except MemoryError:
        raise
    except Exception as error:
        reason = str(error).replace(name, "").strip() or type(error).__name__
        raise DataError(f"{name} cannot be read as an image ({reason})") from None


def to_tensor(image: Image.Image) -> Tensor:
    """uint8 [3, H, W]."""
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)


def _labels(info: DataInfo) -> tuple[np.ndarray, np.ndarray]:
    """All labels of the training and of the test images (none for a layout without a split)."""
    if info.in_memory:
        sources = _digit_arrays() if info.layout == "embedded" else _cifar_labels(info)
        return sources["train"], sources["test"]
    train = _index(info.train[0], info.classes)[1]
    test = _index(info.test[0], info.classes)[1] if info.test else np.zeros(0, np.int64)
    return train, test


def _take(info: DataInfo, split: str, indices: np.ndarray) -> Images:
    if info.layout in ("folders", "classes"):
        paths, labels = _index((info.train if split == "train" else info.test)[0], info.classes)
        return FileImages([paths[i] for i in indices], torch.from_numpy(labels[indices]))
    if info.layout == "embedded":
        arrays = _digit_arrays()
        pixels, labels = arrays[f"{split}_pixels"], arrays[split]
    elif info.layout == "torchvision":
        pixels, labels = _cifar_pickles(info.train if split == "train" else info.test, CIFAR_LABEL[info.dataset])
    else:
        pixels, labels = _parquet_images(info, split, indices), _cifar_labels(info)[split]
        return TensorImages(pixels, torch.from_numpy(labels[indices]))
    return TensorImages(torch.from_numpy(pixels[indices]), torch.from_numpy(labels[indices]))


# Digits


def _digit_arrays() -> dict[str, np.ndarray]:
    """scikit-learn's 8x8 digits as 32x32 RGB; every fifth image is a test image."""
    bunch = load_digits()
    levels = torch.from_numpy(bunch.images)[:, None]
    large = torch.nn.functional.interpolate(levels, size=(32, 32), mode="bilinear", align_corners=False)
    pixels = (large * (255 / 16)).round().to(torch.uint8).expand(-1, 3, -1, -1).numpy()
    labels = bunch.target.astype(np.int64)
    is_test = np.arange(len(labels)) % 5 == 4
    return {
        "train": labels[~is_test],
        "test": labels[is_test],
        "train_pixels": pixels[~is_test],
        "test_pixels": pixels[is_test],
    }


# CIFAR


def _cifar_labels(info: DataInfo) -> dict[str, np.ndarray]:
    label = CIFAR_LABEL[info.dataset]
    splits = {"train": info.train, "test": info.test}
    if info.layout == "torchvision":
        return {split: _cifar_pickles(files, label)[1] for split, files in splits.items()}
    return {
        split: np.concatenate([pq.read_table(f, columns=[label])[label].to_numpy() for f in files]).astype(np.int64)
        for split, files in splits.items()
    }


class _ArrayUnpickler(pickle.Unpickler):
    """Reads CIFAR's pickles, which hold numpy arrays and plain values, and refuses anything else."""

    def find_class(self, module: str, name: str) -> Any:
        allowed = {"numpy": ("ndarray", "dtype"), "multiarray": ("_reconstruct",), "numeric": ("_frombuffer",)}
        if module.split(".")[0] in ("numpy", "_codecs") and name in allowed.get(module.split(".")[-1], ("encode",)):
            return super().find_class(module.replace("numpy.core", "numpy._core"), name)
        raise pickle.UnpicklingError(f"{module}.{name} has no place in a CIFAR file")


def _cifar_pickles(files: tuple[Path, ...], label: str) -> tuple[np.ndarray, np.ndarray]:
    """Pixels uint8 [N, 3, 32, 32] and labels int64 [N] of torchvision's files."""
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


def _parquet_images(info: DataInfo, split: str, indices: np.ndarray) -> Tensor:
    """Decode the rows `indices` of a split, uint8 [n, 3, 32, 32]; rows that are not asked for are not decoded."""
    out = np.empty((len(indices), 32, 32, 3), np.uint8)
    slots_of_row = np.argsort(indices, kind="stable")
    wanted = indices[slots_of_row]
    start = 0
    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        for file in info.train if split == "train" else info.test:
            parquet = pq.ParquetFile(file)
            column = "img" if "img" in parquet.schema_arrow.names else "image"
            for group in range(parquet.num_row_groups):
                rows = parquet.metadata.row_group(group).num_rows
                first, last = np.searchsorted(wanted, (start, start + rows))
                if last > first:
                    table = parquet.read_row_group(group, columns=[column])[column].combine_chunks()
                    data = table.field("bytes")

                    def decode_into(at: int, data: Any = data, start: int = start, file: Path = file) -> None:
                        row = int(wanted[at]) - start
                        name = f"{file} (row {int(wanted[at])})"
                        image = decode(data[row].as_py() or b"", name=name)
                        if image.size != (32, 32):
                            raise DataError(f"{name} is {image.size[0]} x {image.size[1]} pixels, not 32 x 32")
                        out[slots_of_row[at]] = image

                    list(pool.map(decode_into, range(first, last)))
                start += rows
    return torch.from_numpy(out).permute(0, 3, 1, 2).contiguous()


# Folders


def _index(folder: Path, classes: tuple[str, ...]) -> tuple[list[str], np.ndarray]:
    paths, labels = image_files(folder, classes)
    return paths, np.array(labels, np.int64)
