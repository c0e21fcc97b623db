"""A dataset that has been found: its sizes, its classes, its files, and what tells it from other datasets. No torch."""

import functools
import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from trainables.data.index import listing

IN_MEMORY = ("digits", "cifar10", "cifar100")
"""The datasets that are kept whole in memory, all of 32x32 pixels."""
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")  # torchvision's


class DataError(ValueError):
    """The data are missing, incomplete or unreadable; the message names the file or folder, in one line of text."""

    failure_kind = "data"
    """Tells whoever runs a training that it failed for its data."""

    def __init__(self, message: str) -> None:
        super().__init__(shown(message))


def shown(text: str) -> str:
    """The text as it can be printed anywhere: names of files may hold any byte, of which those that are no text become
    `\\xe9`, and line breaks `\\n`."""
    return "".join(c if c.isprintable() else _escaped(c) for c in text)


def _escaped(character: str) -> str:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # how Python holds a byte of a name that is no UTF-8
        return f"\\x{code - 0xDC00:02x}"
    return character.encode("unicode_escape").decode()


class ImageFiles(NamedTuple):
    """The image files of a split, in ImageFolder's order (class, then path)."""

    paths: list[str]
    labels: list[int]
    left_out: int
    """How many entries were left out (see `trainables.data.entries`)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Preparation:
    """How the images of a folder were made from those of another one (see `trainables.data.prepare`)."""

    short_side: int
    """Pixels that the shorter side of an image has at most."""
    quality: int
    """Quality of the JPEGs, 1 to 100."""
    source: str
    """Fingerprint of the folder that they were made from, as an "imagefolder"."""
    format: int = 1
    """Number that goes up when the same settings give other images."""

    def __str__(self) -> str:
        return f"short side {self.short_side}, quality {self.quality}"

    @property
    def identity(self) -> str:
        """What tells a prepared copy from its source, whose files have the same names, and from other copies."""
        return f"prepared {self.format}: {self} of {self.source}"


@dataclass(frozen=True, kw_only=True, slots=True)
class DataInfo:
    """A dataset that was found: enough to build a network for it and to tell it from others."""

    dataset: str
    layout: str
    """How the files lie: "embedded", "torchvision", "parquet", "folders" (train/ and val/), "classes" (no split), or
    "published", which means that they are not on this machine (see `trainables.data.catalog.published_sizes`)."""
    train: tuple[Path, ...]
    """Files or folders of the training images."""
    test: tuple[Path, ...]
    """Files or folders of the test images; empty where the data bring no split."""
    image_size: int
    """Side in pixels of the square images that a network gets."""
    classes: tuple[str, ...]
    """Names of the classes; the label of an image is the index of its class."""
    n_train: int
    """Number of training images."""
    n_test: int
    """Number of test images; 0 where the data bring no split."""
    mean: tuple[float, float, float]
    """Mean of each colour channel over the training images, whose values are in 0 .. 1."""
    std: tuple[float, float, float]
    """Standard deviation of each colour channel."""
    flip: bool
    """Whether a mirrored image shows the same class."""
    left_out: int = 0
    """How many entries of the folders are left out, since they begin with a dot or are called __MACOSX."""
    prepared: Preparation | None = None
    """How the images were made from those of another folder; None for images as they came."""

    @property
    def splits(self) -> dict[str, int]:
        """The number of images in each split, by its name in the data folder; one, "all", where there is none."""
        if self.layout == "classes":
            return {"all": self.n_train}
        names = [part[0].name for part in (self.train, self.test)] if self.layout == "folders" else ["train", "test"]
        return dict(zip(names, (self.n_train, self.n_test), strict=True))

    @property
    def num_classes(self) -> int:
        """Number of classes."""
        return len(self.classes)

    @property
    def in_memory(self) -> bool:
        """Whether all images are kept in one uint8 tensor; otherwise they are read from their files batch by batch."""
        return self.dataset in IN_MEMORY

    def described(self) -> dict[str, Any]:
        """What results keep of the data: images, classes and splits, and how they were prepared, if they were."""
        return {
            "image_size": self.image_size,
            "num_classes": self.num_classes,
            "n_train": self.n_train,
            "n_test": self.n_test,
            "splits": ", ".join(self.splits),
            **({"prepared": str(self.prepared)} if self.prepared else {}),
        }

    def summary(self) -> str:
        """Images, classes and splits, and how the images were prepared, as people are told."""
        images = ", ".join(f"{count:,} in {name}" for name, count in self.splits.items())
        unsplit = "" if len(self.splits) > 1 else ", of which a part is held out for validation"
        left_out = f"; entries left out (they begin with a dot, or are __MACOSX): {self.left_out:,}"
        resized = ""
        if made := self.prepared:
            resized = f"; resized beforehand: shorter side {made.short_side}, quality {made.quality}"
        return f"images: {images}{unsplit}; {self.num_classes:,} classes{left_out * bool(self.left_out)}{resized}"

    def fingerprint(self) -> str:
        """A hash that changes when other files, other classes or another layout lie in the data folder.

        It stays the same when the folder moves. That of a prepared copy is never that of its source.
        """
        return _fingerprint(self)


@functools.lru_cache(maxsize=8)
def _fingerprint(info: DataInfo) -> str:
    """Cached since a plan asks once for each run, and ImageNet has 1.3 million names."""
    files = []
    for path in (*info.train, *info.test):
        if path.is_file():
            files.append(f"{path.name}:{path.stat().st_size}")
        else:
            files += [file.removeprefix(f"{path}{os.sep}") for file in image_files(path, info.classes).paths]
    made = [info.prepared.identity] if info.prepared else []
    text = "\n".join([info.dataset, info.layout, *info.classes, *sorted(files), *made])
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()[:16]


@functools.lru_cache(maxsize=8)
def image_files(folder: Path, classes: tuple[str, ...]) -> ImageFiles:
    """The image files in the class folders of `folder`.

    A class may have no folder at all. Raises DataError for a class folder without images.
    """
    try:
        directories = listing(folder)
    except OSError as error:
        raise DataError(f"{error.filename or folder} cannot be read ({error.strerror})") from None
    of_class: dict[str, list[tuple[str, list[str]]]] = {name: [] for name in classes}
    for relative, _, names, _ in directories:
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
    return ImageFiles(paths, labels, sum(left_out for *_, left_out in directories))
