"""Small data sets as people have them: sound ones in several layouts, and ones that have something wrong.

Each maker fills an empty folder and returns it; the pictures are noise that depends on nothing but its number.
"""

import io
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

N_TRAIN, N_TEST = 60, 20


def pixels(number: int, size: int = 32) -> np.ndarray:
    """Picture number so and so, uint8 [size, size, 3]."""
    return np.random.RandomState(number).randint(0, 256, (size, size, 3), np.uint8)


def encoded(number: int, size: int = 32, kind: str = "PNG") -> bytes:
    """The same as a file."""
    stream = io.BytesIO()
    Image.fromarray(pixels(number, size)).save(stream, kind)
    return stream.getvalue()


def labels(first: int, n: int, num_classes: int = 10) -> list[int]:
    """Labels of the pictures first, first + 1, ..."""
    return [(7 * i + i // 10) % num_classes for i in range(first, first + n)]


def table(first: int, n: int, *, label: str = "label", image: str = "img", num_classes: int = 10) -> pa.Table:
    """Pictures first, first + 1, ... with their labels, as Hugging Face has them."""
    rows = [{"bytes": encoded(i), "path": f"{i}.png"} for i in range(first, first + n)]
    return pa.table({image: rows, label: pa.array(labels(first, n, num_classes), pa.int64())})


TRAIN, TEST = table(0, N_TRAIN), table(N_TRAIN, N_TEST)
FINE_TRAIN, FINE_TEST = (
    table(first, n, label="fine_label", num_classes=100) for first, n in ((500, N_TRAIN), (600, N_TEST))
)


def write(file: Path, content: pa.Table) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(content, file)


def in_shards(folder: Path, *, name: str = "{split}-{part:05}-of-{total:05}.parquet", tables: Any = None) -> Path:
    """The training images in two files, the test images in one; `name` says how they are called."""
    train, test = tables or (TRAIN, TEST)
    half = len(train) // 2
    for split, parts in (("train", [train.slice(0, half), train.slice(half)]), ("test", [test])):
        for part, content in enumerate(parts):
            write(folder / name.format(split=split, part=part, number=part + 1, total=len(parts)), content)
    return folder


def one_file_each(folder: Path, train: pa.Table = TRAIN, test: pa.Table = TEST) -> Path:
    write(folder / "train-00000-of-00001.parquet", train)
    write(folder / "test-00000-of-00001.parquet", test)
    return folder


def in_pickles(folder: Path) -> Path:
    """torchvision's layout."""
    home = folder / "cifar-10-batches-py"
    home.mkdir(parents=True)
    share = N_TRAIN // 5
    parts = [(f"data_batch_{i + 1}", i * share, share) for i in range(5)] + [("test_batch", N_TRAIN, N_TEST)]
    for name, first, n in parts:
        rows = np.stack([pixels(i) for i in range(first, first + n)]).transpose(0, 3, 1, 2).reshape(n, -1)
        content = {b"data": rows, b"labels": labels(first, n)}
        (home / name).write_bytes(pickle.dumps(content, protocol=2))
    return folder


def _beside_cifar100(folder: Path) -> Path:
    in_shards(folder / "cifar10" / "plain_text")
    in_shards(folder / "cifar100" / "cifar100", tables=(FINE_TRAIN, FINE_TEST))
    return folder


def _linked(folder: Path) -> Path:
    in_shards(folder.with_name(f"{folder.name}-elsewhere"))
    folder.mkdir(exist_ok=True)
    (folder / "cifar10").symlink_to(folder.with_name(f"{folder.name}-elsewhere"))
    (folder / "again").symlink_to(folder)
    return folder


def _hub_cache(folder: Path) -> Path:
    """As huggingface_hub keeps what it has downloaded: two revisions of the same files, which are links."""
    blobs = in_shards(folder / "blobs")
    for revision in ("0b2714987fa478483af9968de7c934580d0bb9a2", "aadb3af77e9048adbea6b47c21a81e47dd092ae5"):
        home = folder / "snapshots" / revision / "plain_text"
        home.mkdir(parents=True)
        for i, file in enumerate(sorted(blobs.glob("*.parquet"))):
            blob = blobs / f"{i:064x}"
            (home / file.name).symlink_to(f"../../../blobs/{blob.name}")
    for i, file in enumerate(sorted(blobs.glob("*.parquet"))):
        file.rename(blobs / f"{i:064x}")
    return folder


def _with_hidden_files(folder: Path) -> Path:
    in_shards(folder / "data")
    for name in ("._train-00000-of-00002.parquet", ".ipynb_checkpoints/train-copy.parquet", "__MACOSX/train.parquet"):
        (folder / "data" / name).parent.mkdir(exist_ok=True)
        (folder / "data" / name).write_bytes(b"\0\5\x16\7")
    return folder


def _other_images(kind: pa.DataType) -> tuple[pa.Table, pa.Table]:
    """Images as plain binary columns of a type."""
    return tuple(
        pa.table({"image": pa.array([row["bytes"] for row in part["img"].to_pylist()], kind), "label": part["label"]})
        for part in (TRAIN, TEST)
    )


SOUND: dict[str, Callable[[Path], Path]] = {
    "hub": lambda folder: in_shards(folder / "plain_text").parent,
    "hub_with_hashes": lambda folder: in_shards(
        folder, name="data/{split}-{part:05}-of-{total:05}-a09b74b3ef9c3b56.parquet"
    ),
    "converted": lambda folder: in_shards(folder, name="plain_text/{split}/{part:04}.parquet"),
    "counted_from_1": lambda folder: in_shards(folder, name="{split}/{number}-of-{total}.parquet"),
    "one_file": lambda folder: in_shards(folder, name="{split}_{part}.parquet"),
    "prefix": lambda folder: in_shards(folder, name="cifar10-{split}-{part:05}-of-{total:05}.parquet"),
    "binary": lambda folder: in_shards(folder, tables=_other_images(pa.binary())),
    "large_binary": lambda folder: in_shards(folder, tables=_other_images(pa.large_binary())),
    "beside_cifar100": _beside_cifar100,
    "linked": _linked,
    "hub_cache": _hub_cache,
    "hidden_files": _with_hidden_files,
    "pickles": in_pickles,
    "pickles_below": lambda folder: in_pickles(folder / "cifar10").parent,
}
"""CIFAR-10 as it can be read, the same images in each."""


def _lacking(gone: str, **more: Any) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        in_shards(folder, **more)
        (folder / gone).unlink()
        return folder

    return make


def _twice(name: str, of: str = "train-00000-of-00002.parquet") -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        in_shards(folder)
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes((folder / of).read_bytes())
        return folder

    return make


def _column(name: str, values: Any, part: pa.Table = TRAIN) -> pa.Table:
    return part.set_column(
        part.schema.names.index(name), name, pa.array(values) if isinstance(values, list) else values
    )


def _two_copies(folder: Path) -> Path:
    in_shards(folder, name="{split}_{part}.parquet")
    (folder / "train_0 (1).parquet").write_bytes((folder / "train_0.parquet").read_bytes())
    return folder


def _broken_link(folder: Path) -> Path:
    in_shards(folder)
    (folder / "train-00001-of-00002.parquet").unlink()
    (folder / "train-00001-of-00002.parquet").symlink_to("/gone/away")
    return folder


_LISTS = [pixels(i).tolist() for i in range(4)]
REFUSED: dict[str, tuple[Callable[[Path], Path], str]] = {
    "shard_missing": (
        _lacking("train-00001-of-00002.parquet"),
        r"train-00001-of-00002\.parquet is missing: of the 2 files of train images there are 1$",
    ),
    "first_shard_missing": (_lacking("train-00000-of-00002.parquet"), r"train-00000-of-00002\.parquet is missing"),
    "converted_shard_missing": (
        _lacking("train/0000.parquet", name="{split}/{part:04}.parquet"),
        r"train/0000\.parquet is missing: .*train/0001\.parquet is a later part",
    ),
    "same_shard_twice": (
        _twice("train-00000-of-00002 (1).parquet"),
        r"is the same part of the train images as .*\.parquet",
    ),
    "two_folders": (_twice("old/test-00000-of-00001.parquet"), r"test-00000-of-00001.* is the same part"),
    "two_sets": (_twice("train.parquet"), r"train-00000-of-00002\.parquet .*two sets of train images"),
    "copy": (_two_copies, r"is a copy of .*train_0"),
    "beyond": (_twice("train-00007-of-00002.parquet"), r"train-00007-of-00002\.parquet says that it is part 7 of 2"),
    "broken_link": (_broken_link, r"train-00001-of-00002\.parquet .*No such file"),
    "no_test": (_lacking("test-00000-of-00001.parquet"), r"no test\*\.parquet in "),
    "labels_hidden": (
        lambda folder: one_file_each(folder, test=_column("label", [-1] * N_TEST, TEST)),
        r"test-00000.*column label holds -1 in row 0; 20 of 20 labels are none of 0 to 9$",
    ),
    "label_too_large": (
        lambda folder: one_file_each(folder, train=_column("label", [*labels(0, N_TRAIN - 1), 10])),
        r"train-00000.*column label holds 10 in row 59",
    ),
    "labels_null": (
        lambda folder: one_file_each(folder, train=_column("label", [None, *labels(1, N_TRAIN - 1)])),
        r"train-00000.*column label has no label in 1 of 60 rows, first in row 0$",
    ),
    "labels_of_text": (
        lambda folder: one_file_each(folder, train=_column("label", ["cat"] * N_TRAIN)),
        r"train-00000.*column label holds string, not numbers of classes",
    ),
    "labels_of_fractions": (
        lambda folder: one_file_each(folder, train=_column("label", [0.5] * N_TRAIN)),
        r"train-00000.*column label holds double, not numbers of classes",
    ),
    "list_images": (
        lambda folder: one_file_each(folder, train=pa.table({"img": _LISTS, "label": labels(0, 4)})),
        r"train-00000.*column img holds list<.*; expected encoded images",
    ),
    "images_of_text": (
        lambda folder: one_file_each(folder, test=_column("img", ["0.png"] * N_TEST, TEST)),
        r"test-00000.*column img holds string; expected encoded images",
    ),
    "struct_without_bytes": (
        lambda folder: one_file_each(folder, test=_column("img", [{"path": "0.png"}] * N_TEST, TEST)),
        r"test-00000.*column img holds struct<path: string>; expected encoded images",
    ),
    "other_columns": (
        lambda folder: one_file_each(folder, test=TEST.rename_columns(["picture", "label"])),
        r"test-00000.*has the columns picture, label; expected img and label",
    ),
    "cifar100_alone": (
        lambda folder: in_shards(folder, tables=(FINE_TRAIN, FINE_TEST)),
        r"train-00000.*has the columns img, fine_label; expected img and label",
    ),
    "empty_test": (
        lambda folder: one_file_each(folder, test=TEST.slice(0, 0)),
        r"test-00000.*\.parquet holds no images$",
    ),
    "empty_train": (
        lambda folder: one_file_each(folder, train=TRAIN.slice(0, 0)),
        r"train-00000.*\.parquet holds no images$",
    ),
}
"""CIFAR-10 that is refused before anything starts, and what the line says."""


def image_folders(folder: Path, splits: tuple[str, ...] = ("train/", "val/")) -> Path:
    """20 training and 8 validation images of each of two classes; with the one split "", folders of classes alone."""
    for split, first, n in zip(splits, (0, 40), (20, 8), strict=False):
        for k, name in enumerate(("cat", "dog")):
            home = folder / f"{split}{name}"
            home.mkdir(parents=True, exist_ok=True)
            for i in range(n):
                (home / f"{i}.jpg").write_bytes(encoded(first + 2 * i + k, 48, "JPEG"))
    return folder


def _notebook(folder: Path) -> Path:
    checkpoints = image_folders(folder) / "train" / ".ipynb_checkpoints"
    checkpoints.mkdir()
    (checkpoints / "0-checkpoint.jpg").write_bytes(encoded(0, 48, "JPEG"))
    return folder


def _apple_double(folder: Path) -> Path:
    for home in image_folders(folder).glob("*/*"):
        (home / "._0.jpg").write_bytes(b"\0\5\x16\7" + bytes(200))
    return folder


def _mac_archive(folder: Path) -> Path:
    for split in ("train", "val"):
        for name in (".DS_Store", f"__MACOSX/{split}/cat/._0.jpg"):
            file = image_folders(folder) / split / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(b"\0\5\x16\7")
    return folder


def _latin1_class(folder: Path) -> Path:
    root = os.fsencode(image_folders(folder))
    for split in (b"train", b"val"):
        os.rename(root + b"/" + split + b"/cat", root + b"/" + split + b"/caf\xe9")
    return folder


def _latin1_file(folder: Path) -> Path:
    root = os.fsencode(image_folders(folder))
    os.rename(root + b"/train/cat/0.jpg", root + b"/train/cat/caf\xe9.jpg")
    return folder


FOLDERS: dict[str, tuple[Callable[[Path], Path], int]] = {
    "notebook": (_notebook, 1),
    "apple_double": (_apple_double, 4),
    "mac_archive": (_mac_archive, 4),
    "latin1_class": (_latin1_class, 0),
    "latin1_file": (_latin1_file, 0),
    "plain": (image_folders, 0),
}
"""Image folders of the same 40 training and 16 validation images, and how many entries are left out."""
