"""Decoders of JPEGs side by side: how fast they cut out training images, and how far these are from Pillow's."""

import io
import random
import statistics
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import simplejpeg
import torch
import torchvision
from PIL import Image
from torchvision import transforms

from benchmarks.measuring import spread
from trainables.data.decoding import crop_box, decode, evaluation_crop, training_crop

SIZE = 224
"""Side of the images in pixels."""
Crop = Callable[[bytes, random.Random], np.ndarray]
"""Decodes a JPEG and resizes the part of it that `crop_box` draws to uint8 [SIZE, SIZE, 3]."""


def compare_decoders(files: list[bytes], repeats: int) -> dict[str, dict[str, Any]]:
    """Measure each decoder on JPEGs in memory, on one thread, and print the figures.

    The error of an image is the mean difference of its pixels from Pillow's, in levels of 255.
    """
    decoders = {name: crop for name, crop in DECODERS.items() if name != "TorchCodec" or _has_torchcodec()}
    torch.set_num_threads(1)
    rates: dict[str, list[float]] = {name: [] for name in decoders}
    for repeat in range(repeats):
        for name, crop in decoders.items():
            started = time.perf_counter()
            for number, data in enumerate(files):
                crop(data, random.Random(number + repeat * len(files)))
            rates[name].append(len(files) / (time.perf_counter() - started))
    print(
        f"\ntraining crops, 1 thread, {len(files)} files, {repeats} repeats: images/s; mean error, worst image (of 255)"
    )
    found = {}
    for name, crop in decoders.items():
        errors = _errors(crop, files)
        found[name] = {
            "images_per_second": rates[name],
            "mean_error": statistics.mean(errors),
            "worst_image": max(errors),
        }
        rate = spread(rates[name], ".0f")
        print(f"  {name:36}{rate:22}{statistics.mean(errors):8.3f}{max(errors):8.3f}", flush=True)
    return found


def evaluation_error(files: list[bytes]) -> dict[str, float]:
    """Measure how far raysweep's evaluation images are from torchvision's, in levels of 255, and print it."""
    standard = transforms.Compose([transforms.Resize(256), transforms.CenterCrop(SIZE)])
    errors = []
    for data in files:
        theirs = np.asarray(standard(decode(data, name=""))).astype(int)
        errors.append(float(np.abs(evaluation_crop(data, SIZE, name="") - theirs).mean()))
    print(f"\nevaluation images: mean error {statistics.mean(errors):.3f}, worst image {max(errors):.3f} (of 255)")
    return {"mean_error": statistics.mean(errors), "worst_image": max(errors)}


def side_by_side(files: list[bytes]) -> Image.Image:
    """A picture of six files, with rows of Pillow's crops, raysweep's, and eight times their difference."""
    columns = []
    for number, data in enumerate(files[:: len(files) // 6][:6]):
        theirs, ours = (crop(data, random.Random(number)) for crop in (_by_pillow, _by_raysweep))
        difference = np.clip(8 * np.abs(theirs.astype(int) - ours), 0, 255).astype(np.uint8)
        columns.append(np.vstack([theirs, ours, difference]))
    return Image.fromarray(np.hstack(columns))


def _errors(crop: Crop, files: list[bytes]) -> list[float]:
    """Mean difference of each image from Pillow's, in levels of 255."""
    errors = []
    for number, data in enumerate(files):
        reference = _by_pillow(data, random.Random(number)).astype(int)
        errors.append(float(np.abs(crop(data, random.Random(number)) - reference).mean()))
    return errors


def _by_pillow(data: bytes, draw: random.Random) -> np.ndarray:
    image = decode(data, name="")
    top, left, h, w = crop_box(*image.size, draw)
    return np.asarray(image.crop((left, top, left + w, top + h)).resize((SIZE, SIZE), Image.Resampling.BILINEAR))


def _by_pillow_draft(data: bytes, draw: random.Random) -> np.ndarray:
    """By Pillow, at a reduced resolution at which the crop still has at least the output's size."""
    image = Image.open(io.BytesIO(data))
    width, height = image.size
    top, left, h, w = crop_box(width, height, draw)
    image.draft("RGB", (width * SIZE // w, height * SIZE // h))
    box = _scaled_box((left, top, w, h), image.width / width, image.height / height)
    return np.asarray(image.convert("RGB").resize((SIZE, SIZE), Image.Resampling.BILINEAR, box, reducing_gap=2.0))


def _by_torchvision(data: bytes, draw: random.Random) -> np.ndarray:
    with warnings.catch_warnings():  # it announces TorchCodec as its successor
        warnings.simplefilter("ignore")
        image = torchvision.io.decode_jpeg(
            torch.frombuffer(bytearray(data), dtype=torch.uint8), mode=torchvision.io.ImageReadMode.RGB
        )
    return _resized_by_torchvision(image, draw)


def _by_torchcodec(data: bytes, draw: random.Random) -> np.ndarray:
    from torchcodec.decoders import decode_jpeg

    return _resized_by_torchvision(decode_jpeg(data), draw)


def _by_simplejpeg(data: bytes, draw: random.Random) -> np.ndarray:
    return _by_simplejpeg_at(1, data, draw)


def _by_simplejpeg_scaled(data: bytes, draw: random.Random) -> np.ndarray:
    return _by_simplejpeg_at(8, data, draw)


def _by_simplejpeg_at(most: int, data: bytes, draw: random.Random) -> np.ndarray:
    """By simplejpeg, at 1/f of the resolution: f is the largest of 1, 2, 4 and 8, and not above `most`, at which the
    crop still has the output's size.
    """
    height, width, *_ = simplejpeg.decode_jpeg_header(data)
    top, left, h, w = crop_box(width, height, draw)
    factor = max(f for f in (1, 2, 4, 8) if f == 1 or (f <= most and min(h, w) >= f * SIZE))
    least = {"min_height": -(-height // factor), "min_width": -(-width // factor)} if factor > 1 else {}
    image = Image.fromarray(simplejpeg.decode_jpeg(data, "RGB", min_factor=factor, **least))
    box = _scaled_box((left, top, w, h), image.width / width, image.height / height)
    return np.asarray(image.resize((SIZE, SIZE), Image.Resampling.BILINEAR, box))


def _by_raysweep(data: bytes, draw: random.Random) -> np.ndarray:
    return training_crop(data, SIZE, draw, name="")


def _scaled_box(crop: tuple[int, int, int, int], x: float, y: float) -> tuple[float, float, float, float]:
    """(left, top, width, height) as (left, top, right, bottom) in an image that was scaled by (x, y)."""
    left, top, w, h = crop
    return left * x, top * y, (left + w) * x, (top + h) * y


def _resized_by_torchvision(image: torch.Tensor, draw: random.Random) -> np.ndarray:
    """The crop of an image [3, H, W]."""
    top, left, h, w = crop_box(image.shape[2], image.shape[1], draw)
    resized = transforms.functional.resized_crop(image, top, left, h, w, [SIZE, SIZE], antialias=True)
    return resized.permute(1, 2, 0).numpy()


def _has_torchcodec() -> bool:
    """Whether TorchCodec is installed, and finds the libraries that it needs."""
    try:
        import torchcodec  # noqa: F401
    except (ImportError, OSError, RuntimeError):
        return False
    return True


DECODERS: dict[str, Crop] = {
    "Pillow": _by_pillow,
    "Pillow, draft": _by_pillow_draft,
    "torchvision": _by_torchvision,
    "TorchCodec": _by_torchcodec,
    "simplejpeg, Pillow's resize": _by_simplejpeg,
    "simplejpeg scaled, Pillow's resize": _by_simplejpeg_scaled,
    "raysweep": _by_raysweep,
}
