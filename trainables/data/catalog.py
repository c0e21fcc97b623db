"""What each dataset is and where its files are. No torch; nothing is decoded here.

`locate` is called before anything starts, so every way a data folder can be wrong is a DataError with one clear line.
"""

import contextlib
import functools
import hashlib
import os
import re
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq

from trainables.data.index import listing

FOLDER_IMAGE_SIZE = 224
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")  # torchvision's


class DataError(ValueError):
    """The data are missing, incomplete or unreadable; the message names the file or folder."""

    failure_kind = "data"
    """Tells whoever runs a training that it failed for its data."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DataInfo:
    """A dataset that was found: enough to build a network for it and to tell it from others."""

    dataset: str
    layout: str
    """How the files lie: "embedded", "torchvision", "parquet", "folders" (train/ and val/), "classes" (no split), or
    "published": they are not here (see `published_sizes`)."""
    train: tuple[Path, ...]
    """Files or folders of the training images."""
    test: tuple[Path, ...]
    """Files or folders of the test images; empty where the data bring no split."""
    image_size: int
    classes: tuple[str, ...]
    n_train: int
    """Training images."""
    n_test: int
    """Test images; 0 where the data bring no split."""
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    flip: bool
    """Whether a mirrored image shows the same class."""

    @property
    def num_classes(self) -> int:
        """Number of classes."""
        return len(self.classes)

    @property
    def in_memory(self) -> bool:
        """Whether all images fit into one uint8 tensor."""
        return self.layout not in ("folders", "classes") and self.dataset in ("digits", *_CIFAR)

    def fingerprint(self) -> str:
        """Changes when other files, other classes or another layout lie in the data folder; not when it moves."""
        return _fingerprint(self)


@functools.lru_cache(maxsize=8)
def _fingerprint(info: DataInfo) -> str:
    """Once for each dataset in a process: a plan asks for every run, and ImageNet has 1.3 million names."""
    files = []
    for path in (*info.train, *info.test):
        if path.is_file():
            files.append(f"{path.name}:{path.stat().st_size}")
        else:
            files += [file.removeprefix(f"{path}{os.sep}") for file in image_files(path, info.classes)[0]]
    text = "\n".join([info.dataset, info.layout, *info.classes, *sorted(files)])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


_IMAGENET_STATISTICS = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
_CIFAR = {
    # dataset: (torchvision's folder, training files, test files, parquet label column, classes, mean, std)
    "cifar10": (
        "cifar-10-batches-py",
        tuple(f"data_batch_{i}" for i in range(1, 6)),
        "test_batch",
        "label",
        10,
        ((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)),
    ),
    "cifar100": (
        "cifar-100-python",
        ("train",),
        "test",
        "fine_label",
        100,
        ((0.5071, 0.4867, 0.4408), (0.2675, 0.2565, 0.2761)),
    ),
}
PUBLISHED = {"cifar10": (50_000, 10_000), "cifar100": (50_000, 10_000), "imagenet": (1_281_167, 50_000)}
"""Training and test images of the datasets that are the same everywhere."""
_IMAGENET_CLASSES = 1000

CIFAR_FOLDER = {name: entry[0] for name, entry in _CIFAR.items()}
CIFAR_LABEL = {name: entry[3] for name, entry in _CIFAR.items()}


_elsewhere: ContextVar[bool] = ContextVar("elsewhere", default=False)


@contextlib.contextmanager
def published_sizes() -> Iterator[None]:
    """Within this context, `locate` takes a dataset that is not on this machine for what was published of it.

    For plans that are made for other machines; nothing can be loaded from it.
    """
    token = _elsewhere.set(True)
    try:
        yield
    finally:
        _elsewhere.reset(token)


def locate(dataset: str, data_dir: str | None, image_size: int | None = None) -> DataInfo:
    """Find the files of `dataset` in `data_dir`. Raises DataError where they are missing or incomplete."""
    if dataset == "digits":
        if data_dir is not None:
            raise DataError(
                f"the digits are embedded and take no data folder; name the dataset that lies in {data_dir}"
            )
        _no_image_size(dataset, image_size, 32)
        return _digits()
    if _elsewhere.get() and dataset in PUBLISHED and (data_dir is None or not Path(data_dir).expanduser().exists()):
        return _published(dataset, image_size)
    if data_dir is None:
        raise DataError(f"dataset {dataset} needs a data folder (--data-dir)")
    try:
        root = Path(data_dir).expanduser()
        if not root.is_dir():
            raise DataError(f"{root} is not a folder" if root.exists() else f"data folder {root} does not exist")
        empty = not any(root.iterdir())
    except (OSError, RuntimeError) as error:
        raise DataError(f"data folder {data_dir} cannot be read ({error})") from None
    if dataset in _CIFAR:
        _no_image_size(dataset, image_size, 32)
        return _cifar(dataset, root)
    if empty:
        raise DataError(f"data folder {root} is empty")
    return _folders(dataset, root, image_size or FOLDER_IMAGE_SIZE)


def _published(dataset: str, image_size: int | None) -> DataInfo:
    if dataset in _CIFAR:
        _no_image_size(dataset, image_size, 32)
    num_classes, statistics = _CIFAR[dataset][4:] if dataset in _CIFAR else (_IMAGENET_CLASSES, _IMAGENET_STATISTICS)
    return DataInfo(
        dataset=dataset,
        layout="published",
        train=(),
        test=(),
        image_size=32 if dataset in _CIFAR else image_size or FOLDER_IMAGE_SIZE,
        classes=tuple(str(i) for i in range(num_classes)),
        n_train=PUBLISHED[dataset][0],
        n_test=PUBLISHED[dataset][1],
        mean=statistics[0],
        std=statistics[1],
        flip=True,
    )


def _no_image_size(dataset: str, image_size: int | None, own: int) -> None:
    if image_size not in (None, own):
        raise DataError(f"image_size={image_size}: {dataset} images have {own} pixels; only folders can be resized")


def _digits() -> DataInfo:
    return DataInfo(
        dataset="digits",
        layout="embedded",
        train=(),
        test=(),
        image_size=32,
        classes=tuple("0123456789"),
        n_train=1438,
        n_test=359,
        mean=(0.3058, 0.3058, 0.3058),
        std=(0.3241, 0.3241, 0.3241),
        flip=False,
    )


def _cifar(dataset: str, root: Path) -> DataInfo:
    folder, train_names, test_name, label, num_classes, (mean, std) = _CIFAR[dataset]
    parquet = sorted(p for p in root.rglob("*.parquet") if p.is_file())
    home = root if root.name == folder else root / folder
    if not parquet and not home.is_dir():
        _download_cifar(dataset, root)
    if home.is_dir():
        layout, train, test = "torchvision", tuple(home / name for name in train_names), (home / test_name,)
        for file in (*train, *test):
            if not file.is_file():
                raise DataError(f"{file} is missing")
        n_train, n_test = 50_000, 10_000
    else:
        layout = "parquet"
        train, test = (_parquet_split(parquet, split, root) for split in ("train", "test"))
        n_train = sum(_parquet_rows(file, label) for file in train)
        n_test = sum(_parquet_rows(file, label) for file in test)
    return DataInfo(
        dataset=dataset,
        layout=layout,
        train=train,
        test=test,
        image_size=32,
        classes=tuple(str(i) for i in range(num_classes)),
        n_train=n_train,
        n_test=n_test,
        mean=mean,
        std=std,
        flip=True,
    )


def _download_cifar(dataset: str, root: Path) -> None:
    """Let torchvision fetch the files, which it checks. Raises DataError where that fails, as without a network."""
    import socket

    from torchvision import datasets

    waits = socket.getdefaulttimeout()
    socket.setdefaulttimeout(20)
    try:
        print(f"no {dataset} in {root}; downloading it", flush=True)
        {"cifar10": datasets.CIFAR10, "cifar100": datasets.CIFAR100}[dataset](root, download=True)
    except (OSError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise DataError(
            f"no {dataset} in {root}: found neither {_CIFAR[dataset][0]}/ (torchvision) nor train*.parquet "
            f"(Hugging Face), and it could not be downloaded ({reason})"
        ) from None
    finally:
        socket.setdefaulttimeout(waits)


def _parquet_split(files: list[Path], split: str, root: Path) -> tuple[Path, ...]:
    found = tuple(file for file in files if re.match(rf"{split}\b|{split}[-_.]", file.name))
    if not found:
        raise DataError(f"no {split}*.parquet in {root}")
    return found


def _parquet_rows(file: Path, label: str) -> int:
    try:
        parquet = pq.ParquetFile(file)
    except Exception as error:
        raise DataError(f"{file} is not a readable parquet file ({error})") from None
    columns = parquet.schema_arrow.names
    if label not in columns or not {"img", "image"} & set(columns):
        raise DataError(f"{file} has the columns {', '.join(columns)}; expected img and {label}")
    return int(parquet.metadata.num_rows)


def _folders(dataset: str, root: Path, image_size: int) -> DataInfo:
    mean, std = _IMAGENET_STATISTICS
    test_names = ("val", "test") if dataset == "imagenet" else ("val", "test", "valid", "validation")
    test_root = next((root / name for name in test_names if (root / name).is_dir()), None)
    if (root / "train").is_dir() and test_root is not None:
        layout, train, test = "folders", (root / "train",), (test_root,)
        classes = _class_folders(root / "train")
        unknown = sorted(set(_class_folders(test_root)) - set(classes))
        if unknown:
            raise DataError(f"{test_root / unknown[0]} is a class without training images in {root / 'train'}")
    elif dataset == "imagenet" or (root / "train").is_dir():
        missing = "val" if (root / "train").is_dir() else "train"
        raise DataError(f"{root / missing} is missing: images are expected in {root}/train and {root}/val")
    else:
        layout, train, test = "classes", (root,), ()
        classes = _class_folders(root)
    n_test = len(image_files(test[0], classes)[0]) if test else 0
    if len(classes) < 2:
        raise DataError(f"{train[0]} holds {len(classes)} class folder(s); at least 2 are needed")
    return DataInfo(
        dataset=dataset,
        layout=layout,
        train=train,
        test=test,
        image_size=image_size,
        classes=classes,
        n_train=len(image_files(train[0], classes)[0]),
        n_test=n_test,
        mean=mean,
        std=std,
        flip=True,
    )


def _class_folders(folder: Path) -> tuple[str, ...]:
    names = sorted(entry.name for entry in folder.iterdir() if entry.is_dir())
    if not names:
        raise DataError(f"{folder} holds no class folders")
    return tuple(names)


@functools.lru_cache(maxsize=8)
def image_files(folder: Path, classes: tuple[str, ...]) -> tuple[list[str], list[int]]:
    """Image files below `folder` in ImageFolder's order (class, then path), and their labels.

    Raises DataError for a class folder without images; a class may have no folder at all.
    """
    try:
        directories = listing(folder)
    except OSError as error:
        raise DataError(f"{error.filename or folder} cannot be read ({error.strerror})") from None
    of_class: dict[str, list[tuple[str, list[str]]]] = {name: [] for name in classes}
    for relative, _, names in directories:
        of_class.setdefault(relative.partition(os.sep)[0], []).append((relative, names))
    paths: list[str] = []
    labels: list[int] = []
    for label, name in enumerate(classes):
        files = [
            f"{folder}{os.sep}{relative}{os.sep}{file}"
            for relative, names in of_class[name]
            for file in names
            if file.lower().endswith(IMAGE_SUFFIXES)
        ]
        if not files and of_class[name]:
            raise DataError(f"{folder / name} holds no images ({', '.join(IMAGE_SUFFIXES)})")
        paths += files
        labels += [label] * len(files)
    if not paths:
        raise DataError(f"{folder} holds no images")
    return paths, labels
