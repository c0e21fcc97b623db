"""Loading JPEGs: raysweep's data path against torchvision's ImageFolder, DataLoader and standard transforms.

    python -m benchmarks.loading [--data FOLDER|FILE.parquet] [--repeats 5] [--json FILE] [--picture FILE]

Both sides read the same files and end with normalised float32 batches in the main process. They take turns, `repeats`
times, first on one core with one loader, then on all cores with a loader each; the ratio is that of neighbours in time.
Then peak memory, each side in a process of its own, and the decoders one by one, against Pillow.
"""

import argparse
import contextlib
import io
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import simplejpeg
import torch
import torchvision
from PIL import Image
from torch.utils.data import DataLoader
from torchvision import transforms

from benchmarks.measuring import peak_megabytes_with_children, spread
from trainables.data.batches import Batches
from trainables.data.catalog import DataInfo, locate
from trainables.data.decoding import crop_box, decode, evaluation_crop, training_crop
from trainables.data.loading import load
from trainables.distributed import Workers

SIZE, BATCH = 224, 64
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
        os.environ.setdefault("RAYSWEEP_CACHE", f"{temporary}/cache")  # nothing stays of files that are gone afterwards
        folder = _extracted(args.data, Path(temporary, "data")) if args.data.is_file() else args.data
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
        results["peak_megabytes"] = {side: _memory_in_new_process(side, folder) for side in ("raysweep", "torchvision")}
        print(f"\npeak memory, 1 loader process or thread: {results['peak_megabytes']} MB")
        files = [path.read_bytes() for path in sorted(folder.glob("train/*/*"))]
        results["decoders"] = _compare_decoders(files, args.repeats)
        results["evaluation_error"] = _evaluation_error(files)
        if args.picture:
            _side_by_side(files).save(args.picture)
    if args.json:
        args.json.write_text(json.dumps(results, indent=1) + "\n")


@contextlib.contextmanager
def _on_cores(cores: list[int]) -> Iterator[None]:
    """Keep this process, its threads and the processes it starts to some cores."""
    before, threads = os.sched_getaffinity(0), torch.get_num_threads()
    os.sched_setaffinity(0, cores)
    torch.set_num_threads(len(cores))
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
        torch.set_num_threads(threads)


def _extracted(parquet: Path, folder: Path) -> Path:
    """The JPEGs of a Hugging Face file as a tree of class folders, once as train/ and once as val/."""
    for number, row in enumerate(pq.read_table(parquet).to_pylist()):
        for split in ("train", "val"):
            home = folder / split / f"{row['label']:04d}"
            home.mkdir(parents=True, exist_ok=True)
            (home / f"{number}.JPEG").write_bytes(row["image"]["bytes"])
    return folder


# The two sides


def _ours(info: DataInfo, split: str, loaders: int) -> Pass:
    train, val = load(info, train_size=1.0, val_split=0.0, seed=0)
    training, images = split == "training", train if split == "training" else val
    batches = Batches(
        info, images, global_batch_size=BATCH, workers=ALONE, augment=training, seed=0, num_loaders=loaders
    )
    epochs = iter(range(1_000_000))
    return lambda: sum(len(x) for x, *_ in (batches.training("", next(epochs)) if training else batches.validation()))


def _theirs(info: DataInfo, split: str, loaders: int) -> Pass:
    last = [transforms.ToTensor(), transforms.Normalize(info.mean, info.std)]
    if split == "training":
        first = [transforms.RandomResizedCrop(SIZE), transforms.RandomHorizontalFlip()]
    else:
        first = [transforms.Resize(256), transforms.CenterCrop(SIZE)]
    folder = info.train[0] if split == "training" else info.test[0]
    dataset = torchvision.datasets.ImageFolder(folder, transforms.Compose(first + last))
    loader = DataLoader(dataset, BATCH, shuffle=split == "training", num_workers=loaders, persistent_workers=True)
    return lambda: sum(len(x) for x, _ in loader)


def _compare(folder: Path, split: str, cores: list[int], repeats: int) -> dict[str, Any]:
    info, loaders = locate("imagenet", str(folder)), len(cores)
    rates: dict[str, list[float]] = {"raysweep": [], "torchvision": []}
    with _on_cores(cores):
        sides = {"raysweep": _ours(info, split, loaders), "torchvision": _theirs(info, split, loaders)}
        for run_through in sides.values():  # file cache, worker processes
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
    command = [sys.executable, "-m", "benchmarks.loading", "--data", str(folder), "--memory-of", side]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def _peak_memory(side: str, folder: Path) -> int:
    """MB at the peak of one epoch of training and of evaluation each, with one loader."""
    info = locate("imagenet", str(folder))

    def both() -> None:
        for split in ("training", "evaluation"):
            (_ours if side == "raysweep" else _theirs)(info, split, 1)()

    return peak_megabytes_with_children(both)


# The decoders


def _by_pillow(data: bytes, draw: random.Random) -> np.ndarray:
    image = decode(data, name="")
    top, left, h, w = crop_box(*image.size, draw)
    return np.asarray(image.crop((left, top, left + w, top + h)).resize((SIZE, SIZE), Image.Resampling.BILINEAR))


def _by_pillow_draft(data: bytes, draw: random.Random) -> np.ndarray:
    image = Image.open(io.BytesIO(data))
    width, height = image.size
    top, left, h, w = crop_box(width, height, draw)
    image.draft("RGB", (width * SIZE // w, height * SIZE // h))
    x, y = image.width / width, image.height / height
    box = (left * x, top * y, (left + w) * x, (top + h) * y)
    return np.asarray(image.convert("RGB").resize((SIZE, SIZE), Image.Resampling.BILINEAR, box, reducing_gap=2.0))


def _by_torchvision(data: bytes, draw: random.Random) -> np.ndarray:
    with warnings.catch_warnings():  # of its successor, TorchCodec
        warnings.simplefilter("ignore")
        image = torchvision.io.decode_jpeg(
            torch.frombuffer(bytearray(data), dtype=torch.uint8), mode=torchvision.io.ImageReadMode.RGB
        )
    top, left, h, w = crop_box(image.shape[2], image.shape[1], draw)
    return (
        transforms.functional.resized_crop(image, top, left, h, w, [SIZE, SIZE], antialias=True)
        .permute(1, 2, 0)
        .numpy()
    )


def _by_torchcodec(data: bytes, draw: random.Random) -> np.ndarray:
    from torchcodec.decoders import decode_jpeg

    image = decode_jpeg(data)
    top, left, h, w = crop_box(image.shape[2], image.shape[1], draw)
    return (
        transforms.functional.resized_crop(image, top, left, h, w, [SIZE, SIZE], antialias=True)
        .permute(1, 2, 0)
        .numpy()
    )


def _by_simplejpeg(data: bytes, draw: random.Random, *, scaled: bool = False) -> np.ndarray:
    """With Pillow's resize; scaled: at the smallest 1/2^n in which the crop still has the output's size."""
    height, width, *_ = simplejpeg.decode_jpeg_header(data)
    top, left, h, w = crop_box(width, height, draw)
    factor = max(f for f in (1, 2, 4, 8) if f == 1 or (scaled and min(h, w) >= f * SIZE))
    least = {"min_height": -(-height // factor), "min_width": -(-width // factor)} if factor > 1 else {}
    image = Image.fromarray(simplejpeg.decode_jpeg(data, "RGB", min_factor=factor, **least))
    x, y = image.width / width, image.height / height
    box = (left * x, top * y, (left + w) * x, (top + h) * y)
    return np.asarray(image.resize((SIZE, SIZE), Image.Resampling.BILINEAR, box))


def _by_simplejpeg_scaled(data: bytes, draw: random.Random) -> np.ndarray:
    return _by_simplejpeg(data, draw, scaled=True)


def _by_raysweep(data: bytes, draw: random.Random) -> np.ndarray:
    return training_crop(data, SIZE, draw, name="")


DECODERS = {
    "Pillow": _by_pillow,
    "Pillow, draft": _by_pillow_draft,
    "torchvision": _by_torchvision,
    "TorchCodec": _by_torchcodec,
    "simplejpeg, Pillow's resize": _by_simplejpeg,
    "simplejpeg scaled, Pillow's resize": _by_simplejpeg_scaled,
    "raysweep": _by_raysweep,
}


def _compare_decoders(files: list[bytes], repeats: int) -> dict[str, dict[str, Any]]:
    """Training crops from bytes in memory to uint8, one thread; errors in levels of 255, mean over each image."""
    decoders = {name: crop for name, crop in DECODERS.items() if name != "TorchCodec" or _has_torchcodec()}
    torch.set_num_threads(1)
    found: dict[str, dict[str, Any]] = {name: {"images_per_second": [], "errors": []} for name in decoders}
    for repeat in range(repeats):
        for name, crop in decoders.items():
            started = time.perf_counter()
            for number, data in enumerate(files):
                crop(data, random.Random(number + repeat * len(files)))
            found[name]["images_per_second"].append(len(files) / (time.perf_counter() - started))
    for number, data in enumerate(files):
        reference = _by_pillow(data, random.Random(number)).astype(int)
        for name, crop in decoders.items():
            found[name]["errors"].append(float(np.abs(crop(data, random.Random(number)) - reference).mean()))
    print(
        f"\ntraining crops, 1 thread, {len(files)} files, {repeats} repeats: images/s; mean error, worst image (of 255)"
    )
    for name, entry in found.items():
        errors = entry.pop("errors")
        entry |= {"mean_error": statistics.mean(errors), "worst_image": max(errors)}
        rates = spread(entry["images_per_second"], ".0f")
        print(f"  {name:36}{rates:22}{entry['mean_error']:8.3f}{entry['worst_image']:8.3f}", flush=True)
    return found


def _has_torchcodec() -> bool:
    try:
        import torchcodec  # noqa: F401
    except (ImportError, OSError, RuntimeError):
        return False
    return True


def _evaluation_error(files: list[bytes]) -> dict[str, float]:
    standard = transforms.Compose([transforms.Resize(256), transforms.CenterCrop(SIZE)])
    errors = [
        float(
            np.abs(
                evaluation_crop(data, SIZE, name="") - np.asarray(standard(decode(data, name=""))).astype(int)
            ).mean()
        )
        for data in files
    ]
    print(f"\nevaluation images: mean error {statistics.mean(errors):.3f}, worst image {max(errors):.3f} (of 255)")
    return {"mean_error": statistics.mean(errors), "worst_image": max(errors)}


def _side_by_side(files: list[bytes]) -> Image.Image:
    """Six files: rows of Pillow's crop, raysweep's and eight times their difference."""
    rows = []
    for number, data in enumerate(files[:: len(files) // 6][:6]):
        theirs, ours = (crop(data, random.Random(number)) for crop in (_by_pillow, _by_raysweep))
        difference = np.clip(8 * np.abs(theirs.astype(int) - ours), 0, 255).astype(np.uint8)
        rows.append(np.vstack([theirs, ours, difference]))
    return Image.fromarray(np.hstack(rows))


if __name__ == "__main__":
    main()
