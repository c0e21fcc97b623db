"""Works out what an airbench run computes and holds, with its own modules on tensors without memory.

See `trainables.costing`.
"""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from trainables.airbench.config import AirbenchConfig
from trainables.airbench.evaluation import TEST_BATCH, views
from trainables.airbench.network import AirbenchNet, compute_dtype
from trainables.airbench.optimizers import Lookahead
from trainables.airbench.step import Step
from trainables.costing import PROCESS_BYTES, Buckets, at_exit, count_flops, data_bytes, parts_of, shapes_only
from trainables.data.catalog import locate
from trainables.data.info import DataInfo
from trainables.device import on_cpu
from trainables.distributed import Workers


def cost(config: AirbenchConfig, num_workers: int, device: str = "cpu") -> dict[str, Any]:
    """Operations for an image, and peak memory of a worker on "cpu" or "cuda", worked out without that memory.

    `flops_forward` is for a forward pass and `flops_train` for a step of training (forward and backward), both as means
    over the run, in which the stem's bias may be frozen at some time. `memory_bytes` is the sum of its parts `memory`.
    Raises DataError for data that are not there.
    """
    info = locate(config.dataset, config.data_dir)
    share = config.batch_size // num_workers
    dtype = compute_dtype(config, torch.device(device))
    with shapes_only(device) as memory:
        # `dirac` would set the first weights one by one, which takes seconds here.
        net = AirbenchNet(replace(config, dirac=False), info.num_classes, dtype=dtype)
        step = Step(net, config, Workers(rank=0, world_size=1, device=torch.device("cpu")), total_steps=1)
        images = _Images(info, num_workers, normalised_dtype=torch.float32 if device == "cpu" else dtype)
        flops = _mean_flops(step, images, share)
        buckets = Buckets(net) if num_workers > 1 else None
        parts = parts_of(net, step.optimizers, buckets)
        memory.restart(lambda: parts() | {"data": images.nbytes()})
        _train(step, images, share)
        _evaluate(step, images)
    moments = [memory.at_peak]
    if device == "cpu":
        around = {"process": PROCESS_BYTES, "data": data_bytes(info)}
        held = memory.at_peak | {"data": around["data"] + memory.at_peak["data"]}
        moments = [around | held, at_exit(around, memory.most_small)]
    highest = max(moments, key=lambda parts: sum(parts.values()))
    return {
        **flops,
        "phases": [{"phase": "train", **flops, "memory_bytes": sum(moments[0].values())}],
        "memory_bytes": sum(highest.values()),
        "memory": highest,
    }


class _Images:
    """The images that are on the device: all training and test images, and the copies made of them at a moment."""

    def __init__(self, info: DataInfo, num_workers: int, *, normalised_dtype: torch.dtype) -> None:
        self.train, self.test = self._pixels(info.n_train), self._pixels(info.n_test // num_workers)
        self.made: list[Tensor] = []
        """An epoch's images, augmented, or the test images, normalised."""
        self._normalised_dtype = normalised_dtype

    def nbytes(self) -> int:
        return sum(pixels.nbytes for pixels in (self.train, self.test, *self.made))

    def batch(self, n: int) -> tuple[Tensor, Tensor]:
        """A normalised batch [n, 3, 32, 32] and its labels [n]."""
        x = torch.empty((n, 3, 32, 32), dtype=self._normalised_dtype, memory_format=torch.channels_last)
        return x, torch.zeros(n, dtype=torch.int64)

    @staticmethod
    def _pixels(n: int) -> Tensor:
        return torch.empty((n, 3, 32, 32), dtype=torch.uint8)


def _mean_flops(step: Step, images: _Images, share: int) -> dict[str, float]:
    """Operations for an image, as the mean over the run, whose stem's bias may learn for a part of it only."""
    config = step.config
    learning = min(1.0, config.freeze_epochs / config.epochs) if config.freeze else 1.0
    flops = dict.fromkeys(("flops_forward", "flops_train"), 0.0)
    for bias_learns, part in ((False, 1 - learning), (True, learning)):
        step.stem_learns(bias_learns)
        for name, count in _flops(step, images, share, bias_learns).items():
            flops[name] += part * count
    return flops


def _flops(step: Step, images: _Images, share: int, bias_learns: bool) -> dict[str, float]:
    x, labels = images.batch(share)
    step.net.train()
    return {
        "flops_forward": count_flops(lambda: step.model(x, bias_learns)) / share,
        "flops_train": count_flops(lambda: step(x, labels)) / share,
    }


def _train(step: Step, images: _Images, share: int) -> None:
    """Train for a step within an epoch, after the first one with lookahead."""
    lookahead = Lookahead(step.net) if step.config.lookahead else None
    images.made = [torch.empty_like(images.train)]
    if not on_cpu(images.train):  # where graphs of steps find an epoch's images
        images.made.append(torch.empty_like(images.train))
    if lookahead:
        lookahead.after_step(Lookahead.EVERY, step.total_steps)
    step(*images.batch(share))
    images.made = []


@torch.no_grad()
def _evaluate(step: Step, images: _Images) -> None:
    """Evaluate the first of the test batches, all of which are normalised beforehand."""
    net = step.net.eval()
    images.made = [images.batch(len(part))[0] for part in images.test.split(TEST_BATCH)]
    [(net(view), weight) for view, weight in views(images.made[0], step.config.tta)]
