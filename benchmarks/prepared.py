"""What a copy made by `python -m trainables.data.prepare` saves, and how its images differ, for several short sides.

    python -m benchmarks.prepared --data FOLDER|FILE.parquet [--short-sides 400 320 256] [--repeats 5]

For each short side: the size of the files, the time of an image from its file to a crop of 224 pixels on one thread
(originals and copy in turns), and in how many levels of 255 the evaluation crops differ.
"""

import argparse
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from unittest import mock

import numpy as np
import torch

from benchmarks.loading import extracted
from benchmarks.measuring import cpu, spread
from trainables.data import prepare
from trainables.data.catalog import locate
from trainables.data.decoding import evaluation_crop, read_file, training_crop
from trainables.data.info import image_files

SIZE = 224
CROPS: dict[str, Callable[[str], np.ndarray]] = {
    "training": lambda path: training_crop(read_file(path), SIZE, random.Random(0), name=path),
    "evaluation": lambda path: evaluation_crop(read_file(path), SIZE, name=path),
}


def main() -> None:
    """Prepare a copy for each short side, and print what was measured."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of images, or a parquet file")
    parser.add_argument("--short-sides", type=int, nargs="+", default=[400, 320, 256])
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as temporary:
        os.environ.setdefault("RAYSWEEP_CACHE", f"{temporary}/cache")  # these files are gone afterwards
        source = extracted(args.data, Path(temporary, "data")) if args.data.is_file() else args.data
        originals = _images(source)
        print(f"{cpu()}; {len(originals)} images; median (min .. max) of {args.repeats} turns")
        for short_side in args.short_sides:
            copy = Path(temporary, str(short_side))
            _prepare(source, copy, short_side)
            _compare(originals, _images(copy), args.repeats)


def _prepare(source: Path, copy: Path, short_side: int) -> None:
    print(f"\nshort side {short_side}:")
    with mock.patch.object(sys, "argv", ["prepare", str(source), str(copy), "--short-side", str(short_side)]):
        prepare.main()


def _images(folder: Path) -> list[str]:
    """The images of a data folder, those of training alone where it has a split."""
    info = locate("imagefolder", str(folder))
    return image_files(info.train[0], info.classes).paths


def _compare(originals: Sequence[str], copies: Sequence[str], repeats: int) -> None:
    resized = [i for i, path in enumerate(originals) if Path(path).read_bytes() != Path(copies[i]).read_bytes()]
    sizes = [sum(os.path.getsize(path) for path in paths) for paths in (originals, copies)]
    print(f"  resized: {len(resized)} images; files: {sizes[1] / sizes[0]:.1%} of {sizes[0] / 1e6:.2f} MB")
    for name, crop in CROPS.items():
        times: list[list[float]] = [[], []]
        for _ in range(repeats):
            for paths, found in zip((originals, copies), times, strict=True):
                started = time.thread_time()
                for path in paths:
                    crop(path)
                found.append(1e3 * (time.thread_time() - started) / len(paths))
        print(f"  {name} crop: {spread(times[0])} ms before, {spread(times[1])} ms after")
    differences = [_difference(originals[i], copies[i]) for i in resized]
    if differences:
        means, most = zip(*differences, strict=True)
        print(
            f"  evaluation crops of the resized images differ by {statistics.mean(means):.2f} levels on average "
            f"(image by image: median {statistics.median(means):.2f}, most {max(means):.2f}), at most by {max(most)}"
        )


def _difference(original: str, copy: str) -> tuple[float, int]:
    """The mean and the largest difference of two images' evaluation crops."""
    first, second = (CROPS["evaluation"](path).astype(int) for path in (original, copy))
    apart = np.abs(first - second)
    return float(apart.mean()), int(apart.max())


if __name__ == "__main__":
    main()
