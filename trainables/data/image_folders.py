"""ImageNet and other images that lie in one folder for each class, with or without a split. No torch."""

import os
from pathlib import Path

from trainables.data.entries import is_left_out
from trainables.data.info import DataError, DataInfo, image_files
from trainables.data.preparation import preparation_of

FOLDER_IMAGE_SIZE = 224
"""Side in pixels that the images of folders get unless the configuration says otherwise."""
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
"""Mean and standard deviation of ImageNet's colour channels, by which all images of folders are normalised."""
VALIDATION_FOLDERS = ("val", "test", "valid", "validation")
"""Names that the folder of the validation images may have; ImageNet's has one of the first two."""


def find_image_folders(dataset: str, root: Path, image_size: int) -> DataInfo:
    """Find the class folders of "imagenet" or "imagefolder" below a folder.

    "imagenet" needs train/ and val/; "imagefolder" may do without a split. Raises DataError where classes or images
    are missing, and for a prepared copy that is not finished.
    """
    prepared = preparation_of(root)
    train, test = _splits(dataset, root)
    prepared = prepared or preparation_of(train) or (preparation_of(test) if test else None)
    classes = _class_folders(train)
    if test is not None:
        unknown = sorted(set(_class_folders(test)) - set(classes))
        if unknown:
            raise DataError(f"{test / unknown[0]} is a class without training images in {train}")
    test_images = image_files(test, classes) if test else None
    if len(classes) < 2:
        raise DataError(f"{train} holds {len(classes)} class folder(s); at least 2 are needed")
    train_images = image_files(train, classes)
    return DataInfo(
        dataset=dataset,
        layout="folders" if test else "classes",
        train=(train,),
        test=(test,) if test else (),
        image_size=image_size,
        classes=classes,
        n_train=len(train_images.paths),
        n_test=len(test_images.paths) if test_images else 0,
        mean=IMAGENET_MEAN,
        std=IMAGENET_STD,
        flip=True,
        left_out=train_images.left_out + (test_images.left_out if test_images else 0),
        prepared=prepared,
    )


def _splits(dataset: str, root: Path) -> tuple[Path, Path | None]:
    """The folders of training and of validation images; `root` itself and None where there is no split."""
    names = VALIDATION_FOLDERS[:2] if dataset == "imagenet" else VALIDATION_FOLDERS
    test = next((root / name for name in names if (root / name).is_dir()), None)
    if (root / "train").is_dir() and test is not None:
        return root / "train", test
    if dataset == "imagenet" or (root / "train").is_dir():
        missing = "val" if (root / "train").is_dir() else "train"
        raise DataError(f"{root / missing} is missing: images are expected in {root}/train and {root}/val")
    return root, None


def _class_folders(folder: Path) -> tuple[str, ...]:
    """Names of the class folders, sorted. Raises DataError without any, and for a link that leads nowhere."""
    names = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if is_left_out(entry.name):
                continue
            if entry.is_dir():
                names.append(entry.name)
            elif entry.is_symlink() and not os.path.exists(entry.path):
                raise DataError(f"{entry.path} is a link to {os.readlink(entry.path)}, which is not there")
    if not names:
        raise DataError(f"{folder} holds no class folders")
    return tuple(sorted(names))
