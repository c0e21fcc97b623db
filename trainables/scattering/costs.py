"""Works out what a scattering run computes and holds, with its own modules on tensors without memory.

See `trainables.costing`.
"""

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any
from unittest import mock

import torch
from torch import Tensor

from trainables.costing import PROCESS_BYTES, Buckets, at_exit, count_flops, data_bytes, nbytes, parts_of, shapes_only
from trainables.data.catalog import DataInfo, locate
from trainables.data.file_source import BATCHES_AHEAD
from trainables.distributed import Workers
from trainables.scattering import filtering
from trainables.scattering import step as step_of
from trainables.scattering.config import ScatteringConfig, micro_batches
from trainables.scattering.network import ScatteringNet, initial_blocks
from trainables.scattering.step import Step, autocast, make_optimizer

CPU = torch.device("cpu")
MOST_PARTS = 8
"""Of a batch that is cut into more parts, so many are worked out."""


def cost(config: ScatteringConfig, num_workers: int, device: str = "cpu") -> dict[str, Any]:
    """Operations for an image, and peak memory of a worker on "cpu" or "cuda", worked out without that memory.

    `flops_forward` is for a forward pass and `flops_train` for a step of training (forward and backward), both in the
    last phase; `phases` has these of all phases. `memory_bytes`, with its parts `memory`, belongs to the phase with the
    highest peak, or to the end of the process where that is higher. Raises DataError for data that are not there, and
    ValueError where the blocks use up the image.
    """
    info = locate(config.dataset, config.data_dir, config.image_size)
    around = _around_tensors(config, info, num_workers) if device == "cpu" else {"data": data_on_gpu(info)}
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


def data_on_gpu(info: DataInfo) -> int:
    """Bytes of small images on a GPU: all of them, and those of an epoch, augmented."""
    return (2 * info.n_train + info.n_test) * 3 * info.image_size**2 if info.in_memory else 0


def _around_tensors(config: ScatteringConfig, info: DataInfo, num_workers: int) -> dict[str, int]:
    """Bytes that a worker's process holds on a CPU beside the tensors of training, by part."""
    data = data_bytes(info)
    if not info.in_memory:
        batches_read = BATCHES_AHEAD + 2  # one more is being submitted, one being normalised
        data += batches_read * math.ceil(config.global_batch_size / num_workers) * 3 * info.image_size**2
    return {"process": PROCESS_BYTES, "data": data}


@dataclass(frozen=True, kw_only=True, slots=True)
class _Costs:
    """The costs of one phase."""

    flops: dict[str, float]
    """Operations for an image, "flops_forward" and "flops_train"."""
    memory: dict[str, int]
    """Bytes by part when a worker holds the most."""
    most_small: int
    """Bytes that the process holds for small blocks, from then on."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Phase:
    """A phase as one worker sees it; runs that differ in seed or train size alone have the same."""

    config: ScatteringConfig
    """That of a run with a single worker, whose batch is the share of one of several; parts of it are as large."""
    phase: str
    image_size: int
    num_classes: int
    n_validation: int
    """Validation images of this worker."""
    several_workers: bool
    device: str

    @classmethod
    def of(cls, config: ScatteringConfig, info: DataInfo, phase: str, num_workers: int, device: str) -> "_Phase":
        """The phase of a run; data and seed are left out of `config`."""
        held_out = config.val_split or (0.1 if info.layout == "classes" else 0.0)
        return cls(
            config=replace(
                config,
                global_batch_size=math.ceil(config.global_batch_size / num_workers),
                compile=False,  # what compiled code keeps in memory is not known beforehand
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
        """The phase's costs, where the process holds `most_small` bytes for small blocks from earlier phases."""
        config = self.config
        with shapes_only(self.device) as memory:
            net = self._net()
            optimizer = make_optimizer(net, config, self.phase)
            pull = self.phase == "finetune" and config.l2_penalty
            anchor = [p.detach() for p in initial_blocks(config).parameters()] if pull else None
            step = Step(net, optimizer, config, Workers(rank=0, world_size=1, device=CPU), anchor=anchor)
            buckets = Buckets(net) if self.several_workers else None
            with mock.patch.object(filtering, "chunks", _all_at_once):  # the optimiser's state is made by this as well
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
        """The network as a phase finds it. In the head phase its wavelets are shared, which `freeze` would find out by
        reading the weights."""
        net = ScatteringNet(self.config, image_size=self.image_size, num_classes=self.num_classes)
        if self.phase == "head":
            for p in net.extractor_parameters():
                p.requires_grad_(False)
            if not self.config.random_init:
                for block in net.blocks:
                    block.share_bank(None if block.collapse is None else math.sqrt(0.5))
        return net.train()

    def _images(self, n: int) -> tuple[Tensor, Tensor]:
        """A batch of images [n, 3, H, W] and labels [n]."""
        return torch.empty(n, 3, self.image_size, self.image_size), torch.zeros(n, dtype=torch.int64)

    def _flops(self, step: Step) -> dict[str, float]:
        """Operations for an image, forward and in a step of training."""
        config = self.config
        part = math.ceil(config.global_batch_size / self._parts())
        x, _ = self._images(part)
        return {
            "flops_forward": count_flops(lambda: self._forward(step.net, x)) / part,
            "flops_train": count_flops(lambda: self._train(step)) / self._trained(),
        }

    def _forward(self, net: ScatteringNet, x: Tensor) -> Tensor:
        with autocast(self.config, CPU):
            return net(x)

    def _parts(self) -> int:
        """The number of micro-batches of a step."""
        return micro_batches(self.config.global_batch_size, 1, self.config.micro_batch, self.config.batch_parts)

    def _trained(self) -> int:
        """The images of the micro-batches that `_train` passes through the network, the first ones: all are alike."""
        share, parts = self.config.global_batch_size, self._parts()
        return min(share, math.ceil(share / parts) * min(parts, MOST_PARTS))

    def _train(self, step: Step) -> None:
        x, labels = self._images(self.config.global_batch_size)
        n, parts = self._trained(), min(self._parts(), MOST_PARTS)
        with mock.patch.object(step_of, "micro_batches", return_value=parts):
            step(x[:n], labels[:n], n)
        step.optimizer.zero_grad()

    def _features(self) -> list[Tensor]:
        """The features of the validation images; none where they exceed `feature_cache_gb`."""
        size = self.config.feature_cache_bytes(self.image_size, 1)
        n, share = self.n_validation, self.config.global_batch_size
        if n * size > self.config.feature_cache_gb * 2**30:
            return []
        return [torch.empty(min(share, n - first) * size, dtype=torch.uint8) for first in range(0, n, share)]

    @torch.no_grad()
    def _validate(self, net: ScatteringNet) -> None:
        """Validate on one batch."""
        net.eval()
        x, _ = self._images(min(self.config.global_batch_size, self.n_validation))
        with autocast(self.config, CPU):
            net.classify(net.features(x)).float()


@torch.no_grad()
def _compare(net: ScatteringNet) -> None:
    """Compare the extractor with its initial state in double precision, as at the end of a run."""
    for p, p0 in zip(net.extractor_parameters(), initial_blocks(net.config).parameters(), strict=True):
        (p - p0).double().square_().sum()


# Shared filters work on a few of up to 19,683 channels at a time. All of these chunks together take the operations of a
# single large one and the memory of a single small one.


def _all_at_once(C: int, channel_bytes: int) -> list[slice]:
    return [slice(0, C)]


def _first_alone(
    C: int, channel_bytes: int, chunks: Callable[[int, int], list[slice]] = filtering.chunks
) -> list[slice]:
    return chunks(C, channel_bytes)[:1]
