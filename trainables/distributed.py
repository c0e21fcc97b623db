"""What several processes that train one network have to exchange: sums, tensors, and the statistics of batch norm.

The process group is made by whoever starts the processes: Ray Train, or `process_group_from_env` under torchrun. A
single process needs none, and nothing here communicates then.
"""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn

from trainables.device import cpu_name
from trainables.graphs import most_bytes_held
from trainables.memory import peak_resident_bytes


@dataclass(frozen=True, kw_only=True, slots=True)
class Workers:
    """The processes (workers) of this run, seen from one of them."""

    rank: int
    """Number of this process, from 0."""
    world_size: int
    """Number of processes."""
    device: torch.device
    """The device that this process computes on."""

    @classmethod
    def current(cls) -> "Workers":
        """The workers of torch.distributed's process group, else a single one, on the local GPU where there is one."""
        joined = dist.is_available() and dist.is_initialized()
        device = torch.device("cpu")
        if torch.cuda.is_available():
            device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")) % torch.cuda.device_count())
            torch.cuda.set_device(device)
        return cls(
            rank=dist.get_rank() if joined else 0,
            world_size=dist.get_world_size() if joined else 1,
            device=device,
        )

    @property
    def is_main(self) -> bool:
        """Whether this process writes files and prints."""
        return self.rank == 0

    def device_name(self) -> str:
        """The model of this process's GPU or, with the number of threads, of its processor; times depend on it."""
        if self.device.type == "cuda":
            return torch.cuda.get_device_name(self.device)
        return f"{cpu_name()}, threads: {torch.get_num_threads()}"

    def arithmetic(self) -> dict[str, bool]:
        """Of a GPU, whether float32 products and convolutions may round their factors to TF32 (10 bits)."""
        if self.device.type != "cuda":
            return {}
        return {"tf32": torch.backends.cudnn.allow_tf32 or torch.backends.cuda.matmul.allow_tf32}

    def sum(self, *values: float) -> list[float]:
        """Each value summed over all processes, in float64."""
        total = torch.tensor(values, dtype=torch.float64, device=self.device)
        if self.world_size > 1:
            dist.all_reduce(total)
        return total.tolist()

    def broadcast(self, tensors: list[Tensor]) -> None:
        """Overwrite the tensors by those of the main process."""
        if self.world_size > 1:
            for tensor in tensors:
                dist.broadcast(tensor, src=0)

    def gather(self, *values: float) -> list[list[float]]:
        """The values of each process, in the order of their ranks, in float64."""
        own = torch.tensor(values, dtype=torch.float64, device=self.device)
        if self.world_size == 1:
            return [own.tolist()]
        of_all = [torch.empty_like(own) for _ in range(self.world_size)]
        dist.all_gather(of_all, own)
        return [tensor.tolist() for tensor in of_all]

    def interleaved(self, own: Tensor, n: int) -> Tensor:
        """Of all processes' numbers, whole numbers [n] on the CPU: number i is one of process i modulo `world_size`.

        `own` are those of this process, in their order.
        """
        if self.world_size == 1:
            return own.cpu()
        share = -(-n // self.world_size)
        padded = F.pad(own, (0, share - len(own)))
        of_all = [torch.empty_like(padded) for _ in range(self.world_size)]
        dist.all_gather(of_all, padded)
        return torch.stack(of_all, dim=1).flatten()[:n].cpu()

    def memory(self) -> dict[str, int]:
        """`peak_memory_bytes`, the most that a worker has held, and on a GPU `device_memory_bytes`, all that it has.

        On a GPU the memory of the GPU is meant, else the resident memory of the process.
        """
        on_gpu = self.device.type == "cuda"
        # What graphs keep is free for PyTorch while they are not replayed, and for nobody else.
        held_on_gpu = torch.cuda.max_memory_allocated(self.device) + most_bytes_held() if on_gpu else 0
        own = held_on_gpu or peak_resident_bytes()
        peak = {"peak_memory_bytes": int(max(held for (held,) in self.gather(own)))}
        if on_gpu:
            peak["device_memory_bytes"] = torch.cuda.get_device_properties(self.device).total_memory
        return peak

    def agree(self, value: float, file: object) -> None:
        """Check that all processes found the same `value` in a file. Raises OSError on each of them otherwise.

        They may not where storage is not shared, or shows some of them an older state.
        """
        if len({found for (found,) in self.gather(value)}) > 1:
            raise OSError(f"the workers do not find the same {file}; is it on storage that all of them share?")

    def barrier(self) -> None:
        """Wait for all processes."""
        if self.world_size > 1:
            dist.barrier()


@contextlib.contextmanager
def process_group_from_env() -> Iterator[None]:
    """Join the process group that torchrun describes in the environment, if any: gloo on CPU, nccl on GPU."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield
        return
    dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    try:
        yield
    finally:
        dist.destroy_process_group()


class _SumOverWorkers(torch.autograd.Function):
    """The sum over all processes. Each process has a loss of its own, so gradients are summed as well."""

    @staticmethod
    def forward(ctx: Any, local: Tensor) -> Tensor:
        total = local.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        total = grads[0].contiguous().clone()
        dist.all_reduce(total)
        return total


class SyncBatchNorm(nn.BatchNorm2d):
    """BatchNorm2d whose training statistics are those of the whole batch over all processes, on CPU and GPU.

    torch.nn.SyncBatchNorm does the same on GPU only. Each process needs at least one image.
    """

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] -> [B, C, H, W]."""
        if not self.training or not (dist.is_initialized() and dist.get_world_size() > 1):
            return super().forward(x)
        per_channel = (0, 2, 3)
        local = torch.cat([x.sum(per_channel), x.new_tensor([x.numel() / x.shape[1]])])
        total = _SumOverWorkers.apply(local)
        count = total[-1].detach()
        mean = total[:-1] / count
        centred = x - mean[None, :, None, None]
        var = _SumOverWorkers.apply(centred.square().sum(per_channel)) / count
        with torch.no_grad():
            self.num_batches_tracked += 1
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(var * count / (count - 1), self.momentum)
        scale = self.weight * torch.rsqrt(var + self.eps)
        return centred * scale[None, :, None, None] + self.bias[None, :, None, None]
