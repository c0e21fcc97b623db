"""Reads images from files, which threads decode, crop and resize on the CPU."""

import random
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor

from trainables.data.decoding import evaluation_crop, read_file, training_crop
from trainables.data.draws import EpochKey, hashed_seed
from trainables.data.loading import FileImages

BATCHES_AHEAD = 2
"""Batches of files that are decoded while the model works on one."""
IMAGES_PER_JOB = 8
"""Files that one thread takes at a time."""

RawBatch = tuple[Tensor, Tensor, Tensor | None]
"""Pixels uint8 [B, 3, H, W] and labels int64 [B], on the CPU or already on the device that trains, and which images are
still to be mirrored, bool [B] on the CPU."""


class FileSource:
    """Reads images from files: threads decode, crop and resize those of the next batches while one is used.

    Decoding and resizing release the interpreter's lock. A file that cannot be read is a DataError that names it.
    """

    def __init__(self, images: FileImages, *, image_size: int, num_loaders: int, device: torch.device) -> None:
        self.images, self.image_size, self.num_loaders = images, image_size, num_loaders
        self.pin_memory = device.type == "cuda"

    def read(self, parts: list[Tensor], key: EpochKey | None) -> Iterator[RawBatch]:
        pool = ThreadPoolExecutor(self.num_loaders, thread_name_prefix="loader")
        try:
            started: deque[tuple[RawBatch, list[Future[None]]]] = deque()
            for part in parts:
                started.append(self._start(pool, part, key))
                if len(started) > BATCHES_AHEAD:
                    yield _finished(*started.popleft())
            while started:
                yield _finished(*started.popleft())
        finally:
            pool.shutdown(cancel_futures=True)

    def _start(
        self, pool: ThreadPoolExecutor, part: Tensor, key: EpochKey | None
    ) -> tuple[RawBatch, list[Future[None]]]:
        B, size = len(part), self.image_size
        pixels = torch.empty((B, size, size, 3), dtype=torch.uint8, pin_memory=self.pin_memory)
        flips = None if key is None else torch.empty(B, dtype=torch.bool)
        targets = pixels.numpy(), None if flips is None else flips.numpy()
        indices = part.tolist()
        jobs = [
            pool.submit(self._fill, *targets, range(start, min(start + IMAGES_PER_JOB, B)), indices, key)
            for start in range(0, B, IMAGES_PER_JOB)
        ]
        return (pixels.permute(0, 3, 1, 2), self.images.labels[part], flips), jobs

    def _fill(
        self, pixels: np.ndarray, flips: np.ndarray | None, at: range, indices: list[int], key: EpochKey | None
    ) -> None:
        """Fill in the images number `at` of a batch; numpy copies, since torch would wake its own threads for each."""
        for i in at:
            path = self.images.paths[indices[i]]
            data = read_file(path)
            if key is None or flips is None:
                pixels[i] = evaluation_crop(data, self.image_size, name=path)
            else:
                draw = random.Random(hashed_seed(*key, indices[i]))
                pixels[i] = training_crop(data, self.image_size, draw, name=path)
                flips[i] = draw.random() < 0.5


def _finished(part: RawBatch, jobs: list[Future[None]]) -> RawBatch:
    for job in jobs:
        job.result()
    return part
