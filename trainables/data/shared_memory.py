"""Decodes CIFAR and digits once on each machine: all processes map the same file, so memory holds a single copy.

The file lies in /dev/shm/raysweep-<user id>/ (see `cache.shared_memory_folders`) until the machine restarts or somebody
deletes it; a running process keeps what it has mapped. Its name follows from the dataset, the folder of its files, and
their fingerprint and times, so other content has a file of its own, which replaces that of the earlier content. Where
no folder has room, each process has its own copy.

The file consists of a header of 4096 bytes (in JSON, the SHA-256 of the rest and the number of images of each split),
the labels as int64 and the pixels as uint8.
"""

import contextlib
import hashlib
import importlib.metadata
import json
import os
import shutil
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from trainables.data.cache import publish, shared_memory_folders
from trainables.data.info import DataInfo
from trainables.data.small_datasets import Split, read_splits

_HEADER_BYTES = 4096
_FORMAT = 1

Tensors = dict[str, tuple[Tensor, Tensor]]
"""Pixels uint8 [N, 3, H, W] and labels int64 [N] of "train" and of "test"."""


def shared_splits(info: DataInfo) -> Tensors:
    """All images of a dataset that fits into memory. Raises DataError for unreadable files."""
    prefix, name = _file_name(info)
    folders = list(shared_memory_folders())
    for folder in folders:
        if mapped := _map(folder / name, info.image_size):
            return mapped
    splits = read_splits(info)
    for folder in folders:
        if mapped := _share(splits, folder / name, info.image_size):
            for old in folder.glob(f"{prefix}-*"):
                if old.name != name:
                    old.unlink(missing_ok=True)
            return mapped
    return {
        split: (torch.from_numpy(np.ascontiguousarray(pixels)), torch.from_numpy(labels))
        for split, (pixels, labels) in splits.items()
    }


def _file_name(info: DataInfo) -> tuple[str, str]:
    """The name of the file for the present content, after the prefix that files for other content have as well."""
    files = (*info.train, *info.test)
    place = hashlib.sha256("\n".join(map(os.path.abspath, files)).encode(errors="surrogateescape")).hexdigest()[:12]
    version = importlib.metadata.version("scikit-learn") if info.layout == "embedded" else ""
    content = [_FORMAT, info.fingerprint(), version, *(file.stat().st_mtime_ns for file in files)]
    prefix = f"{info.dataset}-{place}"
    return prefix, f"{prefix}-{hashlib.sha256(repr(content).encode()).hexdigest()[:16]}.bin"


def _share(splits: dict[str, Split], path: Path, image_size: int) -> Tensors | None:
    """Write the file and map it. Returns None where there is no room or no permission."""
    arrays = [np.ascontiguousarray(splits[split][part]) for part in (1, 0) for split in ("train", "test")]
    checksum = hashlib.sha256()
    for array in arrays:
        checksum.update(array)
    header = {"sha256": checksum.hexdigest(), "images": {split: len(labels) for split, (_, labels) in splits.items()}}
    content = [json.dumps(header).encode().ljust(_HEADER_BYTES), *arrays]
    try:
        if shutil.disk_usage(path.parent).free < 1.1 * sum(array.nbytes for array in arrays):
            return None
        publish(path, lambda stream: stream.writelines(content))
    except OSError:
        return None
    return _map(path, image_size)


def _map(path: Path, image_size: int) -> Tensors | None:
    """The tensors of a file, copied on write; None if it is missing, damaged or another user's."""
    shape = (-1, 3, image_size, image_size)
    with contextlib.suppress(OSError, RuntimeError, ValueError, KeyError, TypeError):
        if path.stat().st_uid != os.getuid():
            return None
        size = path.stat().st_size
        whole = torch.from_file(str(path), shared=False, size=size, dtype=torch.uint8)
        header = json.loads(bytes(whole[:_HEADER_BYTES].numpy()))
        if hashlib.sha256(whole[_HEADER_BYTES:].numpy()).hexdigest() != header["sha256"]:
            return None
        n_train, n_test = (header["images"][split] for split in ("train", "test"))
        pixels_at = _HEADER_BYTES + 8 * (n_train + n_test)
        labels = whole[_HEADER_BYTES:pixels_at].view(torch.int64)
        pixels = whole[pixels_at:].view(shape)
        return {
            "train": (pixels[:n_train], labels[:n_train]),
            "test": (pixels[n_train:], labels[n_train:]),
        }
    return None
