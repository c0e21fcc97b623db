"""The datasets that a run can name, and whether their files are there. No torch; nothing is decoded here.

`locate` is called before anything starts, so every way a data folder can be wrong is a DataError with one clear line.
"""

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from pathlib import Path

from trainables.data.cifar import CIFAR, cifar_info, find_cifar
from trainables.data.image_folders import FOLDER_IMAGE_SIZE, IMAGENET_MEAN, IMAGENET_STD, find_image_folders
from trainables.data.info import DataError, DataInfo, shown

DIGITS = DataInfo(
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
"""scikit-learn's handwritten digits as 32x32 RGB, which need no files (see `trainables.data.small_datasets`)."""

IMAGENET_CLASSES = 1000
IMAGENET_SIZES = (1_281_167, 50_000)
"""Numbers of ImageNet's training and validation images."""

_published_instead: ContextVar[bool] = ContextVar("published_instead", default=False)


@contextlib.contextmanager
def published_sizes() -> Iterator[None]:
    """Let `locate` describe a dataset that is not on this machine by what was published of it, within this context.

    It serves plans that are made for other machines: sizes and classes are known, but nothing can be loaded, and
    nothing is downloaded.
    """
    token = _published_instead.set(True)
    try:
        yield
    finally:
        _published_instead.reset(token)


def for_other_machines() -> bool:
    """Whether this is within `published_sizes`, so that this machine need not be one on which the runs can train."""
    return _published_instead.get()


def locate(dataset: str, data_dir: str | None, image_size: int | None = None) -> DataInfo:
    """Find the files of a dataset in the folder `data_dir`, which only the digits do without.

    `image_size` is the side in pixels that images of folders are to have; None means 224, and the size that digits and
    CIFAR have. Raises DataError where the files are missing or incomplete.
    """
    if dataset == "digits":
        if data_dir is not None:
            raise DataError(
                f"the digits are embedded and take no data folder; name the dataset that lies in {data_dir}"
            )
        _require_own_size(dataset, image_size)
        return DIGITS
    was_published = dataset in (*CIFAR, "imagenet")
    if _published_instead.get() and was_published and not _exists(data_dir):
        return _published(dataset, image_size)
    root = _data_folder(dataset, data_dir)
    try:
        if dataset in CIFAR:
            _require_own_size(dataset, image_size)
            return find_cifar(dataset, root, download=not _published_instead.get())
        if not any(root.iterdir()):
            raise DataError(f"data folder {root} is empty")
        return find_image_folders(dataset, root, image_size or FOLDER_IMAGE_SIZE)
    except OSError as error:
        raise DataError(f"{error.filename or root} cannot be read ({error.strerror or error})") from None


def described(info: DataInfo, data_dir: str | None) -> str:
    """Where a dataset lies, and which images, classes and splits were found, as people are told."""
    where = f"in {shown(data_dir)}" if data_dir else "here"
    places = {
        "embedded": "the embedded digits (scikit-learn's handwriting as 32x32 RGB)",
        "published": f"{info.dataset} as it was published (its files are not {where})",
    }
    place = places.get(info.layout) or f"{info.dataset} {where}"
    return f"{place}; {info.summary()}"


def locate_here(dataset: str, data_dir: str | None, image_size: int | None = None) -> DataInfo:
    """As `locate`, but nothing is downloaded. Raises DataError for a dataset whose files are not on this machine."""
    with published_sizes():
        info = locate(dataset, data_dir, image_size)
    if info.layout == "published":
        raise DataError(f"the files of {dataset} are not {f'in {data_dir}' if data_dir else 'here'}")
    return info


def _exists(data_dir: str | None) -> bool:
    """Whether the folder of the data exists, or cannot be looked for, which `_data_folder` puts into words."""
    try:
        return data_dir is not None and Path(data_dir).expanduser().exists()
    except (OSError, RuntimeError):
        return True


def _require_own_size(dataset: str, image_size: int | None) -> None:
    """Raises DataError for another size than the one that digits and CIFAR have."""
    if image_size not in (None, 32):
        raise DataError(f"image_size={image_size}: {dataset} images have 32 pixels; only folders can be resized")


def _data_folder(dataset: str, data_dir: str | None) -> Path:
    """The folder of the data. Raises DataError where it is missing or cannot be read."""
    if not data_dir:
        raise DataError(f"dataset {dataset} needs a data folder (--data-dir)")
    try:
        root = Path(data_dir).expanduser()
        if not root.is_dir():
            raise DataError(f"{root} is not a folder" if root.exists() else f"data folder {root} does not exist")
        next(root.iterdir(), None)  # raises OSError where we may not look into it
    except (OSError, RuntimeError) as error:
        raise DataError(f"data folder {data_dir} cannot be read ({error})") from None
    return root


def _published(dataset: str, image_size: int | None) -> DataInfo:
    """What was published of CIFAR or ImageNet; there are no files."""
    if dataset in CIFAR:
        _require_own_size(dataset, image_size)
        return cifar_info(dataset, layout="published")
    return DataInfo(
        dataset=dataset,
        layout="published",
        train=(),
        test=(),
        image_size=image_size or FOLDER_IMAGE_SIZE,
        classes=tuple(str(i) for i in range(IMAGENET_CLASSES)),
        n_train=IMAGENET_SIZES[0],
        n_test=IMAGENET_SIZES[1],
        mean=IMAGENET_MEAN,
        std=IMAGENET_STD,
        flip=True,
    )
