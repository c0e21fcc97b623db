"""The images of a dataset on the device that trains, where small ones stay for a whole series of runs."""

import torch
from torch import Tensor

from trainables.airbench.evaluation import TEST_BATCH
from trainables.data.info import DataInfo
from trainables.data.loading import load
from trainables.distributed import Workers


class DeviceImages:
    """Training images and this worker's share of the test images, and how both are normalised."""

    def __init__(self, info: DataInfo, workers: Workers, dtype: torch.dtype) -> None:
        """`dtype` is the type that networks compute in."""
        self._device, self._dtype = workers.device, dtype
        train_images, test_images = load(info, train_size=1.0, val_split=0.0, seed=0)
        self.pixels, self.labels = self._on_device(train_images.pixels), train_images.labels.to(workers.device)
        """All training images, uint8 [N, 3, 32, 32], and their labels int64 [N]."""
        own = slice(workers.rank, None, workers.world_size)
        self.test_pixels = self._on_device(test_images.pixels[own])
        self.test_labels = test_images.labels[own].to(workers.device)
        """This worker's share of the test images."""
        self.all_test_labels = test_images.labels
        """The labels of all workers' test images, int64 [n], on the CPU."""
        mean, std = (torch.tensor(values)[:, None, None] for values in (info.mean, info.std))
        self._scale, self._shift = (1 / (255 * std)).to(workers.device), (-mean / std).to(workers.device)

    def __len__(self) -> int:
        return len(self.labels)

    def normalised(self, pixels: Tensor) -> Tensor:
        """(pixels / 255 - mean) / std of uint8 [B, 3, H, W], in float32 on a CPU, else in the type of the network."""
        x = pixels.float().mul_(self._scale).add_(self._shift)
        return x if x.device.type == "cpu" else x.to(self._dtype)

    def test_batches(self) -> list[tuple[Tensor, Tensor]]:
        """This worker's test images, normalised, and their labels."""
        parts = zip(self.test_pixels.split(TEST_BATCH), self.test_labels.split(TEST_BATCH), strict=True)
        return [(self.normalised(pixels), labels) for pixels, labels in parts]

    def _on_device(self, pixels: Tensor) -> Tensor:
        return pixels.to(self._device).contiguous(memory_format=torch.channels_last)
