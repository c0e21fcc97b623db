"""What the runs of one configuration share, whatever their seed: images on the device, and a network that is warm."""

import contextlib

import torch
from torch import Tensor, nn

from trainables.airbench.clock import Clock
from trainables.airbench.config import AirbenchConfig
from trainables.airbench.evaluation import TEST_BATCH, accuracy
from trainables.airbench.network import WHITENING_IMAGES, AirbenchNet, compute_dtype, make_net
from trainables.airbench.step import Step
from trainables.compiler import require_compiler
from trainables.data.batches import hashed_seed
from trainables.data.info import DataInfo
from trainables.data.loading import load
from trainables.distributed import Workers
from trainables.memory import keep_freed_memory

WARM_UP_STEPS = 2


class WarmSetup:
    """The images of a dataset on a worker's device, and a network that has taken its first, slow steps."""

    def __init__(self, config: AirbenchConfig, info: DataInfo, workers: Workers) -> None:
        """Raises ValueError where the network is to be compiled and there is no compiler."""
        if config.compile:
            require_compiler(workers.device.type)
        keep_freed_memory()
        torch.backends.cudnn.benchmark = True
        self.workers = workers
        self.dtype = compute_dtype(config, workers.device)
        """What the network computes in."""
        train_images, test_images = load(info, train_size=1.0, val_split=0.0, seed=0)
        self.pixels, self.labels = self._on_device(train_images.pixels), train_images.labels.to(workers.device)
        """All training images, uint8 [N, 3, 32, 32], and their labels int64 [N]."""
        own = slice(workers.rank, None, workers.world_size)
        self.test_pixels = self._on_device(test_images.pixels[own])
        self.test_labels = test_images.labels[own].to(workers.device)
        """This worker's share of the test images."""
        self.all_test_labels = test_images.labels
        """The labels of all workers' test images, int64 [n], on the CPU."""
        self.n_test, self.num_classes, self.data = len(test_images), info.num_classes, info.described()
        """Test images of all workers; classes; what results keep of the data."""
        mean, std = (torch.tensor(values)[:, None, None] for values in (info.mean, info.std))
        self._scale, self._shift = (1 / (255 * std)).to(workers.device), (-mean / std).to(workers.device)
        self.net = make_net(config, info.num_classes, dtype=self.dtype).to(workers.device)
        self.model: nn.Module = torch.compile(self.net, dynamic=False) if config.compile else self.net
        """What passes images through `net`."""
        self._warm_up(config)

    def fresh_net(self, config: AirbenchConfig, clock: Clock | None = None) -> AirbenchNet:
        """The network, with the weights that a run of this configuration starts from."""
        torch.manual_seed(hashed_seed(config.seed, "initialisation"))
        self.net.init_weights()
        if config.whiten:
            with clock.part("whitening") if clock else contextlib.nullcontext():
                self.net.stem.init_whitening(self.normalised(self.pixels[:WHITENING_IMAGES]))
        return self.net

    def step(self, config: AirbenchConfig, *, total_steps: int, clock: Clock | None = None) -> Step:
        """What trains the network from its present weights for a run of `total_steps` steps."""
        return Step(self.net, config, self.workers, total_steps=total_steps, compiled=self.model, clock=clock)

    def normalised(self, pixels: Tensor) -> Tensor:
        """(pixels / 255 - mean) / std of uint8 [B, 3, H, W], in float32 on a CPU, else in the type of the network."""
        x = pixels.float().mul_(self._scale).add_(self._shift)
        return x if x.device.type == "cpu" else x.to(self.dtype)

    def test_batches(self) -> list[tuple[Tensor, Tensor]]:
        """This worker's test images, normalised, and their labels."""
        parts = zip(self.test_pixels.split(TEST_BATCH), self.test_labels.split(TEST_BATCH), strict=True)
        return [(self.normalised(pixels), labels) for pixels, labels in parts]

    def _on_device(self, pixels: Tensor) -> Tensor:
        return pixels.to(self.workers.device).contiguous(memory_format=torch.channels_last)

    def _warm_up(self, config: AirbenchConfig) -> None:
        """Take steps on dummy labels and evaluate, so that code is compiled and kernels are chosen.

        What is learnt by that is thrown away: `fresh_net` starts again.
        """
        own = config.batch_size // self.workers.world_size
        step = self.step(config, total_steps=1)
        dummy = torch.randint(self.num_classes, (own,), device=self.workers.device)
        x = self.normalised(self.pixels[:own])
        for learns in (True, False) if config.freeze else (True,):
            step.stem_learns(learns)
            for _ in range(WARM_UP_STEPS):
                step(x, dummy, 0)
        batch = self.normalised(self.test_pixels[:TEST_BATCH]), self.test_labels[:TEST_BATCH]
        accuracy(self.model, [batch], config.tta, self.workers)
