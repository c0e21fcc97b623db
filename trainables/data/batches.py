"""Batches for training and validation, shared between the workers of a run.

Order = f(seed, phase, epoch), augmentation = f(seed, phase, epoch, image): neither depends on the number of workers nor
on what was loaded before, so a run can stop at any epoch boundary and go on with the same numbers.
"""

import hashlib
import math
import random
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms.v2 import functional as TF

from trainables.data.catalog import DataError, DataInfo
from trainables.data.loading import FileImages, Images, TensorImages, decode, to_tensor
from trainables.distributed import Workers

CROP_PADDING = 4
"""Pixels of zero padding around small images before the random crop."""


def hashed_seed(*parts: int | str) -> int:
    """A 63-bit seed that depends on all parts."""
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:8], "big") >> 1


def hashed_generator(*parts: int | str) -> torch.Generator:
    """A CPU generator seeded by `hashed_seed`."""
    return torch.Generator().manual_seed(hashed_seed(*parts))


class Batches:
    """Normalised float32 batches ([B, 3, H, W], labels [B]) on the device of this worker, of a share of each batch.

    A global batch is cut into one part for each worker; the last one of an epoch may be smaller, and is left out when
    it has fewer than two images for each worker (batch norm needs two).
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
        self.augment, self.seed = augment, seed
        if isinstance(images, TensorImages):
            self._source: _TensorSource | _FileSource = _TensorSource(info, images)
        else:
            loaders = torch.get_num_threads() if num_loaders is None else num_loaders
            self._source = _FileSource(info, images, augment=augment, num_loaders=loaders, device=workers.device)
        self._mean, self._std = (
            torch.tensor(values, device=workers.device)[:, None, None] for values in (info.mean, info.std)
        )

    def num_steps(self) -> int:
        """Steps of one training epoch."""
        return len(self._global_batches(torch.arange(len(self.images))))

    def training(self, phase: str, epoch: int) -> Iterator[tuple[Tensor, Tensor, int]]:
        """This worker's part of each global batch of an epoch, and the size of the global batch."""
        n, key = len(self.images), (self.seed, phase, epoch)
        batches = self._global_batches(torch.randperm(n, generator=hashed_generator(*key, "order")))
        parts = [batch.tensor_split(self.workers.world_size)[self.workers.rank] for batch in batches]
        for batch, (pixels, labels) in zip(
            batches, self._source.read(parts, key if self.augment else None), strict=True
        ):
            yield *self._on_device(pixels, labels), len(batch)

    def validation(self) -> Iterator[tuple[Tensor, Tensor]]:
        """This worker's part of all images, each image exactly once over all workers, in order, not augmented."""
        own = torch.arange(self.workers.rank, len(self.images), self.workers.world_size)
        parts = list(own.split(max(1, self.global_batch_size // self.workers.world_size)))
        for pixels, labels in self._source.read(parts, None):
            yield self._on_device(pixels, labels)

    def _global_batches(self, order: Tensor) -> list[Tensor]:
        batches = list(order.split(self.global_batch_size))
        if len(batches[-1]) < 2 * self.workers.world_size:
            batches.pop()
        if not batches:
            raise DataError(f"{len(order)} training image(s) are too few for {self.workers.world_size} worker(s)")
        return batches

    def _on_device(self, pixels: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        device = self.workers.device
        x = pixels.to(device, non_blocking=True).float().div_(255)
        return x.sub_(self._mean).div_(self._std), labels.to(device, non_blocking=True)


class _TensorSource:
    """Random crops of padded small images, and flips, drawn for all images of an epoch at once."""

    def __init__(self, info: DataInfo, images: TensorImages) -> None:
        self.images, self.flip = images, info.flip

    def read(self, parts: list[Tensor], key: tuple[int | str, ...] | None) -> Iterator[tuple[Tensor, Tensor]]:
        shifts, flips = self._draw(key) if key else (None, None)
        for part in parts:
            pixels, labels = self.images.pixels[part], self.images.labels[part]
            if shifts is not None and flips is not None:
                pixels = crop_and_flip(pixels, shifts[part], flips[part])
            yield pixels, labels

    def _draw(self, key: tuple[int | str, ...]) -> tuple[Tensor, Tensor]:
        n, generator = len(self.images), hashed_generator(*key, "augmentation")
        shifts = torch.randint(0, 2 * CROP_PADDING + 1, (n, 2), generator=generator)
        flips = torch.rand(n, generator=generator) < (0.5 if self.flip else 0.0)
        return shifts, flips


def crop_and_flip(pixels: Tensor, shifts: Tensor, flips: Tensor) -> Tensor:
    """Cut [B, C, H, W] out of its zero-padded self at `shifts` (row, column) [B, 2] in 0 .. 8; mirror where `flips`."""
    B, C, H, W = pixels.shape
    padded = F.pad(pixels, (CROP_PADDING,) * 4)
    rows = shifts[:, :1] + torch.arange(H)
    columns = torch.where(flips[:, None], torch.arange(W - 1, -1, -1), torch.arange(W)) + shifts[:, 1:]
    image, channel = torch.arange(B)[:, None, None, None], torch.arange(C)[None, :, None, None]
    return padded[image, channel, rows[:, None, :, None], columns[:, None, None, :]]


class _FileSource:
    """Files decoded, cropped and resized by loader processes; a file that cannot be read stops the run by name."""

    def __init__(
        self, info: DataInfo, images: FileImages, *, augment: bool, num_loaders: int, device: torch.device
    ) -> None:
        self._parts: list[list[tuple[tuple[int | str, ...] | None, int]]] = []
        self._loader = DataLoader(
            _FileDataset(images, info.image_size, info.flip),
            batch_sampler=self._parts,
            collate_fn=_collate,
            num_workers=num_loaders,
            persistent_workers=num_loaders > 0,
            pin_memory=device.type == "cuda",
        )

    def read(self, parts: list[Tensor], key: tuple[int | str, ...] | None) -> Iterator[tuple[Tensor, Tensor]]:
        self._parts[:] = [[(key, index) for index in part.tolist()] for part in parts]
        for pixels, labels in self._loader:
            if isinstance(labels, str):
                raise DataError(labels)
            yield pixels, labels


class _FileDataset(Dataset[tuple[Tensor, int] | str]):
    """Items are asked for as (key of the epoch or None for validation, index)."""

    def __init__(self, images: FileImages, image_size: int, flip: bool) -> None:
        self.paths, self.labels = images.paths, images.labels
        self.image_size, self.flip = image_size, flip

    def __getitem__(self, item: tuple[tuple[int | str, ...] | None, int]) -> tuple[Tensor, int] | str:
        key, index = item
        try:
            image = decode(self.paths[index], name=self.paths[index])
        except DataError as error:  # an exception would lose its one line on the way through the loader process
            return str(error)
        if key is None:
            pixels = to_tensor(evaluation_crop(image, self.image_size))
        else:
            draw = random.Random(hashed_seed(*key, index))
            pixels = to_tensor(random_resized_crop(image, self.image_size, draw))
            if self.flip and draw.random() < 0.5:
                pixels = pixels.flip(-1)
        return pixels, int(self.labels[index])


def _collate(items: list[tuple[Tensor, int] | str]) -> tuple[Tensor, Tensor | str]:
    failed = [item for item in items if isinstance(item, str)]
    if failed:
        return torch.empty(0), failed[0]
    pixels, labels = zip(*items, strict=True)
    return torch.stack(pixels), torch.tensor(labels)


def evaluation_crop(image: Image.Image, size: int) -> Image.Image:
    """torchvision's Resize(256), CenterCrop(224), in proportion for other sizes."""
    return TF.center_crop(TF.resize(image, [round(size * 256 / 224)]), [size, size])


def random_resized_crop(image: Image.Image, size: int, draw: random.Random) -> Image.Image:
    """torchvision's RandomResizedCrop with its defaults: 8 to 100 % of the area, aspect ratio 3/4 to 4/3."""
    width, height = image.size
    for _ in range(10):
        area = width * height * draw.uniform(0.08, 1.0)
        ratio = math.exp(draw.uniform(math.log(3 / 4), math.log(4 / 3)))
        w, h = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < w <= width and 0 < h <= height:
            top, left = draw.randint(0, height - h), draw.randint(0, width - w)
            break
    else:  # the largest central crop within the allowed ratios
        w, h = min(width, round(height * 4 / 3)), min(height, round(width * 4 / 3))
        top, left = (height - h) // 2, (width - w) // 2
    return TF.resized_crop(image, top, left, h, w, [size, size])
