"""Data sets that are changed at random can be read to their end, or are refused in one line that names what is wrong.

As a script, `python -m tests.trainables.test_mutated_data 1000 2000` tries these seeds and prints how each ended.
"""

import os
import random
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from tests.trainables import odd_data
from trainables.data.batches import Batches
from trainables.data.catalog import DataError, locate
from trainables.data.info import shown
from trainables.data.loading import load
from trainables.distributed import Workers
from trainables.scattering import ScatteringConfig
from trainables.scattering.preflight import check

ALONE = Workers(rank=0, world_size=1, device=torch.device("cpu"))
SECONDS = 60
"""After so many seconds, finding and reading a data set of some dozens of images hangs."""

CIFAR = {**odd_data.SOUND, **{name: make for name, (make, _) in odd_data.REFUSED.items()}}
FOLDERS = {
    **{name: make for name, (make, _) in odd_data.FOLDERS.items()},
    "classes": lambda folder: odd_data.image_folders(folder, ("",)),
}

ODD_NAMES = (
    b"caf\xe9.jpg",
    b"two\nlines.png",
    b"._0.jpg",
    b"train-00001-of-00003.parquet",
    b"train.parquet",
    b" ",
    b"0.PNG",
)


def cut(file: Path, draw: random.Random) -> None:
    file.write_bytes(file.read_bytes()[: draw.randrange(file.stat().st_size + 1)])


def change_bytes(file: Path, draw: random.Random) -> None:
    content = bytearray(file.read_bytes())
    for _ in range(draw.randint(1, 20) if content else 0):
        content[draw.randrange(len(content))] = draw.randrange(256)
    file.write_bytes(content)


def change_the_end(file: Path, draw: random.Random) -> None:
    """The last bytes of a parquet file say what it holds."""
    content = bytearray(file.read_bytes())
    for _ in range(draw.randint(1, 5) if content else 0):
        content[-draw.randint(1, min(len(content), 600))] = draw.randrange(256)
    file.write_bytes(content)


def make_noise(file: Path, draw: random.Random) -> None:
    file.write_bytes(draw.randbytes(draw.choice((0, 1, 8, 500))))


def remove(file: Path, draw: random.Random) -> None:
    file.unlink()


def copy_beside(file: Path, draw: random.Random) -> None:
    (Path(os.fsdecode(os.fsencode(file.parent) + b"/" + draw.choice(ODD_NAMES)))).write_bytes(file.read_bytes())


def rename(file: Path, draw: random.Random) -> None:
    os.rename(file, os.fsencode(file.parent) + b"/" + draw.choice(ODD_NAMES))


def make_link(file: Path, draw: random.Random) -> None:
    file.unlink()
    file.symlink_to(draw.choice(("/gone/away", file.name, "..", "/dev/null", file.parent)))


def make_folder(file: Path, draw: random.Random) -> None:
    file.unlink()
    file.mkdir()


def make_pipe(file: Path, draw: random.Random) -> None:
    file.unlink()
    os.mkfifo(file)


def add_folder(file: Path, draw: random.Random) -> None:
    (file.parent.parent / draw.choice((".git", "fox", "__MACOSX", "lost+found", "train", "test"))).mkdir(exist_ok=True)


def remove_folder(file: Path, draw: random.Random) -> None:
    shutil.rmtree(file.parent)


def link_around(file: Path, draw: random.Random) -> None:
    link = file.parent / draw.choice(("round", "train", "cifar-10-batches-py"))
    if not link.exists():
        link.symlink_to(file.parent.parent)


def change_column(file: Path, draw: random.Random) -> None:
    """Change the type, the name or the values of a column of a parquet file."""
    try:
        table = pq.read_table(file)
    except Exception:
        table = pa.table({"img": []})
    if not len(table):
        change_bytes(file, draw)
        return
    name = draw.choice(table.column_names)
    values = table[name].to_pylist()
    row = draw.randrange(len(values))
    small = odd_data.encoded(row, draw.choice((1, 31, 32, 64)), draw.choice(("PNG", "JPEG", "GIF", "BMP")))
    change = draw.choice(
        (
            lambda: [str(value) for value in values],
            lambda: [None if i == row else value for i, value in enumerate(values)],
            lambda: [None] * len(values),
            lambda: [draw.choice((-1, 5, 10, 2**40)) if i == row else 3 for i in range(len(values))],
            lambda: pa.array(np.random.RandomState(row).rand(len(values))),
            lambda: pa.array([i % 10 for i in range(len(values))], pa.uint8()),
            lambda: pa.array([str(i % 10) for i in range(len(values))]).dictionary_encode(),
            lambda: pa.array([small] * len(values)),
            lambda: pa.array([{"bytes": small if i == row else b"\xff\xd8", "path": None} for i in range(len(values))]),
            lambda: [[i] for i in range(len(values))],
        )
    )()
    changed = table.set_column(table.column_names.index(name), draw.choice((name, name, "image", "label")), [change])
    pq.write_table(changed.slice(0, draw.choice((len(changed), row))), file)


ANY = (cut, change_bytes, make_noise, remove, copy_beside, rename, make_link, make_folder, make_pipe)
MUTATIONS: tuple[Callable[[Path, random.Random], None], ...] = (
    *(*ANY, add_folder, remove_folder, link_around, change_the_end),
    *[change_column] * 4,
)


def mutated(folder: Path, seed: int) -> tuple[str, str]:
    """Fill the folder with a data set that is changed at random. Returns the dataset, and what was done."""
    draw = random.Random(seed)
    dataset, makers = draw.choice((("cifar10", CIFAR), ("imagefolder", FOLDERS)))
    name = draw.choice(sorted(makers))
    root, done = makers[name](folder), [name]
    for _ in range(draw.randint(1, 3)):
        files = sorted(path for path in root.rglob("*") if path.is_file() and not path.is_symlink())
        if files:
            mutation, file = draw.choice(MUTATIONS), draw.choice(files)
            if mutation is change_column and file.suffix != ".parquet":
                mutation = change_bytes
            done.append(f"{mutation.__name__} {file.relative_to(root)}")
            mutation(file, draw)
    return dataset, "; ".join(done)


def read_all(dataset: str, folder: Path) -> str:
    """Find the data and pass each image, as a run does. Returns how it ended."""
    config = ScatteringConfig(dataset=dataset, data_dir=str(folder), image_size=32, global_batch_size=16)
    try:
        check(config, 1)
        info = locate(dataset, str(folder), 32)
        train, test = load(info, train_size=1.0, val_split=0.0, seed=0)
        options = {"global_batch_size": 16, "workers": ALONE, "seed": 0, "num_loaders": 2}
        seen = sum(len(x) for x, *_ in Batches(info, train, augment=True, **options).training("head", 1))
        seen += sum(len(x) for x, _ in Batches(info, test, augment=False, **options).validation())
    except DataError as error:
        said = str(error)
        assert said.isprintable()
        assert shown(str(folder)) in said or "too few" in said, said
        return said
    return f"read {seen} images"


@pytest.fixture
def no_hang():
    def expired(*args):
        raise TimeoutError(f"not read within {SECONDS} s")

    before = signal.signal(signal.SIGALRM, expired)
    signal.alarm(SECONDS)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def no_download(dataset: str, root: Path) -> None:
    raise DataError(f"no {dataset} in {root}")


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    monkeypatch.setattr("trainables.data.cifar._download", no_download)


@pytest.mark.filterwarnings("ignore::Warning:PIL")
@pytest.mark.parametrize("seed", range(50))
def test_a_mutated_data_set_is_read_or_refused_in_a_line(tmp_path, seed, no_hang):
    dataset, _ = mutated(tmp_path / "data", seed)
    read_all(dataset, tmp_path / "data")


def main(first: int, last: int) -> None:
    """Print how each seed ends."""
    for seed in range(first, last):
        with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
            patch.setenv("RAYSWEEP_CACHE", f"{folder}/cache")
            patch.setattr("trainables.data.cifar._download", no_download)
            dataset, done = mutated(Path(folder, "data"), seed)
            print(f"{seed} {shown(done)}", flush=True)
            print(f"    {read_all(dataset, Path(folder, 'data'))}", flush=True)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
