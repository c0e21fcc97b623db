"""CIFAR-10 and CIFAR-100: what they are, and where their files are in a folder. No torch; nothing is decoded here.

The files are those of torchvision, which are downloaded where there are none, or Hugging Face's parquet files.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import pyarrow.parquet as pq

from trainables.data.info import DataError, DataInfo

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
    parquet = sorted(p for p in root.rglob("*.parquet") if p.is_file())
    home = root if root.name == known.folder else root / known.folder
    if not parquet and not home.is_dir():
        if not download:
            return cifar_info(dataset, layout="published")
        _download(dataset, root)
    if home.is_dir():
        layout, train, test = "torchvision", tuple(home / name for name in known.train_files), (home / known.test_file,)
        for file in (*train, *test):
            if not file.is_file():
                raise DataError(f"{file} is missing")
        n_train, n_test = SIZES
    else:
        layout = "parquet"
        train, test = (_parquet_files(parquet, split, root) for split in ("train", "test"))
        n_train, n_test = (sum(_parquet_rows(file, known.label) for file in files) for files in (train, test))
    return cifar_info(dataset, layout=layout, train=train, test=test, n_train=n_train, n_test=n_test)


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


def _parquet_files(files: list[Path], split: str, root: Path) -> tuple[Path, ...]:
    """Those of the parquet files whose names say that they hold the split."""
    found = tuple(file for file in files if re.match(rf"{split}\b|{split}[-_.]", file.name))
    if not found:
        raise DataError(f"no {split}*.parquet in {root}")
    return found


def _parquet_rows(file: Path, label: str) -> int:
    """Number of images in a parquet file. Raises DataError where it has no columns of images and labels."""
    try:
        parquet = pq.ParquetFile(file)
    except Exception as error:
        raise DataError(f"{file} is not a readable parquet file ({error})") from None
    columns = parquet.schema_arrow.names
    if label not in columns or not {"img", "image"} & set(columns):
        raise DataError(f"{file} has the columns {', '.join(columns)}; expected img and {label}")
    return int(parquet.metadata.num_rows)
