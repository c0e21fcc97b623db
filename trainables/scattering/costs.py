"""What a scattering run computes and holds, from its own modules on tensors without memory (`trainables.costing`)."""

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any
from unittest import mock

import torch
from torch import Tensor

from trainables.costing import PROCESS_BYTES, Buckets, count_flops, data_bytes, nbytes, parts_of, shapes_only
from trainables.data.batches import BATCHES_AHEAD
from trainables.data.catalog import DataInfo, locate
from trainables.distributed import Workers
from trainables.scattering import filtering
from trainables.scattering.config import ScatteringConfig
from trainables.scattering.evaluation import feature_bytes
from trainables.scattering.network import ScatteringNet, initial_blocks
from trainables.scattering.step import Step, autocast, make_optimizer, micro_batches

CPU = torch.device("cpu")


def cost(config: ScatteringConfig, num_workers: int, device: str = "cpu") -> dict[str, Any]:
    """Operations for an image and peak memory of a worker on "cpu" or "cuda"; nothing of the run's size is allocated.

    `flops_forward` and `flops_train` (forward and backward of a step at the run's batch, for each of its images) are of
    the last phase, `memory_bytes` and its parts `memory` of the phase with the highest peak, `phases` has all.
    """
    info = locate(config.dataset, config.data_dir, config.image_size)
    around = _around_tensors(config, info, num_workers) if device == "cpu" else {}
    phases, parts, most_small = [], {}, 0
    for phase in config.phases:
        costs = _Phase(config, info, phase, num_workers, device).costs(most_small)
        most_small = costs.pop("most_small")
        parts[phase] = around | costs.pop("memory")
        phases.append({"phase": phase, **costs, "memory_bytes": sum(parts[phase].values())})
    highest = max(phases, key=lambda costs: costs["memory_bytes"])
    return {
        "flops_forward": phases[-1]["flops_forward"],
        "flops_train": phases[-1]["flops_train"],
        "phases": phases,
        "memory_bytes": highest["memory_bytes"],
        "memory": parts[highest["phase"]],
    }


def _around_tensors(config: ScatteringConfig, info: DataInfo, num_workers: int) -> dict[str, int]:
    """What the process of a worker holds on a CPU beside the tensors of training."""
    data = data_bytes(info)
    if not info.in_memory:
        batches_read = BATCHES_AHEAD + 2  # one more is being submitted, one being normalised
        data += batches_read * _images_per_step(config, num_workers) * 3 * info.image_size**2
    return {"process": PROCESS_BYTES, "data": data}


def _images_per_step(config: ScatteringConfig, num_workers: int) -> int:
    return math.ceil(config.global_batch_size / num_workers)


def _validation_images(config: ScatteringConfig, info: DataInfo) -> int:
    held_out = config.val_split or (0.1 if info.layout == "classes" else 0.0)
    return math.ceil(held_out * info.n_train) or info.n_test


class _Phase:
    """One phase as one worker sees it."""

    def __init__(self, config: ScatteringConfig, info: DataInfo, phase: str, num_workers: int, device: str) -> None:
        self.info, self.phase, self.num_workers, self.device = info, phase, num_workers, device
        self.share = _images_per_step(config, num_workers)
        # What a compiler saves is not known beforehand. One worker alone cuts its share as several cut the batch.
        self.config = replace(config, compile=False, global_batch_size=self.share)

    def costs(self, most_small: int) -> dict[str, Any]:
        """Operations and memory; `most_small` is what small blocks took in earlier phases, and then in this one, too."""
        config = self.config
        with shapes_only(self.device) as memory:
            net = self._net()
            optimizer = make_optimizer(net, config, self.phase)
            pull = self.phase == "finetune" and config.l2_penalty
            anchor = [p.detach() for p in initial_blocks(config).parameters()] if pull else None
            alone = Workers(rank=0, world_size=1, device=CPU)
            step = Step(net, optimizer, config, alone, anchor=anchor)
            buckets = Buckets(net) if self.num_workers > 1 else None
            with mock.patch.object(filtering, "chunks", _all_at_once):  # and the optimiser's state appears
                flops = self._flops(step)
            memory.restart(parts_of(net, [optimizer], buckets), most_small=most_small)
            cache = list(self._cache()) if self.phase == "head" and config.head_epochs > 1 else []
            with mock.patch.object(filtering, "chunks", _first_alone):
                self._train(step)
                self._validate(net, cache)
            memory.reading(nbytes(net.learnt_state().values()))
        return {**flops, "memory": memory.at_peak, "most_small": memory.most_small}

    def _flops(self, step: Step) -> dict[str, float]:
        part = math.ceil(self.share / micro_batches(self.share, 1, self.config.micro_batch, self.config.batch_parts))
        x, _ = self._images(part)
        return {
            "flops_forward": count_flops(lambda: self._forward(step.net, x)) / part,
            "flops_train": count_flops(lambda: self._train(step)) / self.share,
        }

    def _train(self, step: Step) -> None:
        step(*self._images(self.share), self.share)
        step.optimizer.zero_grad()

    def _net(self) -> ScatteringNet:
        net = ScatteringNet(self.config, image_size=self.info.image_size, num_classes=self.info.num_classes)
        if self.phase == "head":
            net.requires_grad_(False)
            for p in net.head_parameters():
                p.requires_grad_(True)
            if not self.config.random_init:
                for block in net.blocks:
                    block.share_bank(None if block.collapse is None else math.sqrt(0.5))
        return net.train()

    def _images(self, n: int) -> tuple[Tensor, Tensor]:
        size = self.info.image_size
        labels = torch.zeros(n, dtype=torch.int64)
        return torch.empty(n, 3, size, size), labels

    def _forward(self, net: ScatteringNet, x: Tensor) -> Tensor:
        with autocast(self.config, CPU):
            return net(x)

    def _cache(self) -> Iterator[Tensor]:
        """The validation images' features, where they fit the budget."""
        own = math.ceil(_validation_images(self.config, self.info) / self.num_workers)
        size = feature_bytes(self.config, self.info.image_size)
        if own * size <= self.config.feature_cache_gb * 2**30:
            for first in range(0, own, self.share):
                yield torch.empty(min(self.share, own - first) * size, dtype=torch.uint8)

    @torch.no_grad()
    def _validate(self, net: ScatteringNet, cache: list[Tensor]) -> None:
        net.eval()
        cache = cache or (list(self._cache()) if self.phase == "head" else [])
        x, _ = self._images(min(self.share, math.ceil(_validation_images(self.config, self.info) / self.num_workers)))
        with autocast(self.config, CPU):
            net.classify(net.features(x)).float()


# Shared filters work on a few channels at a time, of up to 19,683. The operations of all chunks are those of a single
# large one, and they need the memory of one of them.


def _all_at_once(C: int, channel_bytes: int) -> list[slice]:
    return [slice(0, C)]


def _first_alone(
    C: int, channel_bytes: int, chunks: Callable[[int, int], list[slice]] = filtering.chunks
) -> list[slice]:
    return chunks(C, channel_bytes)[:1]
