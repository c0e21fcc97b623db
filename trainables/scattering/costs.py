"""What a scattering run computes and holds, from its own modules on tensors without memory (`trainables.costing`)."""

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any
from unittest import mock

import torch
from torch import Tensor

from trainables.costing import PROCESS_BYTES, Buckets, at_exit, count_flops, data_bytes, nbytes, parts_of, shapes_only
from trainables.data.batches import BATCHES_AHEAD
from trainables.data.catalog import DataInfo, locate
from trainables.distributed import Workers
from trainables.scattering import filtering
from trainables.scattering.config import ScatteringConfig
from trainables.scattering.network import ScatteringNet, initial_blocks
from trainables.scattering.step import Step, autocast, make_optimizer, micro_batches

CPU = torch.device("cpu")


def cost(config: ScatteringConfig, num_workers: int, device: str = "cpu") -> dict[str, Any]:
    """Operations for an image and peak memory of a worker on "cpu" or "cuda"; nothing of the run's size is allocated.

    `flops_forward` and `flops_train` (forward and backward of a step at the run's batch, for each of its images) are of
    the last phase; `phases` has all. `memory_bytes` and its parts `memory` are of the phase with the highest peak, or
    of the end of the process where that is higher.
    """
    info = locate(config.dataset, config.data_dir, config.image_size)
    around = _around_tensors(config, info, num_workers) if device == "cpu" else {}
    phases, moments, most_small = [], [], 0
    for phase in config.phases:
        costs = _Phase.of(config, info, phase, num_workers, device).costs(most_small)
        most_small = costs.most_small
        moments.append(around | costs.memory)
        phases.append({"phase": phase, **costs.flops, "memory_bytes": sum(moments[-1].values())})
    if device == "cpu":
        moments.append(at_exit(around, most_small))
    highest = max(moments, key=lambda parts: sum(parts.values()))
    return {
        "flops_forward": phases[-1]["flops_forward"],
        "flops_train": phases[-1]["flops_train"],
        "phases": phases,
        "memory_bytes": sum(highest.values()),
        "memory": highest,
    }


def _around_tensors(config: ScatteringConfig, info: DataInfo, num_workers: int) -> dict[str, int]:
    """What the process of a worker holds on a CPU beside the tensors of training."""
    data = data_bytes(info)
    if not info.in_memory:
        batches_read = BATCHES_AHEAD + 2  # one more is being submitted, one being normalised
        data += batches_read * math.ceil(config.global_batch_size / num_workers) * 3 * info.image_size**2
    return {"process": PROCESS_BYTES, "data": data}


@dataclass(frozen=True, kw_only=True, slots=True)
class _Costs:
    flops: dict[str, float]
    memory: dict[str, int]
    most_small: int
    """What small blocks have taken so far in the process."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Phase:
    """One phase as one worker sees it; runs that differ in seed or train size alone have the same."""

    config: ScatteringConfig
    """Of a single worker, whose batch is this one's share: it is cut as several workers cut theirs."""
    phase: str
    image_size: int
    num_classes: int
    n_validation: int
    several_workers: bool
    device: str

    @classmethod
    def of(cls, config: ScatteringConfig, info: DataInfo, phase: str, num_workers: int, device: str) -> "_Phase":
        """Raises ValueError where the blocks use up the image."""
        held_out = config.val_split or (0.1 if info.layout == "classes" else 0.0)
        return cls(
            config=replace(
                config,
                global_batch_size=math.ceil(config.global_batch_size / num_workers),
                compile=False,  # what a compiler keeps is not known beforehand
                **{"train_size": 1.0, "val_split": 0.0, "seed": 0, "data_dir": None, "save_dir": ""},
            ),
            phase=phase,
            image_size=info.image_size,
            num_classes=info.num_classes,
            n_validation=math.ceil((math.ceil(held_out * info.n_train) or info.n_test) / num_workers),
            several_workers=num_workers > 1,
            device=device,
        )

    @functools.lru_cache(maxsize=256)  # noqa: B019
    def costs(self, most_small: int) -> _Costs:
        """Operations for an image and peak memory, where small blocks took `most_small` bytes in earlier phases."""
        config = self.config
        with shapes_only(self.device) as memory:
            net = self._net()
            optimizer = make_optimizer(net, config, self.phase)
            pull = self.phase == "finetune" and config.l2_penalty
            anchor = [p.detach() for p in initial_blocks(config).parameters()] if pull else None
            step = Step(net, optimizer, config, Workers(rank=0, world_size=1, device=CPU), anchor=anchor)
            buckets = Buckets(net) if self.several_workers else None
            with mock.patch.object(filtering, "chunks", _all_at_once):  # and the optimiser's state appears
                flops = self._flops(step)
            memory.restart(parts_of(net, [optimizer], buckets), most_small=most_small)
            features = self._features() if self.phase == "head" and config.head_epochs > 1 else []
            with mock.patch.object(filtering, "chunks", _first_alone):
                self._train(step)
                features = features or (self._features() if self.phase == "head" else [])
                self._validate(net)
            memory.reading(nbytes(net.learnt_state().values()))
            optimizer.state.clear()
            if self.phase == "finetune":
                _compare(net)
        return _Costs(flops=flops, memory=memory.at_peak, most_small=memory.most_small)

    def _net(self) -> ScatteringNet:
        net = ScatteringNet(self.config, image_size=self.image_size, num_classes=self.num_classes)
        if self.phase == "head":
            for p in net.extractor_parameters():
                p.requires_grad_(False)
            if not self.config.random_init:
                for block in net.blocks:
                    block.share_bank(None if block.collapse is None else math.sqrt(0.5))
        return net.train()

    def _images(self, n: int) -> tuple[Tensor, Tensor]:
        return torch.empty(n, 3, self.image_size, self.image_size), torch.zeros(n, dtype=torch.int64)

    def _flops(self, step: Step) -> dict[str, float]:
        config = self.config
        share = config.global_batch_size
        part = math.ceil(share / micro_batches(share, 1, config.micro_batch, config.batch_parts))
        x, _ = self._images(part)
        return {
            "flops_forward": count_flops(lambda: self._forward(step.net, x)) / part,
            "flops_train": count_flops(lambda: self._train(step)) / share,
        }

    def _forward(self, net: ScatteringNet, x: Tensor) -> Tensor:
        with autocast(self.config, CPU):
            return net(x)

    def _train(self, step: Step) -> None:
        share = self.config.global_batch_size
        step(*self._images(share), share)
        step.optimizer.zero_grad()

    def _features(self) -> list[Tensor]:
        """Of the validation images, where they fit the budget."""
        size, n, share = (
            self.config.feature_cache_bytes(self.image_size, 1),
            self.n_validation,
            self.config.global_batch_size,
        )
        if n * size > self.config.feature_cache_gb * 2**30:
            return []
        return [torch.empty(min(share, n - first) * size, dtype=torch.uint8) for first in range(0, n, share)]

    @torch.no_grad()
    def _validate(self, net: ScatteringNet) -> None:
        """One batch."""
        net.eval()
        x, _ = self._images(min(self.config.global_batch_size, self.n_validation))
        with autocast(self.config, CPU):
            net.classify(net.features(x)).float()


@torch.no_grad()
def _compare(net: ScatteringNet) -> None:
    """As at the end of a run with its beginning, in double precision."""
    for p, p0 in zip(net.extractor_parameters(), initial_blocks(net.config).parameters(), strict=True):
        (p - p0).double().square_().sum()


# Shared filters work on a few channels at a time, of up to 19,683. The operations of all chunks are those of a single
# large one, and they need the memory of one of them.


def _all_at_once(C: int, channel_bytes: int) -> list[slice]:
    return [slice(0, C)]


def _first_alone(
    C: int, channel_bytes: int, chunks: Callable[[int, int], list[slice]] = filtering.chunks
) -> list[slice]:
    return chunks(C, channel_bytes)[:1]
