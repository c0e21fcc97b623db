"""Reads images from files that a GPU decodes, crops and resizes, by NVIDIA's nvImageCodec.

The draws are those of the CPU's decoder, and the pixels those of its tolerance towards Pillow: half a level of 255 in
the mean of an image. What the library does not take, such as a PNG, is decoded on the CPU.
"""

import functools
import os
import random
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from trainables.data.decoding import (
    crop_box,
    evaluation_crop,
    evaluation_shape,
    plain_jpeg,
    read_file,
    training_crop,
)
from trainables.data.draws import EpochKey, hashed_seed
from trainables.data.file_source import BATCHES_AHEAD, IMAGES_PER_JOB, RawBatch
from trainables.data.loading import FileImages
from trainables.messages import first_line

COLOURS = ("Gray", "YCbCr")
"""Colours of the JPEGs that the device decodes; others are rare."""

Box = tuple[int, int, int, int]
"""Top, left, height and width of a part of an image."""


@functools.cache
def refusal(device: torch.device) -> str:
    """Why images cannot be decoded on this device, in a line that is also printed once; "" where they can be."""
    reason = "" if device.type == "cuda" else "there is no GPU"
    if not reason:
        try:
            _library()
        except (ImportError, OSError) as error:
            reason = f"{first_line(error)}; `pip install 'raysweep[gpu]'` brings nvImageCodec"
    if reason:
        print(f"images are decoded on the CPU ({reason})", file=sys.stderr, flush=True)
    return reason


@dataclass(slots=True)
class _Encoded:
    """An image on its way to the device."""

    path: str
    data: bytes
    number: int
    """Its position among the images of the run, from which its crop is drawn."""
    shape: tuple[int, int] | None
    """Height and width, where the device is to decode it."""
    box: Box
    flip: bool


class GpuFileSource:
    """Reads batches as `batches.Batches` takes them: pixels uint8 [B, 3, S, S] on the device, labels, and flips.

    Threads read the files of the next batches, another one has them decoded on a stream of its own. A file that cannot
    be read is a DataError that names it.
    """

    def __init__(self, images: FileImages, *, image_size: int, num_loaders: int, device: torch.device) -> None:
        self.images, self.image_size, self.num_loaders, self.device = images, image_size, num_loaders, device
        self._stream = torch.cuda.Stream(device) if device.type == "cuda" else None

    def read(self, parts: list[Tensor], key: EpochKey | None) -> Iterator[RawBatch]:
        """Yield the images of each part, augmented by the draws of an epoch where there is a `key`."""
        readers = ThreadPoolExecutor(self.num_loaders, thread_name_prefix="reader")
        decoder = ThreadPoolExecutor(1, thread_name_prefix="decoder")  # one batch after the other
        try:
            started: deque[tuple[Tensor, Future[tuple[Tensor, Tensor | None]]]] = deque()
            for part in parts:
                numbers = part.tolist()
                jobs = [
                    readers.submit(self._read_files, numbers[start : start + IMAGES_PER_JOB], key)
                    for start in range(0, len(numbers), IMAGES_PER_JOB)
                ]
                started.append((part, decoder.submit(self._decode, jobs, key)))
                if len(started) > BATCHES_AHEAD:
                    yield self._finished(*started.popleft())
            while started:
                yield self._finished(*started.popleft())
        finally:
            for pool in (decoder, readers):
                pool.shutdown(cancel_futures=True)

    def _read_files(self, numbers: list[int], key: EpochKey | None) -> list[_Encoded]:
        return [self._read_file(number, key) for number in numbers]

    def _read_file(self, number: int, key: EpochKey | None) -> _Encoded:
        path = self.images.paths[number]
        data = read_file(path)
        one = _Encoded(path, data, number, plain_jpeg(data, COLOURS), (0, 0, 0, 0), flip=False)
        if one.shape:
            height, width = one.shape
            one.box = (0, 0, height, width)
            if key is not None:
                draw = random.Random(hashed_seed(*key, number))
                one.box = crop_box(width, height, draw)
                one.flip = draw.random() < 0.5
        return one

    def _decode(self, jobs: list[Future[list[_Encoded]]], key: EpochKey | None) -> tuple[Tensor, Tensor | None]:
        """Pixels on the device, which has finished them, and flips."""
        encoded = [one for job in jobs for one in job.result()]
        size = self.image_size
        with self._on_stream():
            pixels = torch.empty((len(encoded), 3, size, size), dtype=torch.uint8, device=self.device)
            crops = iter(decoded([(one.data, one.box) for one in encoded if one.shape], self.device))
            for target, one in zip(pixels, encoded, strict=True):
                crop = next(crops) if one.shape else None
                target.copy_(self._on_cpu(one, key) if crop is None else self._resized(crop, cropped=key is not None))
        if self._stream:
            self._stream.synchronize()  # the library may use the memory of what it decoded again
        return pixels, None if key is None else torch.tensor([one.flip for one in encoded])

    def _resized(self, crop: Tensor, *, cropped: bool) -> Tensor:
        """[3, S, S] of a decoded part [h, w, 3]: the drawn crop as a whole, or the centre of the whole image."""
        size = self.image_size
        height, width = (size, size) if cropped else evaluation_shape(*crop.shape[:2], size)
        image = crop.permute(2, 0, 1)[None].float()
        image = F.interpolate(image, (height, width), mode="bilinear", antialias=True)[0].round_().clamp_(0, 255)
        top, left = round((height - size) / 2), round((width - size) / 2)
        return image[:, top : top + size, left : left + size]

    def _on_cpu(self, one: _Encoded, key: EpochKey | None) -> Tensor:
        """The same from the CPU's decoder, which names a file that it cannot read either."""
        if key is None:
            pixels: np.ndarray = evaluation_crop(one.data, self.image_size, name=one.path)
        else:
            draw = random.Random(hashed_seed(*key, one.number))
            pixels = training_crop(one.data, self.image_size, draw, name=one.path)
            one.flip = draw.random() < 0.5
        return torch.from_numpy(pixels).permute(2, 0, 1)

    def _finished(self, part: Tensor, batch: Future[tuple[Tensor, Tensor | None]]) -> RawBatch:
        pixels, flips = batch.result()
        if self._stream:
            pixels.record_stream(torch.cuda.current_stream(self.device))
        return pixels, self.images.labels[part], flips

    def _on_stream(self) -> AbstractContextManager[Any]:
        return torch.cuda.stream(self._stream) if self._stream else nullcontext()


def decoded(images: Sequence[tuple[bytes, Box]], device: torch.device) -> list[Tensor | None]:
    """Parts of JPEGs as uint8 [h, w, 3] on the device, in the order of its present stream.

    None stands for an image that the library does not decode. On a CPU, its libjpeg-turbo does the work.
    """
    library, decoder = _library(), _decoder(device)
    streams = []
    for data, (top, left, height, width) in images:
        region = library.Region(top, left, top + height, left + width)
        streams.append(library.CodeStream(data).get_sub_code_stream(region=region))
    if not streams:
        return []
    parameters = library.DecodeParams(
        apply_exif_orientation=False,  # as torchvision's ImageFolder
        color_spec=library.ColorSpec.SRGB,
        sample_format=library.SampleFormat.I_RGB,
    )
    if device.type == "cpu":
        found = decoder.decode(streams, params=parameters)
        return [None if one is None else torch.from_numpy(np.array(one.cpu())) for one in found]
    current = torch.cuda.current_stream(device).cuda_stream
    found = decoder.decode(streams, params=parameters, cuda_stream=current)
    return [None if one is None else torch.from_dlpack(one) for one in found]


@functools.cache
def _library() -> ModuleType:
    """Raises ImportError where it is not installed."""
    os.environ.setdefault("PYNVIMGCODEC_VERBOSITY", "0")  # what it cannot decode, the CPU's decoder speaks of
    from nvidia import nvimgcodec

    return nvimgcodec


@functools.cache
def _decoder(device: torch.device) -> Any:
    library = _library()
    options = ":fancy_upsampling=1"  # chroma is smoothed, as by libjpeg-turbo
    if device.type == "cpu":
        backends = [library.Backend(library.BackendKind.CPU_ONLY)]
        return library.Decoder(
            device_id=library.NVIMGCODEC_DEVICE_CPU_ONLY, max_num_cpu_threads=1, backends=backends, options=options
        )
    return library.Decoder(device_id=device.index or 0, options=options)
