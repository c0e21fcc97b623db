"""The processor of this machine, and whether a tensor lies in its memory.

The cost of a run on a GPU is worked out on machines without one, by tensors of the CPU that stand for those of a GPU
(see `trainables.costing`).
"""

import contextlib
import platform
from collections.abc import Iterator
from contextvars import ContextVar
from pathlib import Path

import torch
from torch import Tensor

CPUINFO = Path("/proc/cpuinfo")
"""Where Linux describes the processors."""

_cpu_as_gpu: ContextVar[bool] = ContextVar("_cpu_as_gpu", default=False)


def on_cpu(x: Tensor) -> bool:
    """Whether the tensor lies in a CPU's memory, so that code which cares for the CPU's caches is the faster one."""
    return x.device.type == "cpu" and not _cpu_as_gpu.get()


@contextlib.contextmanager
def cpu_as_gpu() -> Iterator[None]:
    """Within this context, tensors of the CPU are treated like those of a GPU."""
    token = _cpu_as_gpu.set(True)
    try:
        yield
    finally:
        _cpu_as_gpu.reset(token)


def let_kernels_be_chosen() -> None:
    """Let a GPU's library try its convolutions for each shape and keep the fastest, unless they are to be the same in
    each run."""
    torch.backends.cudnn.benchmark = not torch.backends.cudnn.deterministic


def cpu_name() -> str:
    """The processor's model as Linux names it, which plans can read without torch; elsewhere its architecture."""
    name = ""
    with contextlib.suppress(OSError):
        lines = CPUINFO.read_text().splitlines()
        name = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    return name or platform.machine()
