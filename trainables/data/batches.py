"""Batches for training and validation, each shared between the workers of a run.

The order of the images is a function of seed, phase and epoch, the augmentation of an image a function of these and the
image. Neither depends on the number of workers nor on what was loaded before, so a run can stop after any step and go
on with the same numbers.
"""

import contextlib
from collections.abc import Iterator

import numpy as np
import torch
from numpy.lib.stride_tricks import sliding_window_view
from torch import Tensor

from trainables.data import gpu_file_source
from trainables.data.draws import EpochKey, hashed_generator
from trainables.data.file_source import FileSource, RawBatch
from trainables.data.gpu_file_source import GpuFileSource
from trainables.data.info import DataError, DataInfo
from trainables.data.loading import FileImages, Images, TensorImages
from trainables.distributed import Workers

CROP_PADDING = 4
"""Pixels of zero padding around small images before the random crop."""


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
        decode: str = "cpu",
    ) -> None:
        """`decode` names what decodes files; where "gpu" cannot, the CPU does, and `decoded_on` says why."""
        self.images, self.global_batch_size, self.workers = images, global_batch_size, workers
        self.augment, self.seed, self.flip = augment, seed, info.flip
        self.decoded_on = ""
        """What decodes the files; "" where images are in memory."""
        self._source: _TensorSource | _DeviceSource | FileSource | GpuFileSource
        self.loaders: int | None = None
        """How many threads read the images from their files; None where these are in memory."""
        if isinstance(images, TensorImages):
            on_gpu = workers.device.type == "cuda"
            self._source = _DeviceSource(images, workers.device, flip=info.flip) if on_gpu else _TensorSource(images)
        else:
            self.loaders = max(1, torch.get_num_threads() if num_loaders is None else num_loaders)
            refusal = gpu_file_source.refusal(workers.device) if decode == "gpu" else ""
            self.decoded_on = f"cpu ({refusal})" if refusal else decode
            source = GpuFileSource if self.decoded_on == "gpu" else FileSource
            self._source = source(images, image_size=info.image_size, num_loaders=self.loaders, device=workers.device)
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


def mirror(x: Tensor, flips: Tensor) -> Tensor:
    """Mirror the images of [B, C, H, W] where `flips` [B] (on the CPU), in place."""
    which = flips.nonzero()[:, 0]
    if x.device.type == "cpu" and not x.is_contiguous():  # channels last: one image at a time stays in a core's cache
        for i in which.tolist():
            x[i] = x[i].flip(2)
        return x
    which = which.to(x.device, non_blocking=True)
    return x.index_copy_(0, which, x.index_select(0, which).flip(3))
