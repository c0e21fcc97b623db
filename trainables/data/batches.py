"""Batches for training and validation, each shared between the workers of a run.

The order of the images is a function of seed, phase and epoch, the augmentation of an image a function of these and the
image. Neither depends on the number of workers nor on what was loaded before, so a run can stop after any step and go
on with the same numbers.
"""

import contextlib
import hashlib
import random
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import torch
from numpy.lib.stride_tricks import sliding_window_view
from torch import Tensor

from trainables.data.decoding import evaluation_crop, read_file, training_crop
from trainables.data.info import DataError, DataInfo
from trainables.data.loading import FileImages, Images, TensorImages
from trainables.distributed import Workers

CROP_PADDING = 4
"""Pixels of zero padding around small images before the random crop."""
BATCHES_AHEAD = 2
"""Batches of files that are decoded while the model works on one."""
IMAGES_PER_JOB = 8
"""Files that one thread takes at a time."""

EpochKey = tuple[int | str, ...]
"""Seed, phase and epoch, from which an epoch's augmentation is drawn; None stands for no augmentation."""
RawBatch = tuple[Tensor, Tensor, Tensor | None]
"""Pixels uint8 [B, 3, H, W] and labels int64 [B], on the CPU or already on the device that trains, and which images are
still to be mirrored, bool [B] on the CPU."""


def hashed_seed(*parts: int | str) -> int:
    """A 63-bit seed that depends on all parts."""
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:8], "big") >> 1


def hashed_generator(*parts: int | str) -> torch.Generator:
    """A CPU generator seeded by `hashed_seed`."""
    return torch.Generator().manual_seed(hashed_seed(*parts))


class Batches:
    """This worker's share of each global batch, as normalised float32 [B, 3, H, W] and labels [B] on its device.

    A global batch is cut into one part for each worker. The last batch of an epoch may be smaller, and is left out
    where it has fewer than two images for each worker, which batch norm needs. On a CPU, a batch that is read from
    files is overwritten by the next one.
    """

    def __init__(
        self,
        info: DataInfo,
        images: Images,
        *,
        global_batch_size: int,
        workers: Workers,
        augment: bool,
        seed: int,
        num_loaders: int | None = None,
    ) -> None:
        self.images, self.global_batch_size, self.workers = images, global_batch_size, workers
        self.augment, self.seed, self.flip = augment, seed, info.flip
        self._source: _TensorSource | _DeviceSource | _FileSource
        if isinstance(images, TensorImages):
            on_gpu = workers.device.type == "cuda"
            self._source = _DeviceSource(images, workers.device, flip=info.flip) if on_gpu else _TensorSource(images)
        else:
            loaders = torch.get_num_threads() if num_loaders is None else num_loaders
            self._source = _FileSource(images, image_size=info.image_size, num_loaders=loaders, device=workers.device)
        # Fresh pages of memory for a large batch cost more than its normalisation.
        self._reuse_memory = isinstance(images, FileImages) and workers.device.type == "cpu"
        # (pixels / 255 - mean) / std as one product and one sum
        mean, std = (torch.tensor(values)[:, None, None] for values in (info.mean, info.std))
        self._scale, self._shift = (1 / (255 * std)).to(workers.device), (-mean / std).to(workers.device)

    def num_steps(self) -> int:
        """Number of steps in an epoch of training."""
        return len(self._global_batches(torch.arange(len(self.images))))

    def training(self, phase: str, epoch: int, first: int = 0) -> Iterator[tuple[Tensor, Tensor, int]]:
        """Yield this worker's part of each batch of an epoch, from number `first` on, and the whole batch's size."""
        n, key = len(self.images), (self.seed, phase, epoch)
        batches = self._global_batches(torch.randperm(n, generator=hashed_generator(*key, "order")))[first:]
        parts = [batch.tensor_split(self.workers.world_size)[self.workers.rank] for batch in batches]
        normalised = self._normalised(parts, key if self.augment else None)
        with contextlib.closing(normalised):
            for batch, (x, labels) in zip(batches, normalised, strict=True):
                yield x, labels, len(batch)

    def validation(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield this worker's images in order, not augmented; each image goes to exactly one worker."""
        own = torch.arange(self.workers.rank, len(self.images), self.workers.world_size)
        parts = list(own.split(max(1, self.global_batch_size // self.workers.world_size)))
        with contextlib.closing(self._normalised(parts, None)) as normalised:
            yield from normalised

    def _global_batches(self, order: Tensor) -> list[Tensor]:
        batches = list(order.split(self.global_batch_size))
        if len(batches[-1]) < 2 * self.workers.world_size:
            batches.pop()
        if not batches:
            raise DataError(f"{len(order)} training image(s) are too few for {self.workers.world_size} worker(s)")
        return batches

    def _normalised(self, parts: list[Tensor], key: EpochKey | None) -> Iterator[tuple[Tensor, Tensor]]:
        device, out = self.workers.device, None
        with contextlib.closing(self._source.read(parts, key)) as read:
            for pixels, labels, flips in read:
                x = pixels.to(device, non_blocking=True)
                if flips is not None and self.flip:
                    x = mirror(x, flips)
                if out is None or not self._reuse_memory:
                    out = torch.empty(x.shape, device=device)
                floats = out[: len(x)].copy_(x)
                yield floats.mul_(self._scale).add_(self._shift), labels.to(device, non_blocking=True)


class _TensorSource:
    """Reads images in memory; their random crops and flips are drawn for all images of an epoch at once."""

    def __init__(self, images: TensorImages) -> None:
        self.images = images

    def read(self, parts: list[Tensor], key: EpochKey | None) -> Iterator[RawBatch]:
        shifts, flips = drawn(len(self.images), key) if key else (None, None)
        for part in parts:
            pixels = self.images.pixels.index_select(0, self.images.index[part])
            if shifts is not None:
                pixels = padded_crop(pixels, shifts[part])
            yield pixels, self.images.labels[part], None if flips is None else flips[part]


def drawn(n: int, key: EpochKey) -> tuple[Tensor, Tensor]:
    """Shifts, int64 [n, 2] in 0 .. 8, and flips, bool [n], of an epoch's images, on the CPU."""
    generator = hashed_generator(*key, "augmentation")
    shifts = torch.randint(0, 2 * CROP_PADDING + 1, (n, 2), generator=generator)
    return shifts, torch.rand(n, generator=generator) < 0.5


class _DeviceSource:
    """Keeps small images on the device that trains; an epoch's are cropped and mirrored there in one pass.

    The draws are those of `_TensorSource`, and so are the images, bit by bit. `flip` says that images are mirrored at
    all.
    """

    def __init__(self, images: TensorImages, device: torch.device, *, flip: bool) -> None:
        self._pixels = images.pixels.index_select(0, images.index).to(device)
        self._labels = images.labels.to(device)
        self._flip = flip

    def read(self, parts: list[Tensor], key: EpochKey | None) -> Iterator[RawBatch]:
        if not parts:
            return
        pixels = self._pixels
        if key:
            shifts, flips = (draws.to(pixels.device) for draws in drawn(len(pixels), key))
            pixels = cropped_and_mirrored(pixels, shifts, flips if self._flip else torch.zeros_like(flips))
        order = torch.cat(parts).to(pixels.device)  # all at once, as each transfer waits for the processor
        for part in order.split([len(part) for part in parts]):
            yield pixels.index_select(0, part), self._labels.index_select(0, part), None


def cropped_and_mirrored(pixels: Tensor, shifts: Tensor, flips: Tensor) -> Tensor:
    """Cut uint8 [N, C, H, W] out of its zero-padded self at `shifts` (row, column) [N, 2] in 0 .. 8, and mirror images
    where `flips` [N], all on one device."""
    N, C, H, W = pixels.shape
    rows = torch.arange(H, device=pixels.device) + shifts[:, :1] - CROP_PADDING
    columns = torch.arange(W, device=pixels.device) + shifts[:, 1:] - CROP_PADDING
    columns = torch.where(flips[:, None], columns.flip(1), columns)
    is_inside = ((rows >= 0) & (rows < H))[:, :, None] & ((columns >= 0) & (columns < W))[:, None, :]
    rows, columns = rows.clamp(0, H - 1)[:, None, :, None], columns.clamp(0, W - 1)[:, None, None, :]
    image, channel = (torch.arange(n, device=pixels.device) for n in (N, C))
    return pixels[image[:, None, None, None], channel[:, None, None], rows, columns].mul_(is_inside[:, None])


def padded_crop(pixels: Tensor, shifts: Tensor) -> Tensor:
    """Cut uint8 [B, C, H, W] out of its zero-padded self at `shifts` (row, column) [B, 2] in 0 .. 8."""
    B, C, H, W = pixels.shape
    padded = np.zeros((B, C, H + 2 * CROP_PADDING, W + 2 * CROP_PADDING), np.uint8)
    padded[:, :, CROP_PADDING:-CROP_PADDING, CROP_PADDING:-CROP_PADDING] = pixels.numpy()
    windows = sliding_window_view(padded, (H, W), axis=(2, 3)).transpose(0, 2, 3, 1, 4, 5)
    rows, columns = shifts.numpy().T
    return torch.from_numpy(windows[np.arange(B), rows, columns])


class _FileSource:
    """Reads images from files: threads decode, crop and resize those of the next batches while one is used.

    Decoding and resizing release the interpreter's lock. A file that cannot be read is a DataError that names it.
    """

    def __init__(self, images: FileImages, *, image_size: int, num_loaders: int, device: torch.device) -> None:
        self.images, self.image_size, self.num_loaders = images, image_size, max(1, num_loaders)
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


def mirror(x: Tensor, flips: Tensor) -> Tensor:
    """Mirror the images of [B, C, H, W] where `flips` [B] (on the CPU), in place."""
    which = flips.nonzero()[:, 0]
    if x.device.type == "cpu" and not x.is_contiguous():  # channels last: one image at a time stays in a core's cache
        for i in which.tolist():
            x[i] = x[i].flip(2)
        return x
    which = which.to(x.device, non_blocking=True)
    return x.index_copy_(0, which, x.index_select(0, which).flip(3))
