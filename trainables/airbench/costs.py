"""What an airbench run computes and holds, from its own modules on tensors without memory (`trainables.costing`)."""

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from trainables.airbench.config import AirbenchConfig
from trainables.airbench.evaluation import TEST_BATCH, views
from trainables.airbench.network import AirbenchNet
from trainables.airbench.optimizers import Lookahead
from trainables.airbench.training import Step, compute_dtype
from trainables.costing import PROCESS_BYTES, Buckets, at_exit, count_flops, data_bytes, parts_of, shapes_only
from trainables.data.catalog import DataInfo, locate
from trainables.distributed import Workers


def cost(config: AirbenchConfig, num_workers: int, device: str = "cpu") -> dict[str, Any]:
    """Operations for an image and peak memory of a worker on "cpu" or "cuda"; nothing of the run's size is allocated.

    `flops_forward` and `flops_train` (forward and backward, for each image of a step) are means over the run, in which
    the stem's bias is frozen at some time; `memory_bytes` is the sum of its parts `memory`.
    """
    info = locate(config.dataset, config.data_dir)
    share = config.batch_size // num_workers
    learns = min(1.0, config.freeze_epochs / config.epochs) if config.freeze else 1.0
    with shapes_only(device) as memory:
        step = Step(_bench(config, info, device), config, total_steps=1)
        flops = dict.fromkeys(("flops_forward", "flops_train"), 0.0)
        for bias_learns, part in ((False, 1 - learns), (True, learns)):
            step.stem_learns(bias_learns)
            for name, count in _flops(step, share, bias_learns).items():
                flops[name] += part * count
        images = _Images(info, num_workers)
        buckets = Buckets(step.bench.net) if num_workers > 1 else None
        parts = parts_of(step.bench.net, step.optimizers, buckets)
        memory.restart(lambda: parts() | {"data": images.nbytes()})
        _train(step, images, share)
        _evaluate(step, images, config)
    moments = [memory.at_peak]
    if device == "cpu":
        around = {"process": PROCESS_BYTES, "data": data_bytes(info)}
        held = memory.at_peak | {"data": around["data"] + memory.at_peak["data"]}
        moments = [around | held, at_exit(around, memory.most_small)]
    highest = max(moments, key=lambda parts: sum(parts.values()))
    total = sum(highest.values())
    return {
        **flops,
        "phases": [{"phase": "train", **flops, "memory_bytes": sum(moments[0].values())}],
        "memory_bytes": total,
        "memory": highest,
    }


@dataclass(frozen=True, kw_only=True, slots=True)
class _Bench:
    """What a step needs of `training._Bench`."""

    net: AirbenchNet
    workers: Workers
    dtype: torch.dtype
    normalised_dtype: torch.dtype

    @property
    def model(self) -> nn.Module:
        return self.net


def _bench(config: AirbenchConfig, info: DataInfo, device: str) -> _Bench:
    dtype = compute_dtype(config, torch.device(device))
    net = AirbenchNet(replace(config, dirac=False), info.num_classes, dtype=dtype)
    alone = Workers(rank=0, world_size=1, device=torch.device("cpu"))
    return _Bench(net=net, workers=alone, dtype=dtype, normalised_dtype=torch.float32 if device == "cpu" else dtype)


class _Images:
    """What of the images is on the device: all of them, those of an epoch augmented, the test images normalised."""

    def __init__(self, info: DataInfo, num_workers: int) -> None:
        self.train, self.test = self._pixels(info.n_train), self._pixels(info.n_test // num_workers)
        self.made: list[Tensor] = []

    def nbytes(self) -> int:
        return sum(pixels.nbytes for pixels in (self.train, self.test, *self.made))

    @staticmethod
    def _pixels(n: int) -> Tensor:
        return torch.empty((n, 3, 32, 32), dtype=torch.uint8)


def _flops(step: Step, share: int, bias_learns: bool) -> dict[str, float]:
    x, labels = _batch(step, share)
    step.bench.net.train()
    return {
        "flops_forward": count_flops(lambda: step.model(x, bias_learns)) / share,
        "flops_train": count_flops(lambda: step(x, labels, 0)) / share,
    }


def _batch(step: Step, n: int) -> tuple[Tensor, Tensor]:
    x = torch.empty((n, 3, 32, 32), dtype=step.bench.normalised_dtype, memory_format=torch.channels_last)
    return x, torch.zeros(n, dtype=torch.int64)


def _train(step: Step, images: _Images, share: int) -> None:
    """A step within an epoch, after the first one with lookahead."""
    lookahead = Lookahead(step.bench.net) if step.config.lookahead else None
    images.made = [torch.empty_like(images.train)]
    if lookahead:
        lookahead.after_step(Lookahead.EVERY, step.total_steps)
    step(*_batch(step, share), 0)
    images.made = []


@torch.no_grad()
def _evaluate(step: Step, images: _Images, config: AirbenchConfig) -> None:
    """The first of the test batches, all of which are normalised beforehand."""
    net = step.bench.net.eval()
    images.made = [_batch(step, len(part))[0] for part in images.test.split(TEST_BATCH)]
    [(net(view), weight) for view, weight in views(images.made[0], config.tta)]
