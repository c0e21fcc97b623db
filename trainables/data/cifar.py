"""CIFAR-10 and CIFAR-100: what they are, and where their files are in a folder. No torch; nothing is decoded here.

The files are those of torchvision, which are downloaded where there are none, or Hugging Face's parquet files.
"""

import filecmp
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np

from trainables.data import parquet, pickles
from trainables.data.entries import is_left_out, walk
from trainables.data.info import DataError, DataInfo
from trainables.data.parquet_files import find_splits

SIZES = (50_000, 10_000)
"""Numbers of training and test images of either dataset."""
DOWNLOAD_TIMEOUT = 20
"""Seconds after which a download that receives nothing is given up."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CifarDataset:
    """One of the two datasets: its statistics, and the names in its files."""

    num_classes: int
    mean: tuple[float, float, float]
    """Mean of each colour channel over the training images, whose values are in 0 .. 1."""
    std: tuple[float, float, float]
    """Standard deviation of each colour channel."""
    folder: str
    """Name of the folder of torchvision's files."""
    train_files: tuple[str, ...]
    """Names of torchvision's files of training images."""
    test_file: str
    """Name of torchvision's file of test images."""
    label: str
    """Name of the labels' column in the parquet files."""

    @property
    def pickled_labels(self) -> str:
        """Name of the labels in torchvision's files."""
        return "labels" if self.label == "label" else f"{self.label}s"


CIFAR: Mapping[str, CifarDataset] = MappingProxyType(
    {
        "cifar10": CifarDataset(
            num_classes=10,
            mean=(0.4914, 0.4822, 0.4465),
            std=(0.2470, 0.2435, 0.2616),
            folder="cifar-10-batches-py",
            train_files=tuple(f"data_batch_{i}" for i in range(1, 6)),
            test_file="test_batch",
            label="label",
        ),
        "cifar100": CifarDataset(
            num_classes=100,
            mean=(0.5071, 0.4867, 0.4408),
            std=(0.2675, 0.2565, 0.2761),
            folder="cifar-100-python",
            train_files=("train",),
            test_file="test",
            label="fine_label",
        ),
    }
)


def find_cifar(dataset: str, root: Path, *, download: bool = True) -> DataInfo:
    """Find the files of "cifar10" or "cifar100" in a folder. Raises DataError where they are missing or incomplete.

    If the folder holds neither kind of files, the dataset is downloaded into it or, without `download`, described as it
    was published.
    """
    known = CIFAR[dataset]
    tables, homes = _search(root, known.folder)
    home = root if root.name == known.folder else root / known.folder
    if not tables and not home.is_dir():
        if len(homes) > 1:
            raise DataError(f"{homes[0]} and {homes[1]} both hold {dataset}; name the folder of one by --data-dir")
        if os.path.islink(home):
            raise DataError(f"{home} is a link to {os.readlink(home)}, which is no folder")
        if homes:
            home = homes[0]
        elif not download:
            return cifar_info(dataset, layout="published")
        else:
            _download(dataset, root)
    if home.is_dir():
        layout, train, test = "torchvision", tuple(home / name for name in known.train_files), (home / known.test_file,)
        for file in (*train, *test):
            if not file.is_file():
                raise DataError(f"{file} is missing")
    else:
        layout, of_split = "parquet", find_splits(tables, root, known.label)
        train, test = of_split["train"], of_split["test"]
    n_train, n_test = (
        _number_of_images(dataset, layout, files, published)
        for files, published in zip((train, test), SIZES, strict=True)
    )
    return cifar_info(dataset, layout=layout, train=train, test=test, n_train=n_train, n_test=n_test)


def train_labels(info: DataInfo) -> Sequence[int]:
    """The labels of all training images of parquet files or torchvision's files. Raises DataError."""
    known = CIFAR[info.dataset]
    if info.layout == "parquet":
        parts = [parquet.labels(file, known.label, known.num_classes) for file in info.train]
    else:
        parts = [pickles.labels(file, known.pickled_labels, known.num_classes) for file in info.train]
    labels: list[int] = np.concatenate(parts).tolist()
    return labels


def cifar_info(
    dataset: str,
    *,
    layout: str,
    train: tuple[Path, ...] = (),
    test: tuple[Path, ...] = (),
    n_train: int = SIZES[0],
    n_test: int = SIZES[1],
) -> DataInfo:
    """What is known of "cifar10" or "cifar100" with these files."""
    known = CIFAR[dataset]
    return DataInfo(
        dataset=dataset,
        layout=layout,
        train=train,
        test=test,
        image_size=32,
        classes=tuple(str(i) for i in range(known.num_classes)),
        n_train=n_train,
        n_test=n_test,
        mean=known.mean,
        std=known.std,
        flip=True,
    )


def _download(dataset: str, root: Path) -> None:
    """Let torchvision fetch the files, which it checks. Raises DataError where that fails, as without a network."""
    import socket

    from torchvision import datasets

    timeout = socket.getdefaulttimeout()
    socket.setdefaulttimeout(DOWNLOAD_TIMEOUT)
    try:
        print(f"no {dataset} in {root}; downloading it", flush=True)
        {"cifar10": datasets.CIFAR10, "cifar100": datasets.CIFAR100}[dataset](root, download=True)
    except (OSError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise DataError(
            f"no {dataset} in {root}: found neither {CIFAR[dataset].folder}/ (torchvision) nor train*.parquet "
            f"(Hugging Face), and it could not be downloaded ({reason})"
        ) from None
    finally:
        socket.setdefaulttimeout(timeout)


def _search(root: Path, folder: str) -> tuple[list[Path], list[Path]]:
    """The parquet files below a folder, and the folders below it of the name that torchvision gives to its own."""
    tables, homes = [], []
    for place, folders, files in walk(root):
        homes += [place / name for name in folders if name == folder]
        tables += [place / name for name in files if name.endswith(".parquet") and not is_left_out(name)]
    # A broken link stays, since it stands for a file; a pipe does not, since it could not be read to its end.
    return [file for file in tables if os.path.isfile(file) or not os.path.exists(file)], homes


def _number_of_images(dataset: str, layout: str, files: Sequence[Path], published: int) -> int:
    """How many images the files of a split hold. Raises DataError for none, and for files that cannot be read."""
    known = CIFAR[dataset]
    if layout == "parquet":
        labels = {file: parquet.labels(file, known.label, known.num_classes) for file in files}
        _require_no_copies(labels)
        number = sum(map(len, labels.values()))
    elif all(pickles.is_whole(file, published // len(files)) for file in files):
        number = published
    else:
        number = sum(len(pickles.labels(file, known.pickled_labels, known.num_classes)) for file in files)
    if not number:
        raise DataError(f"{files[0]} holds no images")
    return number


def _require_no_copies(labels: Mapping[Path, np.ndarray]) -> None:
    """Raises DataError where two files hold the same images."""
    seen: dict[tuple[int, bytes], Path] = {}
    for file, own in labels.items():
        twin = seen.setdefault((file.stat().st_size, own.tobytes()), file)
        if twin != file and len(own) and filecmp.cmp(twin, file, shallow=False):
            raise DataError(f"{file} is a copy of {twin}; leave one of them")
