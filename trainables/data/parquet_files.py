"""Which parquet files below a folder hold the training and which the test images, and whether these are whole.

Hugging Face's datasets have train-00000-of-00002.parquet and so on, or after the conversion of others
train/0000.parquet; people have train.parquet or cifar10-train.parquet. No torch; of the files themselves only the names
of columns are read, where several folders hold files.
"""

import os
import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path

from trainables.data.info import DataError
from trainables.data.parquet import has_column

SPLITS = ("train", "test")
PART = re.compile(r"(?P<before>.*?)(?P<number>[0-9]+)-of-(?P<total>[0-9]+)(?P<after>.*)", re.DOTALL)
"""The name of a file that says which part it is of how many."""


def _name_begins(file: Path) -> str | None:
    found = re.match(r"(train|test)(?![^\W_])", file.name)
    return found[1] if found else None


def _folder_is(file: Path) -> str | None:
    return file.parent.name if file.parent.name in SPLITS else None


def _name_contains(file: Path) -> str | None:
    found = re.search(r"[-_.](train|test)(?![^\W_])", file.name)
    return found[1] if found else None


WAYS: Sequence[Callable[[Path], str | None]] = (_name_begins, _folder_is, _name_contains)
"""Ways to name the split of a file, the first of which that finds files of both splits counts."""


def find_splits(files: Sequence[Path], root: Path, label: str) -> dict[str, tuple[Path, ...]]:
    """The files of "train" and of "test" among parquet files below `root`, in the order of their paths.

    Where several folders hold files, those without any column `label` are passed over (CIFAR-100 beside CIFAR-10).
    Raises DataError where a split has no files, where one of its parts is missing, or where there are several sets.
    """
    lacking = None
    for way in WAYS:
        own = _of_dataset([file for file in files if way(file)], label)
        of_split = {split: [file for file in own if way(file) == split] for split in SPLITS}
        missing = [split for split, found in of_split.items() if not found]
        if not missing:
            return {split: _whole(split, found) for split, found in of_split.items()}
        if len(missing) == 1:
            lacking = lacking or missing[0]
    raise DataError(f"no {lacking or SPLITS[0]}*.parquet in {root}")


def _of_dataset(files: Sequence[Path], label: str) -> list[Path]:
    """The files, each once, in folders of which any file has the column, if there are such folders."""
    unlike = {os.path.realpath(file): file for file in sorted(files, reverse=True)}
    folders = defaultdict(list)
    for file in sorted(unlike.values()):
        folders[file.parent.parent if _folder_is(file) else file.parent].append(file)
    own = list(folders.values())
    if len(own) > 1:
        own = [found for found in own if any(has_column(file, label) for file in found)] or own
    return sorted(file for found in own for file in found)


def _whole(split: str, files: Sequence[Path]) -> tuple[Path, ...]:
    """The files of a split. Raises DataError unless they are one whole set, each part of it once."""
    sets: dict[int | None, dict[int | str, Path]] = defaultdict(dict)
    for file in files:
        part = PART.fullmatch(file.stem)
        total, number = (int(part["total"]), int(part["number"])) if part else (None, file.name)
        twin = sets[total].setdefault(number, file)
        if twin != file:
            raise DataError(f"{file} is the same part of the {split} images as {twin}; name one folder by --data-dir")
    if len(sets) > 1:
        one, other = (next(iter(parts.values())) for parts in list(sets.values())[:2])
        raise DataError(f"{one} and {other} are of two sets of {split} images; leave one, or name its folder")
    ((total, parts),) = sets.items()
    if total is None:
        _require_all_numbers(split, parts)
    else:
        _require_all_parts(split, total, parts)
    return tuple(files)


def _require_all_parts(split: str, total: int, parts: dict[int | str, Path]) -> None:
    """Raises DataError unless there are `total` parts, which are counted from 0, or from 1."""
    numbers = {int(number) for number in parts}
    expected = range(1, total + 1) if total in numbers and 0 not in numbers else range(total)
    beyond = sorted(number for number in numbers if number not in expected)
    if beyond:
        raise DataError(f"{parts[beyond[0]]} says that it is part {beyond[0]} of {total} of the {split} images")
    if len(numbers) < total:
        first = next(number for number in expected if number not in numbers)
        some = next(iter(parts.values()))
        part = PART.fullmatch(some.stem)
        assert part, "so its number was read"
        number = f"{first:0{len(part['number'])}}-of-{part['total']}"
        name = f"{part['before']}{number}{'*' * bool(part['after'])}.parquet"  # a hash may come after it
        raise DataError(
            f"{some.with_name(name)} is missing: of the {total:,} files of {split} images there are {len(numbers):,}"
        )


def _require_all_numbers(split: str, parts: dict[int | str, Path]) -> None:
    """Raises DataError where files are called by numbers alone (0000.parquet) and an earlier one is missing."""
    files = {int(file.stem): file for file in parts.values() if re.fullmatch("[0-9]+", file.stem)}
    for number, file in sorted(files.items()):
        if number - 1 not in files and number != 0 and file.stem != "1":  # people may count from 1
            name = f"{number - 1:0{len(file.stem)}}{file.suffix}"
            raise DataError(f"{file.with_name(name)} is missing: {file} is a later part of the {split} images")
