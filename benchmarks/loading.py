"""Loading JPEGs: raysweep's data path against torchvision's ImageFolder, DataLoader and standard transforms.

    python -m benchmarks.loading --data FOLDER|FILE.parquet [--repeats 5] [--json FILE] [--picture FILE]

Both sides read the same files and end with normalised float32 batches in the main process. They take turns, `repeats`
times, first on one core with one loader, then on all cores with a loader each; the ratio is that of neighbours in time.
Then follow peak memory, each side in a process of its own, and the decoders one by one (`benchmarks.decoders`).
"""

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import torch
import torchvision
from torch.utils.data import DataLoader
from torchvision import transforms

from benchmarks.decoders import SIZE, compare_decoders, evaluation_error, side_by_side
from benchmarks.measuring import peak_megabytes_with_children, spread
from trainables.data.batches import Batches
from trainables.data.catalog import locate
from trainables.data.info import DataInfo
from trainables.data.loading import load
from trainables.distributed import Workers

BATCH = 64
ALONE = Workers(rank=0, world_size=1, device=torch.device("cpu"))
Pass = Callable[[], int]
"""Reads all images once and returns how many there were."""


def main() -> None:
    """Measure, print, and write what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with train/ and val/, or a parquet file")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--picture", type=Path, help="write crops by Pillow, crops by raysweep and their difference")
    parser.add_argument("--memory-of", choices=["raysweep", "torchvision"], help=argparse.SUPPRESS)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        os.environ.setdefault("RAYSWEEP_CACHE", f"{temporary}/cache")  # these files are gone afterwards
        folder = extracted(args.data, Path(temporary, "data")) if args.data.is_file() else args.data
        if args.memory_of:
            print(_peak_memory(args.memory_of, folder))
            return
        cores = sorted(os.sched_getaffinity(0))
        results: dict[str, Any] = {
            "cores": len(cores),
            "torch": torch.__version__,
            "torchvision": torchvision.__version__,
        }
        results["speed"] = [
            _compare(folder, split, cores[:loaders], args.repeats)
            for split in ("training", "evaluation")
            for loaders in sorted({1, len(cores)})
        ]
        results["peak_megabytes"] = {side: _memory_in_new_process(side, folder) for side in SIDES}
        print(f"\npeak memory, 1 loader process or thread: {results['peak_megabytes']} MB")
        files = [path.read_bytes() for path in sorted(folder.glob("train/*/*"))]
        results["decoders"] = compare_decoders(files, args.repeats)
        results["evaluation_error"] = evaluation_error(files)
        if args.picture:
            side_by_side(files).save(args.picture)
    if args.json:
        args.json.write_text(json.dumps(results, indent=1) + "\n")


@contextlib.contextmanager
def _on_cores(cores: list[int]) -> Iterator[None]:
    """Restrict this process, its threads and the processes that it starts to some cores."""
    before, threads = os.sched_getaffinity(0), torch.get_num_threads()
    os.sched_setaffinity(0, cores)
    torch.set_num_threads(len(cores))
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
        torch.set_num_threads(threads)


def extracted(parquet: Path, folder: Path) -> Path:
    """Write the JPEGs of a Hugging Face file into class folders, once below train/ and once below val/."""
    for number, row in enumerate(pq.read_table(parquet).to_pylist()):
        for split in ("train", "val"):
            home = folder / split / f"{row['label']:04d}"
            home.mkdir(parents=True, exist_ok=True)
            (home / f"{number}.JPEG").write_bytes(row["image"]["bytes"])
    return folder


def _by_raysweep(info: DataInfo, split: str, loaders: int) -> Pass:
    """raysweep's data path, with so many threads."""
    train, val = load(info, train_size=1.0, val_split=0.0, seed=0)
    training, images = split == "training", train if split == "training" else val
    batches = Batches(
        info, images, global_batch_size=BATCH, workers=ALONE, augment=training, seed=0, num_loaders=loaders
    )
    epochs = iter(range(1_000_000))
    return lambda: sum(len(x) for x, *_ in (batches.training("", next(epochs)) if training else batches.validation()))


def _by_torchvision(info: DataInfo, split: str, loaders: int) -> Pass:
    """torchvision's data path, with so many processes."""
    last = [transforms.ToTensor(), transforms.Normalize(info.mean, info.std)]
    if split == "training":
        first = [transforms.RandomResizedCrop(SIZE), transforms.RandomHorizontalFlip()]
    else:
        first = [transforms.Resize(256), transforms.CenterCrop(SIZE)]
    folder = info.train[0] if split == "training" else info.test[0]
    dataset = torchvision.datasets.ImageFolder(folder, transforms.Compose(first + last))
    loader = DataLoader(dataset, BATCH, shuffle=split == "training", num_workers=loaders, persistent_workers=True)
    return lambda: sum(len(x) for x, _ in loader)


SIDES = {"raysweep": _by_raysweep, "torchvision": _by_torchvision}


def _compare(folder: Path, split: str, cores: list[int], repeats: int) -> dict[str, Any]:
    """Time both sides in turns on some cores, with a loader for each, and print the figures."""
    info, loaders = locate("imagenet", str(folder)), len(cores)
    rates: dict[str, list[float]] = {name: [] for name in SIDES}
    with _on_cores(cores):
        sides = {name: side(info, split, loaders) for name, side in SIDES.items()}
        for run_through in sides.values():  # the first time fills the file cache and starts processes
            run_through()
        for _ in range(repeats):
            for side, run_through in sides.items():
                started = time.perf_counter()
                n = run_through()
                rates[side].append(n / (time.perf_counter() - started))
    ratios = [ours / theirs for ours, theirs in zip(*rates.values(), strict=True)]
    print(f"\n{split}, {loaders} core(s), {n} images, {repeats} repeats: median (min .. max)")
    for side, values in rates.items():
        per_core = statistics.median(values) / loaders
        print(f"  {side:12} {spread(values, '.0f')} images/s, {per_core:.0f} for each core")
    print(f"  {'ratio':12} {spread(ratios, '.2f')}", flush=True)
    return {"split": split, "cores": loaders, "images": n, **rates, "ratio": ratios}


def _memory_in_new_process(side: str, folder: Path) -> int:
    """MB at the peak of one side."""
    command = [sys.executable, "-m", "benchmarks.loading", "--data", str(folder), "--memory-of", side]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def _peak_memory(side: str, folder: Path) -> int:
    """MB at the peak of an epoch of training and one of evaluation in this process, with one loader."""
    info = locate("imagenet", str(folder))

    def both() -> None:
        for split in ("training", "evaluation"):
            SIDES[side](info, split, 1)()

    return peak_megabytes_with_children(both)


if __name__ == "__main__":
    main()
